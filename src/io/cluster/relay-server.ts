// The owner's side of the relay: what the stream has confirmed goes to the nodes that follow, too,
// so that the servers of NATS need not hand each byte out again. Nobody waits for it. Who does not
// keep up is closed, and reads the stream.

import type net from 'node:net';
import { deadline } from '../../time/deadline.ts';
import { after, cancel, type Timer } from '../../time/timers.ts';
import type { Notice } from './node-listener.ts';
import type { StreamPreamble } from './preamble.ts';
import { relayHead } from './relay-frames.ts';

const CONNECTIONS_MAX = 16;
/** Small messages wait for each other: a node is woken for all of them at once. */
const TOGETHER_MS = 20;
const TOGETHER_BYTES = 256 * 1024;
/** What may wait for a node to read it. All nodes share the bytes of what waits for them. */
const UNREAD_BYTES_MAX = 8 * 1024 * 1024;
/** How long a node may take for the rest when all is over. */
const REST_MS = 1000;

export interface RelayServerOptions {
  notice: Notice;
  connectionsMax?: number;
  unreadBytesMax?: number;
  togetherMs?: number;
}

export class RelayServer {
  readonly #options: RelayServerOptions;
  readonly #peers = new Map<net.Socket, string>();
  #gathered: Uint8Array[] = [];
  #bytes = 0;
  #timer: Timer | undefined;

  constructor(options: RelayServerOptions) {
    this.#options = options;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#peers.size;
  }

  /** A node that follows, over this paused socket. It hears what is stored from now on. */
  adopt(socket: net.Socket, { node }: StreamPreamble): void {
    const name = `node ${node} at ${socket.remoteAddress ?? 'an unknown address'}`;
    socket.on('error', () => {});
    if (this.#peers.size >= (this.#options.connectionsMax ?? CONNECTIONS_MAX)) {
      this.#close(socket, `${name} is one too many that follows: closed`);
      return;
    }
    this.#peers.set(socket, name);
    socket.on('close', () => {
      this.#peers.delete(socket);
      if (this.#peers.size === 0) this.#forget();
    });
    socket.on('end', () => socket.destroy());
    socket.on('data', () => this.#close(socket, `${name} has something to say: closed`));
    socket.resume();
  }

  /** The stream has this message under this number. The bytes do not change any more. */
  stored(sequence: number, bytes: Uint8Array): void {
    if (this.#peers.size === 0) return;
    this.#gathered.push(relayHead(sequence, bytes.length), bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= TOGETHER_BYTES) this.#flush();
    else this.#timer ??= after(this.#options.togetherMs ?? TOGETHER_MS, () => this.#flush());
  }

  /** Closes all; what is stored already is still sent. */
  drop(): void {
    this.#flush();
    for (const socket of [...this.#peers.keys()]) {
      this.#peers.delete(socket);
      const timer = deadline(REST_MS, () => socket.destroy());
      socket.once('close', () => cancel(timer));
      socket.destroySoon();
    }
  }

  #forget(): void {
    cancel(this.#timer);
    this.#timer = undefined;
    this.#gathered = [];
    this.#bytes = 0;
  }

  #flush(): void {
    const gathered = this.#gathered;
    this.#forget();
    for (const [socket, name] of this.#peers) {
      socket.cork();
      for (const bytes of gathered) socket.write(bytes);
      socket.uncork();
      if (socket.writableLength > (this.#options.unreadBytesMax ?? UNREAD_BYTES_MAX))
        this.#close(socket, `${name} does not keep up: it reads the stream instead`);
    }
  }

  #close(socket: net.Socket, why: string): void {
    this.#options.notice('warn', 'cluster.relay', why);
    this.#peers.delete(socket);
    socket.destroy();
  }
}
