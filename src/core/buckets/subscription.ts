// What one bucket has to do with deliveries: slices of records, and the consumers that wait.

import type { Position } from '../ports/basics.ts';
import { Requeued } from './requeued.ts';
import type { Slice } from './slice.ts';
import type { Sought } from './sought.ts';
import type { Suspects } from './suspects.ts';

/** What a bucket with consumers or returned messages keeps beyond its line. */
export class Subscription<Waiter> {
  readonly slot: number;
  readonly requeued = new Requeued();
  /** What is kept apart; undefined: nothing was since there is nothing of it. */
  suspects: Suspects | undefined;
  /** What is ready again and has to be looked up by its sequence; undefined: nothing. */
  sought: Sought | undefined;
  /** Consumers that could take a batch now, longest waiting first. */
  readonly waiting = new Set<Waiter>();
  consumers = 0;
  /** Whether the record at the head, or what comes next in the line, is being read from disk. */
  loading = false;
  /** Slices found in segment indexes, from `aheadAt` on. */
  ahead: Slice[] = [];
  aheadAt = 0;
  /** What a look into indexes passed over first, because it waited for a time, and which is not
   * counted as delayed; 0: nothing. */
  passed = 0;
  /** Segment index in which the search goes on, and where in it; undefined: by sequence. */
  cursor: { base: Position; at: number } | undefined;
  /** Sequence before which the indexes were searched. */
  readTo = 0;
  /** What is being looked up leaves out what became ready again behind it: it does not count. */
  isStale = false;

  constructor(slot: number) {
    this.slot = slot;
  }
}

/** A bucket's id as decimal text. */
export function idText(low: number, high: number): string {
  return ((BigInt(high) << 32n) | BigInt(low)).toString();
}
