// Which messages die, and why: those that were charged as often as their rule allows, and those
// that a consumer rejected. A message that cannot be moved at once goes back into its line, which
// is the queue of what has to be moved: what comes next in it and is dead is handed on from here
// and never delivered. That a message was rejected is kept by sequence, until it is moved; a start
// does not know of it and delivers it once more.

import { REASON_DELIVERIES, REASON_REJECTED } from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import { SequenceSet } from '../collections/sequence-set.ts';
import { DEAD, type MoveOrder } from './destination.ts';

/** Where a line is, once what is dead at its head was taken out of it. */
export type LineHead = 'alive' | 'empty' | 'waits';

export interface DyingParts {
  readonly buckets: Buckets<unknown>;
  readonly settlement: {
    withdraw(next: Slice, count: number): Slice;
    discard(part: Slice, reason: number): void;
  };
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

  /** How many messages at the beginning of a part that stands in a line are alive. */
  aliveIn(part: Slice): number {
    if (this.isOver(part.slot, part.attempts)) return 0;
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
    return [this.isOver(part.slot, part.attempts) ? most : 0, REASON_DELIVERIES];
  }

  /**
   * Takes what is next in a line out of it as long as it is dead. 'waits': there is more, which the
   * mover has no room for or which is for another turn; the bucket is dispatched then.
   */
  clear(slot: number): LineHead {
    const { buckets, settlement, mover } = this.#parts;
    for (let runs = 0; ; runs++) {
      const next = buckets.peek(slot);
      if (next === undefined) return 'empty';
      const [count, reason] = this.#deadIn(next);
      if (count === 0) return 'alive';
      const isDropped = this.areDropped(slot);
      if (runs === RUNS_MAX || (!isDropped && mover.isFull)) {
        mover.waits(slot);
        return 'waits';
      }
      const part = settlement.withdraw(next, count);
      if (isDropped) settlement.discard(part, reason);
      else mover.take(part, { reason, to: DEAD, by: undefined });
    }
  }
}
