// The search for buckets that may be forgotten: all that is known of them stands in segment
// indexes, and nobody needs it now. Goes round over all slots, as the hand of a clock does.

import {
  type BucketTable,
  countsAt,
  FLAGS,
  HEAD,
  numbersAt,
  PAGE_BITS,
  UNACKED,
  USED,
  wordsAt,
} from './bucket-table.ts';
import type { Delayed } from './delayed.ts';

// Slots looked at when a bucket comes and there are enough.
const LOOKS_MAX = 8;

export class IdleBuckets {
  readonly #table: BucketTable;
  readonly #subscriptions: ReadonlyMap<number, unknown>;
  readonly #delayed: Pick<Delayed, 'hasInEntries'>;
  #hand = 1;

  constructor(
    table: BucketTable,
    subscriptions: ReadonlyMap<number, unknown>,
    delayed: Pick<Delayed, 'hasInEntries'>,
  ) {
    this.#table = table;
    this.#subscriptions = subscriptions;
    this.#delayed = delayed;
  }

  /**
   * Looks at some slots, so that nobody waits while all are looked at; gives those that are idle to
   * `forget`, as long as that says that there are more to find. A bucket that comes takes the slot
   * of one that was just forgotten, which is behind the hand, and so stays for a whole round.
   */
  look(forget: (slot: number) => boolean): void {
    const { end } = this.#table;
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      const slot = this.#hand < end ? this.#hand : 1;
      this.#hand = this.#table.behind(slot);
      if (this.#isIdle(slot) && !forget(slot)) return;
    }
  }

  // Whether all that is known of the bucket is in indexes, and nobody needs it now.
  #isIdle(slot: number): boolean {
    const page = this.#table.pages[slot >>> PAGE_BITS];
    if (page === undefined) return false;
    const { numbers, words, counts } = page;
    return (
      (words[wordsAt(slot) + FLAGS]! & USED) !== 0 &&
      numbers[numbersAt(slot) + HEAD] === 0 &&
      counts[countsAt(slot) + UNACKED] === 0 &&
      !this.#subscriptions.has(slot) &&
      !this.#delayed.hasInEntries(slot)
    );
  }
}
