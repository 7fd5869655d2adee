// Which messages die, and why: those that were charged as often as their rule allows, those that a
// consumer rejected, and those that waited longer than they may (expiry.ts). A message that cannot
// be moved at once goes back into its line, which is the queue of what has to be moved: what comes
// next in it and is dead is handed on from here and never delivered. That a message was rejected is
// kept by sequence, until it is moved; a start does not know of it and delivers it once more.

import {
  REASON_DELIVERIES,
  REASON_EXPIRED,
  REASON_REJECTED,
} from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import { SequenceSet } from '../collections/sequence-set.ts';
import type { DropReason } from '../metrics/counters.ts';
import { DEAD, type MoveOrder } from './destination.ts';
import type { Expiry } from './expiry.ts';

/** Where a line is, once what is dead at its head was taken out of it. */
export type LineHead = 'alive' | 'empty' | 'waits';

export interface DyingParts {
  readonly buckets: Buckets<unknown>;
  readonly settlement: {
    withdraw(next: Slice, count: number): Slice;
    discard(part: Slice, reason: number): void;
    drop(next: Slice, count: number, why: DropReason): void;
  };
  /** Undefined: nothing expires. */
  readonly rulesInForce: { readonly expiry: Expiry } | undefined;
  readonly mover: {
    /** Takes messages that nobody holds any more; false: it has as many as it may have. */
    take(part: Slice, order: MoveOrder): boolean;
    readonly isFull: boolean;
    /** Has a bucket dispatched when it may have room. */
    waits(slot: number): void;
  };
}

/** Runs taken out of a line in one turn. */
const RUNS_MAX = 1024;

export class Dying {
  readonly #parts: DyingParts;
  readonly #rejected = new SequenceSet();
  #rejections = 0; // messages in it

  constructor(parts: DyingParts) {
    this.#parts = parts;
  }

  /** Whether anything may be dead that stands in a line. */
  get isPossible(): boolean {
    return this.#rejections > 0 || this.#parts.buckets.rules.table !== undefined;
  }

  /** Whether messages may be dead that nobody was given yet. */
  get mayExpire(): boolean {
    return this.#parts.rulesInForce?.expiry.isOn === true;
  }

  /** Whether messages of a bucket that were charged so often are dead. */
  isOver(slot: number, attempts: number): boolean {
    const { rules } = this.#parts.buckets;
    if (rules.table === undefined) return false;
    const { maxDeliveries } = rules.of(slot);
    return maxDeliveries > 0 && attempts >= maxDeliveries;
  }

  /** Whether the dead of a bucket are kept nowhere. */
  areDropped(slot: number): boolean {
    const { rules } = this.#parts.buckets;
    return rules.table !== undefined && rules.of(slot).deadLetter === 'drop';
  }

  /** A consumer rejected messages that cannot be moved now. */
  rejected(sequence: number, count: number): void {
    this.#rejections += this.#rejected.add(sequence, count);
  }

  /** Messages are gone from their line. */
  gone(sequence: number, count: number): void {
    if (this.#rejections > 0) this.#rejections -= this.#rejected.remove(sequence, count);
  }

  /** How many messages at the beginning of a part that stands in a line are alive, as of the last
   * `clear`. */
  aliveIn(part: Slice): number {
    if (this.isOver(part.slot, part.attempts) || this.#isExpired(part)) return 0;
    if (this.#rejections === 0) return part.count;
    let count = 0;
    while (count < part.count && !this.#rejected.has(part.sequence + count)) count++;
    return count;
  }

  /** How many at its beginning are dead, all for one reason, which comes with it. */
  #deadIn(part: Slice): [count: number, reason: number] {
    const { sequence, count: most } = part;
    let count = 0;
    if (this.#rejections > 0) while (count < most && this.#rejected.has(sequence + count)) count++;
    if (count > 0) return [count, REASON_REJECTED];
    if (this.isOver(part.slot, part.attempts)) return [most, REASON_DELIVERIES];
    return [this.#isExpired(part) ? most : 0, REASON_EXPIRED];
  }

  #isExpired(part: Slice): boolean {
    return this.#parts.rulesInForce?.expiry.isOver(part) === true;
  }

  // Why messages that died are not kept, though others of their bucket may be.
  #drops(slot: number, reason: number): DropReason | undefined {
    return reason === REASON_EXPIRED ? this.#parts.rulesInForce?.expiry.drops(slot) : undefined;
  }

  /**
   * Takes what is next in a line out of it as long as it is dead. 'waits': there is more, which the
   * mover has no room for or which is for another turn; the bucket is dispatched then. `choose` is
   * asked what is next once something was taken, where that may be another part of the line; false:
   * nothing.
   */
  clear(slot: number, choose?: () => boolean): LineHead {
    const { buckets, settlement, mover, rulesInForce } = this.#parts;
    if (this.mayExpire) rulesInForce!.expiry.look();
    for (let runs = 0; ; runs++) {
      if (runs > 0 && choose?.() === false) return 'empty';
      const next = buckets.peek(slot);
      if (next === undefined) return 'empty';
      const [count, reason] = this.#deadIn(next);
      if (count === 0) return 'alive';
      const drops = this.#drops(slot, reason);
      const isDropped = drops !== undefined || this.areDropped(slot);
      if (runs === RUNS_MAX || (!isDropped && mover.isFull)) {
        mover.waits(slot);
        return 'waits';
      }
      if (drops !== undefined) {
        settlement.drop(next, count, drops);
        continue;
      }
      const part = settlement.withdraw(next, count);
      if (isDropped) settlement.discard(part, reason);
      else mover.take(part, { reason, to: DEAD, by: undefined });
    }
  }
}
