// How a node comes to another: connects to its cluster port, says who it is and what for, and hears
// whether it is welcome. Nothing else of a node's leaves it before that.

import net from 'node:net';
import tls from 'node:tls';
import type { NodeCertificates } from './node-listener.ts';
import type { NodeToken } from './node-token.ts';
import { ANSWER, type Client, PROOF_BYTES, readAnswer, writePreamble } from './preamble.ts';

const KEEP_ALIVE_MS = 10_000;

export interface NodeAddress {
  host: string;
  port: number;
}

/** What a node shows to others. */
export interface NodeIdentity {
  cluster: string;
  /** Name of this node. */
  node: string;
  /** At least one of both, as the other side asks for. */
  token?: NodeToken | undefined;
  certificates?: NodeCertificates | undefined;
}

/** What becomes of a connection; never within the call that made it. */
export interface Joining {
  /** It is welcome, and `first` came behind the answer. Nobody listens for more of it yet. */
  joined(socket: net.Socket, first: Buffer): void;
  /** It is gone; `why` says it in a few words. */
  closed(socket: net.Socket, why: string): void;
}

/**
 * Connects to a node for a client, or for orders of its own.
 * @throws Error where this node cannot say who it is: its token file is not right
 */
export function connectTo(
  at: NodeAddress,
  identity: NodeIdentity,
  what: Client | { side: 'orders' },
  joining: Joining,
): net.Socket {
  const { cluster, node, token } = identity;
  const proof = token?.proof() ?? new Uint8Array(PROOF_BYTES);
  const preamble = writePreamble({ ...what, cluster, node, proof });
  const socket = open(at, identity);
  hear(socket, joining);
  socket.write(preamble);
  return socket;
}

function open({ host, port }: NodeAddress, { certificates }: NodeIdentity): net.Socket {
  const to = {
    host,
    port,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  };
  if (certificates === undefined) return net.connect(to);
  return tls.connect({ ...to, ...certificates, rejectUnauthorized: true });
}

function hear(socket: net.Socket, joining: Joining): void {
  let head = Buffer.alloc(0);
  let why = 'the connection ended';
  const answer = (chunk: Buffer) => {
    const used = Math.min(chunk.length, ANSWER.BYTES - head.length);
    head = Buffer.concat([head, chunk.subarray(0, used)]);
    if (head.length < ANSWER.BYTES) return;
    const verdict = readAnswer(head);
    if (verdict !== 'welcome') {
      why = verdict;
      socket.destroy();
      return;
    }
    socket.off('data', answer).off('end', over);
    joining.joined(socket, chunk.subarray(used));
  };
  const over = () => socket.destroy();
  socket.on('error', (error: NodeJS.ErrnoException) => {
    why = error.code ?? error.message;
  });
  socket.on('data', answer).on('end', over);
  socket.on('close', () => joining.closed(socket, why));
}
