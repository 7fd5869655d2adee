// The cluster port: takes connections of other nodes, makes sure that they are nodes of this
// cluster, and hands each on as a connection of the client it is for, as one with orders, or as one
// that follows the stream. Nobody listens unless asked, and never for everybody: nodes prove
// themselves by certificate, token or both.

import net from 'node:net';
import tls from 'node:tls';
import type { Side } from '../../contract/snapshot.ts';
import { deadline } from '../../time/deadline.ts';
import { cancel } from '../../time/timers.ts';
import type { NodeToken } from './node-token.ts';
import {
  type AnyPreamble,
  type OrdersPreamble,
  PREAMBLE,
  PREAMBLE_VERSION,
  type Preamble,
  readPreamble,
  type StreamPreamble,
  type Verdict,
  writeAnswer,
} from './preamble.ts';

/** How long a node may take to say who it is, in ms. */
const PREAMBLE_MS = 5000;
/** How long one that was refused may take to read why. */
const REFUSED_MS = 1000;
const KEEP_ALIVE_MS = 10_000;

/** Certificates in PEM form: `ca` is the only one that the other side's may be signed by. */
export interface NodeCertificates {
  ca: string | Buffer;
  cert: string | Buffer;
  key: string | Buffer;
}

/** One line of the log, `kind` for what is limited by rate together. */
export type Notice = (level: 'info' | 'warn', kind: string, text: string) => void;

export interface NodeListenerOptions {
  host: string;
  port: number;
  cluster: string;
  /** LOG_ID, unsigned. */
  logId: bigint;
  /** At least one of both. */
  token?: NodeToken | undefined;
  certificates?: NodeCertificates | undefined;
  /** Open at once, those of clients that were passed on included. */
  connectionsMax: number;
  preambleMs?: number;
  /** Whether this node serves clients of a side now. */
  isOwner: (side: Side) => boolean;
  /** A client that another node passes on; its bytes wait in the socket, which is paused. */
  adopt: (socket: net.Socket, client: Preamble) => void;
  /** The same of a node that has orders; also where this node serves no clients, and may say so. */
  orders: (socket: net.Socket, from: OrdersPreamble) => void;
  /** The same of a node that follows what the stream confirms to this one. */
  follows: (socket: net.Socket, from: StreamPreamble) => void;
  notice: Notice;
}

const TEXTS: Record<Exclude<Verdict, 'welcome' | 'not-owner'>, string> = {
  'not-a-node': 'is no node: the cluster port is for nodes only',
  version: `speaks a newer version than ${PREAMBLE_VERSION}: update this node, too`,
  malformed: 'sent a preamble that means nothing',
  cluster: 'belongs to another cluster',
  token: 'has another token, or none',
  full: 'is one connection too many',
};

export class NodeListener {
  readonly #options: NodeListenerOptions;
  readonly #server: net.Server;
  readonly #waiting = new Set<net.Socket>();

  /** Throws where nodes would not have to prove themselves. */
  constructor(options: NodeListenerOptions) {
    const { certificates, token, connectionsMax, preambleMs = PREAMBLE_MS } = options;
    if (certificates === undefined && token === undefined)
      throw new Error('a cluster port needs certificates or a token file');
    this.#options = options;
    const common = {
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    };
    if (certificates === undefined) {
      this.#server = net.createServer(common, (socket) => this.#accept(socket));
    } else {
      const checked = { ...certificates, requestCert: true, rejectUnauthorized: true };
      const secure = { ...common, ...checked, handshakeTimeout: preambleMs };
      this.#server = tls.createServer(secure, (socket) => this.#accept(socket));
      this.#server.on('tlsClientError', (error: Error, { remoteAddress }: net.Socket) => {
        const text = `${remoteAddress ?? 'a peer'} has no certificate of this cluster`;
        this.#options.notice('warn', 'cluster.certificate', `${text}: ${error.message}`);
      });
    }
    this.#server.maxConnections = connectionsMax;
    this.#server.on('drop', (from) => this.#refused(from?.remoteAddress, 'full'));
  }

  /** Connections that have not said yet who they are. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Listens; rejects with what the system said. */
  listen(): Promise<net.AddressInfo> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, exclusive: true, backlog: 1024 }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', () => {}); // a failed accept costs that connection, nothing else
        resolve(this.#server.address() as net.AddressInfo);
      });
    });
  }

  /** Takes nobody any more; clients that were handed on stay. */
  close(): void {
    this.#server.close();
    for (const socket of this.#waiting) socket.destroy();
  }

  #accept(socket: net.Socket): void {
    const head = Buffer.alloc(PREAMBLE.BYTES);
    let came = 0;
    const timer = deadline(this.#options.preambleMs ?? PREAMBLE_MS, () => socket.destroy());
    const end = () => socket.destroy(); // it has not even said who it is
    const decided = () => {
      cancel(timer);
      this.#waiting.delete(socket);
    };
    const data = (chunk: Buffer) => {
      const used = chunk.copy(head, came);
      came += used;
      const read = readPreamble(head.subarray(0, came));
      if (read === undefined) return;
      socket.off('data', data).off('end', end).off('close', decided);
      decided();
      this.#decide(socket, read, chunk.subarray(used));
    };
    this.#waiting.add(socket);
    socket.on('error', () => {});
    socket.on('data', data).on('end', end).on('close', decided);
  }

  #decide(socket: net.Socket, read: AnyPreamble | Verdict, behind: Buffer): void {
    const verdict = typeof read === 'string' ? read : this.#judge(read);
    if (typeof read === 'string' || verdict !== 'welcome') {
      this.#refuse(socket, verdict);
      return;
    }
    socket.pause();
    if (behind.length > 0) socket.unshift(behind);
    socket.write(writeAnswer('welcome'));
    if (read.side === 'orders') this.#options.orders(socket, read);
    else if (read.side === 'stream') this.#options.follows(socket, read);
    else this.#options.adopt(socket, read);
  }

  // Who has no token learns nothing else.
  #judge(from: AnyPreamble): Verdict {
    const { token, isOwner } = this.#options;
    const { proof, cluster, side } = from;
    try {
      if (token?.matches(proof) === false) return 'token';
    } catch (error) {
      this.#options.notice('warn', 'cluster.token-file', (error as Error).message);
      return 'token';
    }
    if (cluster !== this.#options.cluster) return 'cluster';
    if (side === 'orders') return 'welcome';
    if (side === 'stream' && from.logId !== this.#options.logId) return 'cluster';
    return isOwner(side === 'stream' ? 'intake' : side) ? 'welcome' : 'not-owner';
  }

  #refuse(socket: net.Socket, verdict: Verdict): void {
    this.#refused(socket.remoteAddress, verdict);
    // What it sends is still read: closing over unread bytes would take the answer with it.
    const timer = deadline(REFUSED_MS, () => socket.destroy());
    socket.once('close', () => cancel(timer));
    socket.on('end', () => socket.destroy());
    socket.resume();
    socket.end(writeAnswer(verdict));
  }

  #refused(address: string | undefined, verdict: Verdict): void {
    if (verdict === 'welcome' || verdict === 'not-owner') return; // a change of owner is no event
    const text = `${address ?? 'a peer'} ${TEXTS[verdict]}: refused`;
    this.#options.notice('warn', `cluster.${verdict}`, text);
  }
}
