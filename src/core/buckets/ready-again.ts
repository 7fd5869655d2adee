// Where messages go that are ready again, as their time has come, as their consumer failed or as
// nobody is left to take them: to their old place in the order of the line.
//
//   requeued, sought, suspects   <   ahead (looked up)   <   rest of the indexes   <   entries
//                                ▲ the place where the line goes on
//
// 1. At or behind that place nothing is put anywhere: the line comes to them. What was looked up
//    beyond them is dropped.
// 2. Before it, while somebody consumes and there is room: they are sought there and then.
// 3. Else the line goes back to them, and what stands behind is no longer sought: the line comes to
//    that, too.
// 4. A line that went back asks of each entry in memory whether it is ready, until it is found
//    empty. What is looked up in indexes is asked so in any case.
//
// A line that still has to look into indexes has two places, one there and one in its entries.

import { assert } from '../assert.ts';
import type { Outcomes } from '../collections/outcomes.ts';
import {
  type BucketTable,
  COUNTED,
  countsAt,
  DELAYED,
  delayedAt,
  FLAGS,
  HEAD,
  HIGH,
  kindIn,
  LOW,
  NEXT,
  numbersAt,
  OLDER,
  type Page,
  READY,
  REWOUND,
  TAKEN,
  UNACKED,
  wordsAt,
} from './bucket-table.ts';
import type { Entries } from './entries.ts';
import type { Isolation } from './isolation.ts';
import type { PayloadCounts } from './payload-counts.ts';
import type { Seeking } from './seeking.ts';
import type { Slice } from './slice.ts';
import { Subscription } from './subscription.ts';
import type { Unsettled } from './unsettled.ts';

export interface ReadyAgainParts<Waiter> {
  readonly table: BucketTable;
  readonly entries: Entries;
  readonly unsettled: Unsettled;
  readonly subscriptions: Map<number, Subscription<Waiter>>;
  readonly outcomes: Outcomes;
  readonly seeking: Seeking;
  readonly isolation: Isolation;
  readonly payload: PayloadCounts;
}

export class ReadyAgain<Waiter> {
  readonly #parts: ReadyAgainParts<Waiter>;
  readonly #seeking: Seeking;

  constructor(parts: ReadyAgainParts<Waiter>) {
    this.#parts = parts;
    this.#seeking = parts.seeking;
  }

  /** Delivered messages come back: unacked -> ready. Keeps the slice, if it is before the line. */
  requeue(slice: Slice): void {
    const { slot, sequence, count, level } = slice;
    const { table, outcomes, payload, subscriptions, unsettled, isolation } = this.#parts;
    const page = table.page(slot);
    const at = countsAt(slot);
    assert(page.counts[at + UNACKED]! >= count, 'more came back than was delivered');
    page.counts[at + UNACKED]! -= count;
    page.counts[at + READY]! += count;
    outcomes.attempts.set(sequence, count, slice.attempts);
    if (level > 0 || !outcomes.levels.isEmpty) outcomes.levels.set(sequence, count, level);
    if (unsettled.held.isOn) unsettled.held.remove(sequence, count);
    if (sequence + count > this.#placeOf(page, slot)) {
      this.put(slot, sequence, count, (part) => payload.ofPart(slice, 0, part));
      return;
    }
    let subscription = subscriptions.get(slot);
    if (subscription === undefined) {
      subscription = new Subscription(slot);
      subscriptions.set(slot, subscription);
    }
    if (level > 0) isolation.add(subscription, slice);
    else subscription.requeued.push(slice);
  }

