// The older part of each bucket's line, which lies in segment indexes on disk: what a lookup found
// of it, and how entries in memory give way to it.

import { assert } from '../assert.ts';
import type { Found, Position } from '../ports/basics.ts';
import {
  advance,
  type BucketTable,
  COUNTED,
  countsAt,
  FLAGS,
  HEAD,
  NEXT,
  numbersAt,
  OLDER,
  PAGE_BITS,
  READY,
  TAKEN,
  USED,
  wordsAt,
} from './bucket-table.ts';
import type { Entries } from './entries.ts';
import type { PayloadCounts } from './payload-counts.ts';
import type { Slice } from './slice.ts';
import type { Subscription } from './subscription.ts';
import type { Unsettled } from './unsettled.ts';

export class IndexedLines<Waiter> {
  readonly #table: BucketTable;
  readonly #entries: Entries;
  readonly #unsettled: Unsettled;
  readonly #subscriptions: Map<number, Subscription<Waiter>>;
  readonly #payload: PayloadCounts;

  constructor(
    table: BucketTable,
    entries: Entries,
    unsettled: Unsettled,
    subscriptions: Map<number, Subscription<Waiter>>,
    payload: PayloadCounts,
  ) {
    this.#table = table;
    this.#entries = entries;
    this.#unsettled = unsettled;
    this.#subscriptions = subscriptions;
    this.#payload = payload;
  }

  /** Whether what comes next in the bucket's line has to be looked up in the indexes. */
  lookupDue(slot: number): boolean {
    const subscription = this.#subscriptions.get(slot);
    return (
      subscription !== undefined &&
      this.#table.has(slot, OLDER) &&
      !subscription.loading &&
      subscription.requeued.size === 0 &&
      subscription.aheadAt === subscription.ahead.length
    );
  }

  /** Takes over what a lookup found, in order; returns how many messages of it wait. */
  found(slot: number, records: readonly Found[]): number {
    const subscription = this.#subscriptions.get(slot);
    assert(subscription !== undefined, 'a lookup ended for a bucket that nobody watches');
    const { numbers, counts } = this.#table.page(slot);
    const ahead = this.slicesOf(slot, records, numbers[numbersAt(slot) + NEXT]!);
    const messages = ahead.reduce((sum, { count }) => sum + count, 0);
    subscription.ahead = ahead;
    subscription.aheadAt = 0;
    if (this.#table.has(slot, COUNTED)) return messages;
    counts[countsAt(slot) + READY]! += messages;
    for (const slice of ahead) this.#payload.addPart(slice);
    return messages;
  }

  /** What waits of a bucket's records that a lookup found, from sequence `next` on. */
  slicesOf(slot: number, records: readonly Found[], next: number): Slice[] {
    return this.#unsettled.slicesOf(slot, records, next);
  }

  /** The indexes hold nothing more of the bucket: its line goes on in entries. */
  exhausted(slot: number): void {
    this.#table.page(slot).words[wordsAt(slot) + FLAGS] = USED | COUNTED;
    const subscription = this.#subscriptions.get(slot);
    if (subscription !== undefined) subscription.cursor = undefined;
  }

  /**
   * Releases entries before `to`, whose segments are indexed now; at most `most` of them in one call.
   * True when all are.
   */
  release(to: number, most: number): boolean {
    const entries = this.#entries;
    const end = Math.min(to, entries.from + most);
    entries.each(entries.from, end, (entry, slot, next) => {
      const page = this.#table.pages[slot >>> PAGE_BITS];
      // The bucket may be gone, and its slot another's: then it has another head, or none.
      if (page === undefined || page.numbers[numbersAt(slot) + HEAD] !== entry) return;
      const at = wordsAt(slot);
      if ((page.words[at + FLAGS]! & COUNTED) === 0) {
        const taken = page.words[at + TAKEN]!;
        const [first, count] = [entries.sequence(entry) + taken, entries.count(entry) - taken];
        const waiting = this.#unsettled.countOf(first, count);
        page.counts[countsAt(slot) + READY]! -= waiting;
        if (this.#payload.isOn)
          this.#payload.add(slot, -this.#payload.ofEntry(entries, entry, waiting));
      }
      page.words[at + FLAGS]! |= OLDER;
      advance(page, slot, next);
    });
    entries.release(end);
    return end === to;
  }

  /** Records of the segments from `base` to before `end` stand elsewhere now. */
  moved(base: Position, end: Position, where: (slice: Slice) => void): void {
    for (const subscription of this.#subscriptions.values()) {
      for (const slice of subscription.requeued.slices)
        if (slice.position >= base && slice.position < end) where(slice);
      for (let at = subscription.aheadAt; at < subscription.ahead.length; at++) {
        const slice = subscription.ahead[at]!;
        if (slice.position >= base && slice.position < end) where(slice);
      }
      const { cursor } = subscription;
      if (cursor !== undefined && cursor.base >= base && cursor.base < end)
        subscription.cursor = undefined;
    }
  }

  /**
   * Nobody consumes the bucket any more: its subscription goes, if what came back is found again in
   * the indexes.
   */
  park(subscription: Subscription<Waiter>): void {
    const { slot, requeued } = subscription;
    const { numbers, words, counts } = this.#table.page(slot);
    const indexed = this.#indexedTo();
    let next = numbers[numbersAt(slot) + NEXT]!;
    for (const slice of requeued.slices) {
      if (slice.sequence >= indexed) return;
      next = Math.min(next, slice.sequence);
    }
    if (!this.#table.has(slot, COUNTED)) {
      // They are counted again when they are read again.
      const ahead = subscription.ahead.slice(subscription.aheadAt);
      for (const slice of [...requeued.slices, ...ahead]) {
        counts[countsAt(slot) + READY]! -= slice.count;
        this.#payload.takePart(slice);
      }
    }
    if (requeued.size > 0) words[wordsAt(slot) + FLAGS]! |= OLDER;
    numbers[numbersAt(slot) + NEXT] = next;
    this.#subscriptions.delete(slot);
  }

  // The sequence from which on messages are in entries.
  #indexedTo(): number {
    const { from, end } = this.#entries;
    return from < end ? this.#entries.sequence(from) : Number.POSITIVE_INFINITY;
  }
}
