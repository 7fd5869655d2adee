// One TCP connection to one broker that comes back when it is lost: connect time, waiting times
// between attempts, status, silence. Moves bytes and knows nothing of what they mean.
//
//   connecting ──► connected ──► reconnecting ──► connected …
//        └───────────┴──► closing ──► closed ◄──┘   (closed is final and reported once)

import type { Socket } from 'node:net';
import { deadline } from '../time/deadline.ts';
import { after, cancel, type Timer } from '../time/timers.ts';
import { onAbort } from './abort.ts';
import { Addresses, textOf } from './addresses.ts';
import { type DialError, Dialing } from './dialing.ts';
import { abortError, ThrustError } from './errors.ts';
import { Hooks } from './hooks.ts';
import {
  type ConnectionOptions,
  duration,
  hook,
  type ReconnectOptions,
  type Relocatable,
  resolveReconnect,
  type Status,
  type Target,
} from './options.ts';

/** Bytes that may wait in the socket before `write` asks to wait for `writable`. */
const WRITE_BYTES_MAX = 1_048_576;
/** A connection that lived this long was a success, also when nobody had anything to say. */
const SETTLED_MS = 10_000;

/** What the owner of a connection is told. None of them may throw. */
export interface ConnectionHooks {
  /** A fresh connection stands; nothing of an earlier one is known to the broker. */
  opened(): void;
  received(chunk: Uint8Array): void;
  /** After `write` returned false: it may go on. */
  writable(): void;
  /** The connection that was `opened` is gone. `closed` follows when it will not come back. */
  lost(error: ThrustError): void;
  /** The end; undefined when it was asked for. */
  closed(error: ThrustError | undefined): void;
}

export class Connection {
  readonly closed: Promise<ThrustError | undefined>;
  /** Calls what users handed in. */
  readonly userHooks: Hooks;
  readonly #hooks: ConnectionHooks;
  readonly #relocate: Relocatable['relocate'];
  readonly #reconnect: Required<ReconnectOptions> | undefined;
  readonly #connectTimeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onStatus: ConnectionOptions['onStatus'];
  readonly #onAbort: () => void;
  #unlisten: (() => void) | undefined;
  #resolveClosed: (error: ThrustError | undefined) => void = () => {};
  #readyWaiters: { resolve: () => void; reject: (error: ThrustError) => void }[] = [];
  #target: Target;
  readonly #addresses: Addresses;
  #status: Status = 'connecting';
  #dialing: Dialing | undefined;
  #socket: Socket | undefined;
  #open = false;
  #everOpen = false;
  #attempts = 0; // in a row, without a sign of life from the broker
  #openedAtMs = 0;
  #timer: Timer | undefined;
  #finishing = false;
  #error: ThrustError | undefined;

