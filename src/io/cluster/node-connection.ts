// How a node comes to another: connects to its cluster port, says who it is and what for, and hears
// whether it is welcome. Nothing else of a node's leaves it before that.

import net from 'node:net';
import tls from 'node:tls';
import type { HostPort } from '../../core/text/address.ts';
import type { NodeCertificates } from './node-listener.ts';
import type { NodeToken } from './node-token.ts';
import {
  ANSWER,
  type Client,
  type Following,
  PROOF_BYTES,
  readAnswer,
  writePreamble,
} from './preamble.ts';

const KEEP_ALIVE_MS = 10_000;

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
  /** It is welcome. */
  joined(socket: net.Socket): void;
  /** Bytes that came then. What they were read into is used again: they are valid in the call. */
  read(socket: net.Socket, bytes: Uint8Array): void;
  /** It is gone; `why` says it in a few words. */
  closed(socket: net.Socket, why: string): void;
}

// All connections read into this one after the other: a buffer for each read costs more than to
// copy from here what has to wait.
const READ_INTO = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * Connects to a node for a client, for orders of its own, or to follow the stream.
 * @throws Error where this node cannot say who it is: its token file is not right
 */
export function connectTo(
  at: HostPort,
  identity: NodeIdentity,
  what: Client | { side: 'orders' } | Following,
  joining: Joining,
): net.Socket {
  const { cluster, node, token } = identity;
  const proof = token?.proof() ?? new Uint8Array(PROOF_BYTES);
  const preamble = writePreamble({ ...what, cluster, node, proof });
  const answer = new AnswerReader(joining);
  const socket = open(at, identity, (bytes) => answer.read(socket, bytes));
  answer.watch(socket);
  socket.write(preamble);
  return socket;
}

function open(
  { host, port }: HostPort,
  { certificates }: NodeIdentity,
  read: (bytes: Uint8Array) => void,
): net.Socket {
  const to = {
    host,
    port,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  };
  if (certificates !== undefined)
    return tls.connect({ ...to, ...certificates, rejectUnauthorized: true }).on('data', read);
  const callback = (length: number) => {
    read(READ_INTO.subarray(0, length));
    return true;
  };
  return net.connect({ ...to, onread: { buffer: READ_INTO, callback } });
}

/** Hears the answer, and hands on what comes behind it. */
class AnswerReader {
  readonly #joining: Joining;
  #head = Buffer.alloc(0);
  #isWelcome = false;
  #why = 'the connection ended';

  constructor(joining: Joining) {
    this.#joining = joining;
  }

  watch(socket: net.Socket): void {
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#why = error.code ?? error.message;
    });
    socket.on('end', () => {
      if (!this.#isWelcome) socket.destroy();
    });
    socket.on('close', () => this.#joining.closed(socket, this.#why));
  }

  read(socket: net.Socket, bytes: Uint8Array): void {
    if (this.#isWelcome) this.#joining.read(socket, bytes);
    else if (!socket.destroyed) this.#hear(socket, bytes);
  }

  #hear(socket: net.Socket, bytes: Uint8Array): void {
    const used = Math.min(bytes.length, ANSWER.BYTES - this.#head.length);
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, used)]);
    if (this.#head.length < ANSWER.BYTES) return;
    const verdict = readAnswer(this.#head);
    if (verdict !== 'welcome') {
      this.#why = verdict;
      socket.destroy();
      return;
    }
    this.#isWelcome = true;
    this.#joining.joined(socket);
    if (bytes.length > used) this.#joining.read(socket, bytes.subarray(used));
  }
}
