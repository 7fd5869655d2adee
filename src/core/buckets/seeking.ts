// What is ready again before the place where its line goes on, and how it gets there: runs are
// noted by sequence, and made parts of records when they are the next thing of their line. Of
// entries that is done at once; in an index they are looked up, each in its own segment.

import type { Found } from '../ports/basics.ts';
import type { Entries } from './entries.ts';
import type { Isolation } from './isolation.ts';
import { type Run, Sought } from './sought.ts';
import type { Subscription } from './subscription.ts';
import type { Unsettled } from './unsettled.ts';

/** Runs that are noted over all buckets at most. */
export const SOUGHT_MAX = 65_536;

export interface SeekingParts {
  readonly entries: Entries;
  readonly unsettled: Unsettled;
  readonly isolation: Isolation;
  readonly subscriptions: ReadonlyMap<number, Subscription<unknown>>;
}

export class Seeking {
  readonly #parts: SeekingParts;
  readonly #most: number;
  /** Runs over all buckets. */
  count = 0;

  constructor(parts: SeekingParts, most: number) {
    this.#parts = parts;
    this.#most = most;
  }

  /** Notes a run; false: nobody is there for whom to look it up, or there is no room. */
  add(slot: number, sequence: number, count: number): boolean {
    const subscription = this.#parts.subscriptions.get(slot);
    if (subscription === undefined || subscription.consumers === 0) return false;
    if (this.count >= this.#most) return false;
    subscription.sought ??= new Sought();
    subscription.sought.push({ sequence, count });
    this.count++;
    return true;
  }

  /** Takes out what stands at or behind a sequence. */
  dropFrom(subscription: Subscription<unknown>, sequence: number): Run[] {
    const { sought } = subscription;
    if (sought === undefined) return [];
    const dropped = sought.dropFrom(sequence);
    this.count -= dropped.length;
    if (sought.size === 0) subscription.sought = undefined;
    return dropped;
  }

  /**
   * Brings what is sought and comes next among what is requeued, if it is in entries. Gives the
   * sequence from which on it must be looked up in indexes; 0: nothing has to be.
   */
  bringUp(subscription: Subscription<unknown>): number {
    const { entries } = this.#parts;
    for (;;) {
      const sequence = soughtNext(subscription);
      if (sequence === 0 || sequence < entries.firstSequence) return sequence;
      const entry = entries.at(sequence);
      const record: Found = {
        position: entries.position(entry),
        sequence: entries.sequence(entry),
        messages: entries.count(entry),
        bodyBytes: entries.bodyBytes(entry),
        attempts: entries.attempts(entry),
        kind: entries.kind(entry),
      };
      this.found(subscription, [record], record.sequence + record.messages);
    }
  }

  /**
   * Takes over what a look for what is sought found: records in order, which are all of the bucket
   * up to sequence `end`, from the first that is sought on.
   */
  found(subscription: Subscription<unknown>, records: readonly Found[], end: number): void {
    const { sought, requeued, slot } = subscription;
    const { unsettled, isolation } = this.#parts;
    let at = 0;
    for (;;) {
      const run = sought?.peek();
      if (run === undefined || run.sequence >= end) break;
      const runEnd = run.sequence + run.count;
      while (at < records.length && behind(records[at]!) <= run.sequence) at++;
      const record = records[at];
      const to = Math.min(runEnd, record === undefined ? end : Math.min(end, behind(record)));
      if (record !== undefined)
        for (const slice of unsettled.slicesOf(slot, [record], run.sequence)) {
          if (slice.sequence >= to) break;
          slice.count = Math.min(slice.count, to - slice.sequence);
          if (slice.level > 0 && isolation.takes(subscription)) isolation.add(subscription, slice);
          else requeued.push(slice);
        }
      if (to < runEnd) sought!.replace({ sequence: to, count: runEnd - to });
      else {
        sought!.pop();
        this.count--;
      }
    }
    if (sought?.size === 0) subscription.sought = undefined;
  }
}

function behind({ sequence, messages }: Found): number {
  return sequence + messages;
}

/** Where the next thing of a line stands, if it is sought and not at hand; 0: it is not. */
export function soughtNext({ sought, requeued }: Subscription<unknown>): number {
  const run = sought?.peek();
  if (run === undefined) return 0;
  const slice = requeued.peek();
  return slice === undefined || run.sequence < slice.sequence ? run.sequence : 0;
}
