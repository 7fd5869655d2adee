// One round of attempts to connect: each address in turn, the next one as soon as one refuses, and
// beside one that has not answered for a while, as a machine that is lost says nothing. The first
// that answers is taken.

import { connect as connectSocket, type Socket, type TcpNetConnectOpts } from 'node:net';
import { deadline } from '../time/deadline.ts';
import { after, cancel, type Timer } from '../time/timers.ts';
import { wasCutShort } from './addresses.ts';
import type { Address } from './options.ts';

const KEEP_ALIVE_MS = 10_000;
/** What an address may take before others are tried beside it: several round trips, and no more. */
const BESIDE_MS = 250;

export type DialError = Error & { code?: string };

export interface DialingOptions {
  /** At least one. */
  addresses: readonly Address[];
  /** For each of them. */
  timeoutMs: number;
  /** One was reached: once, unless all failed. Neither is told within the constructor. */
  connected: (socket: Socket, address: Address) => void;
  /** None could be reached: why the last one could not. */
  failed: (reason: DialError | undefined) => void;
  /** Instead of that of Node.js. */
  connect?: (to: TcpNetConnectOpts) => Socket;
}

export class Dialing {
  readonly #options: DialingOptions;
  readonly #left: Address[];
  readonly #pending = new Map<Socket, Timer>();
  #beside: Timer | undefined;

  /** Begins at once. */
  constructor(options: DialingOptions) {
    this.#options = options;
    this.#left = [...options.addresses];
    this.#next();
  }

  /** Ends it, without a word. */
  cancel(): void {
    cancel(this.#beside);
    this.#left.length = 0;
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const [socket, timer] of pending) {
      cancel(timer);
      socket.destroy();
    }
  }

  #next(): void {
    cancel(this.#beside);
    const address = this.#left.shift();
    if (address === undefined) return;
    this.#dial(address);
    if (this.#left.length > 0) this.#beside = after(BESIDE_MS, () => this.#next());
  }

  #dial(address: Address, isAgain = false): void {
    const { host, port } = address;
    const { timeoutMs, connect = connectSocket } = this.#options;
    const socket = connect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    let reason: DialError | undefined;
    const timer = deadline(timeoutMs, () => {
      socket.destroy(new Error(`no connection within ${timeoutMs} ms`));
    });
    this.#pending.set(socket, timer);
    socket.on('error', (error: DialError) => {
      reason = error;
    });
    socket.once('connect', () => this.#took(socket, address));
    socket.once('close', () => {
      if (!this.#pending.delete(socket)) return;
      cancel(timer);
      if (!isAgain && wasCutShort(reason)) this.#dial(address, true);
      else this.#failed(reason);
    });
  }

  #took(socket: Socket, address: Address): void {
    const timer = this.#pending.get(socket);
    if (timer === undefined) return;
    cancel(timer);
    this.#pending.delete(socket);
    this.cancel();
    this.#options.connected(socket, address);
  }

  #failed(reason: DialError | undefined): void {
    if (this.#left.length > 0) this.#next();
    else if (this.#pending.size === 0) this.#options.failed(reason);
  }
}
