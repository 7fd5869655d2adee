// What rules allow of a bucket's next delivery: `batch`, `max_in_flight` and `rate`, and for how long
// it may be held in silence: `lease`. Asked before each delivery, and told afterwards how many
// messages went; knows no consumers.

import { BATCH_MESSAGES_MAX } from '../../../assembly/layout.ts';
import type { BucketRules } from '../buckets/bucket-rules.ts';
import type { Buckets } from '../buckets/buckets.ts';
import { RateLimits } from './rate-limits.ts';

/** What holds a bucket's deliveries back; with a time, until then (monotonic, in ms). */
export interface HeldBack {
  by: 'max_in_flight' | 'order' | 'rate';
  untilMs?: number;
}

export class DeliveryLimits {
  readonly #buckets: Buckets<unknown>;
  readonly #rules: BucketRules;
  readonly #rates: RateLimits;
  readonly #nowMs: () => number;

  constructor(buckets: Buckets<unknown>, rules: BucketRules, nowMs: () => number) {
    this.#buckets = buckets;
    this.#rules = rules;
    this.#rates = new RateLimits(buckets);
    this.#nowMs = nowMs;
  }

  /** Most messages of the next delivery; 0: none for now. At a rate it is dispatched later. */
  most(slot: number): number {
    const { batchMax, maxInFlight, rate } = this.#rules.of(slot);
    if (this.#holdsOrder(slot, maxInFlight)) return 0;
    let most = batchMax;
    if (maxInFlight > 0) most = Math.min(most, maxInFlight - this.#buckets.unackedOf(slot));
    if (most <= 0) return 0;
    return rate > 0 ? Math.min(most, this.#rates.allowed(slot, rate, this.#nowMs())) : most;
  }

  /** The same of a virtual bucket, whose consumers hold `held` messages of all its sources. */
  mostOfAll(slot: number, held: number): number {
    const { batchMax, maxInFlight, rate } = this.#rules.of(slot);
    const most = maxInFlight > 0 ? Math.min(batchMax, maxInFlight - held) : batchMax;
    if (most <= 0) return 0;
    return rate > 0 ? Math.min(most, this.#rates.allowed(slot, rate, this.#nowMs())) : most;
  }

  /**
   * How many messages a source may give now to its virtual bucket; 0: none. `isOwn`: it is that
   * bucket itself, of which the other limits were asked for.
   */
  mostOfSource(slot: number, isOwn: boolean): number {
    const { maxInFlight, rate } = this.#rules.of(slot);
    if (this.#holdsOrder(slot, maxInFlight)) return 0;
    if (isOwn) return BATCH_MESSAGES_MAX;
    let most = BATCH_MESSAGES_MAX;
    if (maxInFlight > 0) most = Math.min(most, maxInFlight - this.#buckets.unackedOf(slot));
    if (most <= 0) return 0;
    return rate > 0 ? Math.min(most, this.#rates.allowed(slot, rate, this.#nowMs())) : most;
  }

  /** How long who holds a delivery of a bucket may be silent, in ms; 0: for ever. */
  leaseMs(slot: number): number {
    return this.#rules.of(slot).leaseMs;
  }

  /** So many messages were delivered. */
  delivered(slot: number, count: number): void {
    const { rate } = this.#rules.of(slot);
    if (rate > 0) this.#rates.took(slot, rate, count, this.#nowMs());
  }

  /** The last consumer of a bucket left. */
  left(slot: number): void {
    this.#rates.left(slot, this.#nowMs());
  }

  /** Whether the messages of a bucket come one at a time, in their order. */
  isInOrder(slot: number): boolean {
    return this.#rules.of(slot).maxInFlight === 1;
  }

  // One at a time, in order: what is to come again later is next, and nothing may overtake it.
  #holdsOrder(slot: number, maxInFlight: number): boolean {
    if (maxInFlight !== 1) return false;
    return this.#buckets.delayed.retriedOf(slot) > 0 || this.#buckets.indexed.waitsBefore(slot);
  }

  /** What keeps the next message of a bucket back; `unacked`: what counts for `max_in_flight`. */
  heldBack(slot: number, unacked = this.#buckets.unackedOf(slot)): HeldBack | undefined {
    const { maxInFlight, rate } = this.#rules.of(slot);
    if (maxInFlight > 0 && unacked >= maxInFlight) return { by: 'max_in_flight' };
    if (this.#holdsOrder(slot, maxInFlight)) return { by: 'order' };
    if (rate === 0) return undefined;
    const untilMs = this.#rates.untilMs(slot, rate);
    return untilMs > this.#nowMs() ? { by: 'rate', untilMs } : undefined;
  }

  /** When a bucket may go on that its rate holds back; Infinity: none is. */
  get dueMs(): number {
    return this.#rates.nextMs;
  }

  advance(nowMs: number, dispatch: (slot: number) => void): void {
    this.#rates.advance(nowMs, dispatch);
  }
}
