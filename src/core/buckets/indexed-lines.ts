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
  REWOUND,
  TAKEN,
  wordsAt,
} from './bucket-table.ts';
import type { Entries } from './entries.ts';
import type { PayloadCounts } from './payload-counts.ts';
import type { ReadyAgain } from './ready-again.ts';
import type { Seeking } from './seeking.ts';
import type { Slice } from './slice.ts';
import type { Subscription } from './subscription.ts';
import type { Unsettled } from './unsettled.ts';

export interface IndexedLinesParts<Waiter> {
  readonly table: BucketTable;
  readonly entries: Entries;
  readonly unsettled: Unsettled;
  readonly subscriptions: Map<number, Subscription<Waiter>>;
  readonly payload: PayloadCounts;
  readonly again: ReadyAgain<Waiter>;
  readonly seeking: Seeking;
}

export class IndexedLines<Waiter> {
  readonly #table: BucketTable;
  readonly #entries: Entries;
  readonly #unsettled: Unsettled;
  readonly #subscriptions: Map<number, Subscription<Waiter>>;
  readonly #payload: PayloadCounts;
  readonly #again: ReadyAgain<Waiter>;
  readonly #seeking: Seeking;

  constructor({
    table,
    entries,
    unsettled,
    subscriptions,
    payload,
    again,
    seeking,
  }: IndexedLinesParts<Waiter>) {
    this.#table = table;
    this.#entries = entries;
    this.#unsettled = unsettled;
    this.#subscriptions = subscriptions;
    this.#payload = payload;
    this.#again = again;
    this.#seeking = seeking;
  }

  /** Whether what comes next in the bucket's line has to be looked up in the indexes. */
  lookupDue(slot: number): boolean {
    const subscription = this.#subscriptions.get(slot);
    if (subscription === undefined || subscription.loading) return false;
    if (subscription.sought !== undefined && this.#seeking.bringUp(subscription) > 0) return true;
    return (
      this.#table.has(slot, OLDER) &&
      subscription.requeued.size === 0 &&
      subscription.aheadAt === subscription.ahead.length
    );
  }

  /** The sequence of what is to be looked up before the rest of the line; 0: nothing is. */
  soughtNext(subscription: Subscription<Waiter>): number {
    return this.#seeking.bringUp(subscription);
  }

  /** Takes over what was found of that: all records from there to before sequence `end`. */
  foundSought(slot: number, records: readonly Found[], end: number): void {
    this.#seeking.found(this.#subscriptions.get(slot)!, records, end);
  }

  /** Takes over what a lookup found, in order; returns how many messages of it wait. */
  found(slot: number, records: readonly Found[]): number {
    const subscription = this.#subscriptions.get(slot);
    assert(subscription !== undefined, 'a lookup ended for a bucket that nobody watches');
    const { numbers, counts } = this.#table.page(slot);
    const next = numbers[numbersAt(slot) + NEXT]!;
    const ahead = this.slicesOf(slot, records, next);
    if (!this.waitsBefore(slot)) subscription.passed = this.#unsettled.firstRetried(records, next);
    const messages = ahead.reduce((sum, { count }) => sum + count, 0);
    subscription.ahead = ahead;
    subscription.aheadAt = 0;
    if (this.#table.has(slot, COUNTED)) return messages;
    counts[countsAt(slot) + READY]! += messages;
    for (const slice of ahead) this.#payload.addPart(slice);
    return messages;
  }

  /** Whether a message is to come again that stands before the place where the line goes on, of
   * those that are in indexes and not counted as delayed. */
  waitsBefore(slot: number): boolean {
    const passed = this.#subscriptions.get(slot)?.passed ?? 0;
    return passed > 0 && this.#unsettled.isRetried(passed);
  }

  /** Whether any of so many neighbours is ready. */
  hasReady(sequence: number, messages: number): boolean {
    return this.#unsettled.hasReady(sequence, messages);
  }

  /** What waits of a bucket's records that a lookup found, from sequence `next` on. */
  slicesOf(slot: number, records: readonly Found[], next: number): Slice[] {
    return this.#unsettled.slicesOf(slot, records, next);
  }

  /** The indexes hold nothing more of the line: it goes on in entries. */
  exhausted(slot: number): void {
    const { words } = this.#table.page(slot);
    const at = wordsAt(slot);
    words[at + FLAGS] = (words[at + FLAGS]! & ~OLDER) | COUNTED;
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
      const flags = page.words[at + FLAGS]!;
      const taken = page.words[at + TAKEN]!;
      const first = entries.sequence(entry) + taken;
      if ((flags & COUNTED) === 0) {
        const rewound = (flags & REWOUND) !== 0;
        const ready = this.#unsettled.countOf(first, entries.count(entry) - taken, rewound);
        page.counts[countsAt(slot) + READY]! -= ready;
        if (this.#payload.isOn)
          this.#payload.add(slot, -this.#payload.ofEntry(entries, entry, ready));
      }
      // What was passed over because it waited may be sought by now.
      if ((flags & OLDER) === 0) page.numbers[numbersAt(slot) + NEXT] = first;
      page.words[at + FLAGS]! |= OLDER;
      advance(page, slot, next);
    });
    entries.release(end);
    return end === to;
  }

  /** Records of the segments from `base` to before `end` stand elsewhere now. */
  moved(base: Position, end: Position, where: (slice: Slice) => void): void {
    for (const subscription of this.#subscriptions.values()) {
      const { requeued, suspects } = subscription;
      for (const slice of [...requeued.slices, ...(suspects?.slices ?? [])])
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
   * the line.
   */
  park(subscription: Subscription<Waiter>): void {
    if (this.#again.park(subscription)) this.#subscriptions.delete(subscription.slot);
  }
}