  // The sequence from which on the bucket's line goes on.
  #placeOf(page: Page, slot: number): number {
    const isOlder = this.#parts.table.has(slot, OLDER);
    return isOlder ? page.numbers[numbersAt(slot) + NEXT]! : this.#headAt(page, slot);
  }

  /**
   * Messages of a bucket are ready again, and counted so already. Those are taken out of its count
   * that are only counted when they are looked up; `payloadOf`: the payload of so many of them.
   */
  put(slot: number, sequence: number, count: number, payloadOf?: (count: number) => number): void {
    const { entries, table } = this.#parts;
    const page = table.page(slot);
    const end = sequence + count;
    const indexed = Math.max(sequence, Math.min(end, entries.firstSequence));
    if (end > indexed) this.#putInEntries(page, slot, indexed, end);
    if (indexed > sequence) this.#putInIndexes(page, slot, sequence, indexed, payloadOf);
  }

  #putInEntries(page: Page, slot: number, sequence: number, end: number): void {
    // Before that, the line has to look into indexes anyway.
    if (this.#parts.table.has(slot, OLDER)) {
      this.#headBack(page, slot, sequence);
      return;
    }
    const place = Math.min(end, this.#headAt(page, slot));
    page.words[wordsAt(slot) + FLAGS]! |= REWOUND;
    if (place > sequence && !this.#seeking.add(slot, sequence, place - sequence))
      this.#goBack(page, slot, sequence);
  }

  #putInIndexes(
    page: Page,
    slot: number,
    sequence: number,
    end: number,
    payloadOf: ((count: number) => number) | undefined,
  ): void {
    const { table } = this.#parts;
    const next = table.has(slot, OLDER) ? page.numbers[numbersAt(slot) + NEXT]! : end;
    const place = Math.max(sequence, Math.min(end, next));
    let found = end - place; // when the line comes to them
    if (found > 0) this.#reread(page, slot, place);
    if (place > sequence && !this.#seeking.add(slot, sequence, place - sequence)) {
      this.#goBack(page, slot, sequence);
      found = end - sequence;
    }
    if (found > 0 && !table.has(slot, COUNTED))
      this.#uncount(page, slot, found, payloadOf?.(found));
  }

  /**
   * Nobody consumes the bucket any more: its line goes back to what came back. False: that is in
   * entries, of which nobody knows who holds what.
   */
  park(subscription: Subscription<Waiter>): boolean {
    const { slot, requeued, sought, suspects } = subscription;
    const { entries, table, unsettled } = this.#parts;
    if (!unsettled.held.isOn)
      for (const slice of [...requeued.slices, ...(suspects?.slices ?? [])])
        if (slice.sequence >= entries.firstSequence) return false;
    const page = table.page(slot);
    let first = requeued.peek()?.sequence ?? Number.POSITIVE_INFINITY;
    first = Math.min(
      first,
      sought?.peek()?.sequence ?? first,
      suspects?.first()?.sequence ?? first,
    );
    // Whoever comes next has to find it waiting, too.
    const { passed } = subscription;
    if (unsettled.isWaiting(passed) && passed < this.#placeOf(page, slot))
      first = Math.min(first, passed);
    if (first < Number.POSITIVE_INFINITY) this.#goBack(page, slot, first);
    this.#dropAhead(page, subscription);
    return true;
  }

  // The line goes on from a sequence before the place where it would.
  #goBack(page: Page, slot: number, sequence: number): void {
    const { entries, subscriptions, table, isolation } = this.#parts;
    const indexed = entries.firstSequence;
    let head = sequence >= indexed ? sequence : Number.POSITIVE_INFINITY;
    const subscription = subscriptions.get(slot);
    if (subscription !== undefined) {
      for (const run of this.#seeking.dropFrom(subscription, sequence)) {
        const from = Math.max(run.sequence, indexed);
        const end = run.sequence + run.count;
        if (end > from) head = Math.min(head, from);
        const found = Math.min(end, from) - run.sequence;
        if (found > 0 && !table.has(slot, COUNTED)) this.#uncount(page, slot, found);
      }
      const apart = isolation.dropFrom(subscription, sequence);
      for (const slice of [...subscription.requeued.dropFrom(sequence), ...apart]) {
        if (slice.sequence >= indexed) head = Math.min(head, slice.sequence);
        else if (!table.has(slot, COUNTED)) this.#uncountSlice(page, slice);
      }
    }
    if (head < Number.POSITIVE_INFINITY) this.#headBack(page, slot, head);
    if (sequence >= indexed) return;
    page.words[wordsAt(slot) + FLAGS]! |= OLDER;
    page.numbers[numbersAt(slot) + NEXT] = sequence;
    if (subscription !== undefined) this.#dropAhead(page, subscription);
  }

  // What is in entries of the line goes on from there, if it would do so behind.
  #headBack(page: Page, slot: number, sequence: number): void {
    const { entries } = this.#parts;
    const { numbers, words } = page;
    const at = wordsAt(slot);
    words[at + FLAGS]! |= REWOUND;
    if (sequence >= this.#headAt(page, slot)) return;
    const entry = entries.at(sequence);
    const isOwn =
      entries.bucketLow(entry) === words[at + LOW] &&
      entries.bucketHigh(entry) === words[at + HIGH] &&
      entries.kind(entry) === kindIn(words[at + FLAGS]!);
    assert(isOwn, 'a line went back to an entry of another one');
    numbers[numbersAt(slot) + HEAD] = entry;
    words[at + TAKEN] = sequence - entries.sequence(entry);
  }

  // The sequence from which on the line goes on in entries; infinite where it ran empty.
  #headAt({ numbers, words }: Page, slot: number): number {
    const head = numbers[numbersAt(slot) + HEAD]!;
    if (head === 0) return Number.POSITIVE_INFINITY;
    return this.#parts.entries.sequence(head) + words[wordsAt(slot) + TAKEN]!;
  }

  // A message is ready again where the line was looked up already: that is done again.
  #reread(page: Page, slot: number, sequence: number): void {
    const subscription = this.#parts.subscriptions.get(slot);
    if (subscription !== undefined && sequence < subscription.readTo)
      this.#dropAhead(page, subscription);
  }

  #dropAhead(page: Page, subscription: Subscription<Waiter>): void {
    const { ahead, aheadAt, slot } = subscription;
    if (!this.#parts.table.has(slot, COUNTED))
      for (let at = aheadAt; at < ahead.length; at++) this.#uncountSlice(page, ahead[at]!);
    subscription.ahead = [];
    subscription.aheadAt = 0;
    subscription.cursor = undefined;
    subscription.readTo = 0;
    subscription.isStale = true;
  }

  // Messages in indexes are counted again when they are read again.
  #uncount({ counts, delayed }: Page, slot: number, count: number, payload?: number): void {
    const { payload: bytes } = this.#parts;
    const at = countsAt(slot);
    if (bytes.isOn) {
      // Nobody knows it of what was not looked up: their share of all that is counted.
      const others = counts[at + UNACKED]! + (delayed?.[delayedAt(slot) + DELAYED] ?? 0);
      const all = Math.max(count, counts[at + READY]! + others);
      bytes.add(slot, -(payload ?? Math.floor((bytes.of(slot) * count) / all)));
    }
    counts[at + READY]! -= count;
  }

  #uncountSlice({ counts }: Page, slice: Slice): void {
    counts[countsAt(slice.slot) + READY]! -= slice.count;
    this.#parts.payload.takePart(slice);
  }
}
