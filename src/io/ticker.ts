// When the broker is woken: in ticks while something goes on, else when something is due, by one
// timer. Its clock follows the time that was slept on purpose and stands still while the process
// does: after a stall, what peers sent in the meantime is read before anybody is found too late.

import { TICK_MS } from '../core/timing/alarm.ts';
import { after, cancel } from '../time/timers.ts';

export interface Host {
  /** Monotonic ms with a fraction. */
  now: () => number;
  /** Calls back once, about so many ms later; gives what takes that back. */
  later: (ms: number, call: () => void) => () => void;
  /** Calls back when what waits on sockets now has been read. */
  soon: (call: () => void) => void;
}

/** The event loop. */
export const HOST: Host = {
  now: () => performance.now(),
  later: (ms, call) => {
    const timer = after(ms, call);
    return () => cancel(timer);
  },
  soon: (call) => void setImmediate(call),
};

export interface TickerOptions extends Host {
  /** What is due at that time of the broker's clock is done; gives when something is due again. */
  tick: (clockMs: number) => number;
  /** A timer was so late. */
  late: (ms: number) => void;
}

// A timer that is later than this was held up by a stall.
const LATE_MS = 75;
// Slept at most, whatever the broker says.
const SLEEP_MS_MAX = 60_000;

export class Ticker {
  readonly #options: TickerOptions;
  #clockMs = 0;
  #atMs: number; // when that was the clock
  #dueMs: number; // when the timer fires
  #cancel: (() => void) | undefined;
  #running = false;
  #reading = false; // there was a stall: what it kept from being read is read first

  constructor(options: TickerOptions) {
    this.#options = options;
    this.#atMs = options.now();
    this.#dueMs = this.#atMs;
  }

  /** The broker's clock, in ms since it was made. */
  get clockMs(): number {
    return this.#clockAt(this.#options.now());
  }

  #clockAt(nowMs: number): number {
    const onPurposeMs = this.#dueMs - this.#atMs + LATE_MS;
    return this.#clockMs + Math.max(0, Math.min(nowMs - this.#atMs, onPurposeMs));
  }

  /** By how much the event loop is late now, in ms; 0 while it sleeps on purpose. */
  get lateMs(): number {
    const waits = this.#running && !this.#reading;
    return waits ? Math.max(0, this.#options.now() - this.#dueMs) : 0;
  }

  start(): void {
    this.#running = true;
    this.#arm(TICK_MS);
  }

  stop(): void {
    this.#running = false;
    this.#cancel?.();
  }

  /** Something came in: the next tick is not later than usual. Gives the clock. */
  stirred(): number {
    this.#set();
    if (this.#running && this.#dueMs > this.#atMs + TICK_MS) this.#arm(TICK_MS);
    return this.#clockMs;
  }

  #set(): void {
    const nowMs = this.#options.now();
    this.#clockMs = this.#clockAt(nowMs);
    this.#atMs = nowMs;
  }

  #arm(ms: number): void {
    const { now, later } = this.#options;
    this.#cancel?.();
    // A timer may fire a little early; a tick would be wasted, and the next one late.
    const waitMs = Math.min(ms > TICK_MS ? Math.ceil(ms) + 1 : Math.ceil(ms), SLEEP_MS_MAX);
    this.#dueMs = now() + waitMs;
    this.#cancel = later(waitMs, () => this.#fired());
  }

  #fired(): void {
    const lateMs = this.lateMs;
    this.#options.late(lateMs);
    this.#reading = lateMs > LATE_MS;
    if (this.#reading) this.#options.soon(() => this.#tick());
    else this.#tick();
  }

  #tick(): void {
    this.#reading = false;
    if (!this.#running) return;
    this.#set();
    const dueMs = this.#options.tick(this.#clockMs);
    if (this.#running) this.#arm(Math.max(1, dueMs - this.#clockMs));
  }
}
