// So many deliveries of messages a second, by bucket. Of each bucket that is watched one number is
// kept: the time at which all that it was given would have gone if it had come evenly. What may go
// at once is what is behind that; whoever was given more waits until the time has caught up.
//
//   even time ───────────┐
//        now   |         |      even time - now = what was given ahead, at most a burst
//   ───────────┴─────────┴──►

import type { Buckets } from '../buckets/buckets.ts';
import { TICK_MS } from '../timing/alarm.ts';
import { Deadlines, type Timed } from '../timing/deadlines.ts';

/** Share of a second whose messages may go at once; at least one may. */
const BURST = 0.1;
// A wake-up may be so late. What it was late is made good, or the rate would never be reached.
const LATE_MS = 2 * TICK_MS;
// Buckets that nobody watches for now and that were given more than their time allows, at most; of
// more the first are forgotten, and begin anew.
const DEBTS_MAX = 65_536;

interface Pace {
  readonly slot: number;
  readonly timed: Timed;
  evenMs: number;
}

export class RateLimits {
  readonly #buckets: Pick<Buckets<unknown>, 'idOf'>;
  readonly #paces = new Map<number, Pace>();
  readonly #due = new Deadlines<Pace>(({ timed }) => timed);
  // By id: slots are given to other buckets.
  readonly #debts = new Map<string, number>();

  constructor(buckets: Pick<Buckets<unknown>, 'idOf'>) {
    this.#buckets = buckets;
  }

  /** When a bucket may go on that has to wait; Infinity: none has to. */
  get nextMs(): number {
    return this.#due.nextMs;
  }

  /** How many messages a bucket with a rate may be given now. If none, it is dispatched later. */
  allowed(slot: number, rate: number, nowMs: number): number {
    const pace = this.#paceOf(slot);
    const burst = burstOf(rate);
    const aheadMs = Math.max(pace.evenMs, nowMs - LATE_MS) - nowMs;
    const room = Math.min(burst, Math.floor(burst - (aheadMs * rate) / 1000 + 1e-6));
    if (room >= 1) return Math.floor(room);
    this.#due.set(pace, Math.max(this.untilMs(slot, rate), nowMs + 1));
    return 0;
  }

  /** When one more may go. */
  untilMs(slot: number, rate: number): number {
    return (this.#paces.get(slot)?.evenMs ?? 0) - ((burstOf(rate) - 1) * 1000) / rate;
  }

  /** So many were given. */
  took(slot: number, rate: number, count: number, nowMs: number): void {
    const pace = this.#paceOf(slot);
    pace.evenMs = Math.max(pace.evenMs, nowMs - LATE_MS) + (count * 1000) / rate;
  }

  /** Nobody watches the bucket any more: what it was given is kept until it counts for nothing. */
  left(slot: number, nowMs: number): void {
    const pace = this.#paces.get(slot);
    if (pace === undefined) return;
    this.#due.delete(pace);
    this.#paces.delete(slot);
    // Who is late by less would be given that time a second time.
    const paidMs = nowMs - LATE_MS;
    if (pace.evenMs <= paidMs) return;
    for (const [id, evenMs] of this.#debts) {
      if (evenMs > paidMs && this.#debts.size < DEBTS_MAX) break;
      this.#debts.delete(id);
    }
    this.#debts.set(this.#buckets.idOf(slot), pace.evenMs);
  }

  /** Time passes: `dispatch` is called for the buckets that may go on. */
  advance(nowMs: number, dispatch: (slot: number) => void): void {
    this.#due.advance(nowMs, ({ slot }) => dispatch(slot));
  }

  #paceOf(slot: number): Pace {
    const found = this.#paces.get(slot);
    if (found !== undefined) return found;
    const pace: Pace = { slot, timed: { slot: -1 }, evenMs: Number.NEGATIVE_INFINITY };
    if (this.#debts.size > 0) {
      const id = this.#buckets.idOf(slot);
      pace.evenMs = this.#debts.get(id) ?? pace.evenMs;
      this.#debts.delete(id);
    }
    this.#paces.set(slot, pace);
    return pace;
  }
}

function burstOf(rate: number): number {
  return Math.max(1, rate * BURST);
}