  /** Throws USAGE for wrong options. Nothing happens before `start`. */
  constructor(target: Target, options: ConnectionOptions & Relocatable, hooks: ConnectionHooks) {
    this.#target = target;
    this.#addresses = new Addresses(target);
    this.#relocate = options.relocate;
    this.#hooks = hooks;
    this.#reconnect = resolveReconnect(options.reconnect);
    this.#connectTimeoutMs = duration('connectTimeoutMs', options.connectTimeoutMs, {
      fallback: 5000,
      least: 1,
    });
    this.#signal = options.signal;
    this.#onStatus = hook('onStatus', options.onStatus);
    this.userHooks = new Hooks(`connection to ${this.peer}`);
    this.#onAbort = () => this.close(abortError(this.#signal!, `the connection to ${this.peer}`));
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** Host and port may be others after each attempt to connect again; the dialect stays. */
  get target(): Target {
    return this.#target;
  }

  get status(): Status {
    return this.#status;
  }

  /** Why it closed, once it has. */
  get error(): ThrustError | undefined {
    return this.#error;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  get peer(): string {
    return textOf(this.target);
  }

  start(): void {
    if (this.#signal?.aborted === true) {
      this.#onAbort();
      return;
    }
    if (this.#signal !== undefined) this.#unlisten = onAbort(this.#signal, this.#onAbort);
    this.#connect();
  }

  /** Resolves when connected, rejects when closed before that. */
  ready(): Promise<void> {
    if (this.#open) return Promise.resolve();
    if (this.#status === 'closed') return Promise.reject(this.closedError());
    return new Promise((resolve, reject) => {
      this.#readyWaiters.push({ resolve, reject });
    });
  }

  /** What a call gets that comes after the end. */
  closedError(): ThrustError {
    const { code = 'CLOSED', message = `the connection to ${this.peer} was closed` } =
      this.#error ?? {};
    return new ThrustError(code, message, { cause: this.#error?.cause });
  }

  /** Hands bytes to the socket, which keeps them. false: wait for `writable` before the next. */
  write(bytes: Uint8Array): boolean {
    const socket = this.#socket!;
    return socket.write(bytes) || socket.writableLength < WRITE_BYTES_MAX;
  }

  /** The broker proved to be alive and to speak with us: attempts count from 0 again. */
  confirm(): void {
    this.#attempts = 0;
  }

  /** Status `closing`: the owner is finishing its work. */
  closing(): void {
    if (this.#status !== 'closed') this.#setStatus('closing', undefined);
  }

  /** Sends what was written, then ends; waits for the other side at most `graceMs`. */
  finish(graceMs: number): Promise<ThrustError | undefined> {
    const socket = this.#socket;
    if (!this.#open || socket === undefined) {
      this.close();
    } else if (!this.#finishing) {
      this.#finishing = true;
      this.closing();
      this.#timer = deadline(graceMs, () => this.close());
      socket.end();
    }
    return this.closed;
  }

  /** Drops the connection that stands and makes a new one, as if it had been lost. */
  reset(error: ThrustError): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.destroy();
    this.#gone(error);
  }

  /** Ends at once and for good. */
  close(error?: ThrustError): void {
    if (this.#status === 'closed') return;
    this.#error = error;
    cancel(this.#timer);
    this.#unlisten?.();
    const socket = this.#socket;
    const wasOpen = this.#open;
    this.#socket = undefined;
    this.#open = false;
    this.#dialing?.cancel();
    socket?.destroy();
    this.#setStatus('closed', error);
    if (wasOpen) this.#hooks.lost(this.closedError());
    this.#hooks.closed(error);
    for (const waiter of this.#readyWaiters.splice(0)) waiter.reject(this.closedError());
    this.#resolveClosed(error);
  }

  #setStatus(status: Status, error: ThrustError | undefined): void {
    if (this.#status === status) return;
    this.#status = status;
    const onStatus = this.#onStatus;
    if (onStatus === undefined) return;
    queueMicrotask(() => this.userHooks.call('onStatus', () => onStatus(status, error)));
  }

  #connect(): void {
    const addresses = this.#addresses;
    this.#dialing = new Dialing({
      addresses: addresses.isOne ? [this.#target] : addresses.round,
      timeoutMs: this.#connectTimeoutMs,
      connected: (socket, address) => {
        addresses.reached(address);
        this.#target = { ...this.#target, ...address };
        this.#opened(socket);
      },
      failed: (reason) => this.#gone(this.#describe(reason)),
    });
  }

  #opened(socket: Socket): void {
    let reason: DialError | undefined;
    socket.on('data', (chunk: Uint8Array) => {
      if (socket === this.#socket) this.#hooks.received(chunk);
    });
    socket.on('drain', () => {
      if (socket === this.#socket) this.#hooks.writable();
    });
    socket.on('error', (error: DialError) => {
      reason = error;
    });
    socket.on('close', () => {
      if (socket !== this.#socket) return;
      this.#socket = undefined;
      this.#gone(this.#describe(reason));
    });
    this.#socket = socket;
    this.#dialing = undefined;
    this.#open = true;
    this.#everOpen = true;
    this.#openedAtMs = performance.now();
    if (this.#status !== 'closing') this.#setStatus('connected', undefined);
    this.#hooks.opened();
    for (const waiter of this.#readyWaiters.splice(0)) waiter.resolve();
  }

  #describe(reason: DialError | undefined): ThrustError {
    const detail = reason === undefined ? '' : ` (${reason.code ?? reason.message})`;
    const message = this.#open
      ? `the connection to ${this.peer} was lost${detail}`
      : `cannot reach a broker at ${this.#addresses.isOne ? this.peer : this.#addresses.text}${detail}: check that it runs there`;
    return new ThrustError('CONNECTION', message, { cause: reason });
  }

  /** The socket is gone: tell the owner, then wait and connect again, or end. */
  #gone(error: ThrustError): void {
    cancel(this.#timer);
    if (this.#finishing) {
      this.close(); // as asked
      return;
    }
    const wasOpen = this.#open;
    this.#open = false;
    if (wasOpen) {
      if (performance.now() - this.#openedAtMs >= SETTLED_MS) this.#attempts = 0;
      this.#hooks.lost(error);
      if (this.#status === 'closed') return; // the owner had nothing left to wait for
    }
    const reconnect = this.#reconnect;
    const hopeless = reconnect === undefined || this.#attempts >= reconnect.attempts;
    if (hopeless || !(this.#everOpen || reconnect.initial)) {
      this.close(error);
      return;
    }
    if (this.#everOpen && this.#status !== 'closing') this.#setStatus('reconnecting', error);
    const { min, max, factor, jitter } = reconnect;
    const growth = Math.min(Number.MAX_VALUE, factor ** this.#attempts); // 0 * Infinity is no time
    const waitMs = Math.min(max, min * growth) * (1 - jitter * Math.random());
    this.#attempts += 1;
    this.#timer = after(waitMs, () => this.#connectAgain());
  }

  #connectAgain(): void {
    try {
      if (this.#relocate !== undefined) this.#target = { ...this.#target, ...this.#relocate() };
    } catch (cause) {
      const { message } = cause as Error;
      this.#gone(new ThrustError('CONNECTION', message, { cause }));
      return;
    }
    this.#connect();
  }
}
