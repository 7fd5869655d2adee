// The buckets that somebody watches or that the broker remembers: where each one's line goes on,
// what came back, who waits for it, and its counts. The line itself lies in entries for the newest
// segments, and in the segment indexes on disk for everything older (indexed-lines.ts), so that
// memory follows activity and not backlog.
//
//            push                    take                       settle
//   durable ------> ready (in line) ------> unacked (on a link) ------> gone
//                        ^                        |
//                        +----- requeue ----------+   at its old place in the order
//
//   order of a line:   requeued   <   ahead (looked up)   <   rest of the indexes   <   entries
//
// A bucket that is empty and watched by nobody does not exist. One that is idle may be forgotten
// although it is not empty: what waits is found again in the indexes, from the oldest segment on.

import { assert } from '../assert.ts';
import type { Outcomes } from '../collections/outcomes.ts';
import type { Position } from '../ports/basics.ts';
import { BucketIndex } from './bucket-index.ts';
import { BucketRules } from './bucket-rules.ts';
import {
  advance,
  BucketTable,
  COUNTED,
  countsAt,
  FLAGS,
  HEAD,
  HIGH,
  LOW,
  NEXT,
  numbersAt,
  OLDER,
  PAGE_BITS,
  type Page,
  READY,
  REWOUND,
  TAIL,
  TAKEN,
  UNACKED,
  UNCOUNTED,
  wordsAt,
} from './bucket-table.ts';
import { Delayed } from './delayed.ts';
import { Entries } from './entries.ts';
import type { Held } from './held.ts';
import { IdleBuckets } from './idle-buckets.ts';
import { IndexedLines } from './indexed-lines.ts';
import { PayloadCounts } from './payload-counts.ts';
import { BucketRates } from './rates.ts';
import { ReadyAgain } from './ready-again.ts';
import { Seeking, SOUGHT_MAX } from './seeking.ts';
import { emptySlice, type Slice } from './slice.ts';
import { idText, Subscription } from './subscription.ts';
import { Unsettled } from './unsettled.ts';

export class Buckets<Waiter> {
  readonly entries = new Entries();
  readonly #table = new BucketTable();
  readonly #pages = this.#table.pages;
  readonly rates = new BucketRates(this.#table);
  readonly rules = new BucketRules(this.#pages);
  readonly payload: PayloadCounts;
  readonly outcomes: Outcomes;
  readonly #slotsMax: number;
  readonly #index: BucketIndex;
  readonly #subscriptions = new Map<number, Subscription<Waiter>>();
  /** Whether a bucket that is not known may have messages, in indexes. */
  isPartial = false;
  readonly #unsettled: Unsettled;
  readonly #held: Held;
  readonly #idle: IdleBuckets;
  readonly #seeking: Seeking;
  readonly #again: ReadyAgain<Waiter>;
  /** What is not ready yet. */
  readonly delayed: Delayed;
  /** The older part of the lines. */
  readonly indexed: IndexedLines<Waiter>;
  readonly #headSlice: Slice = emptySlice();
  /** Messages over all buckets. */
  ready = 0;
  unacked = 0;

  /**
   * Beyond `slotsMax` buckets, idle ones are forgotten whose messages are all in indexes; beyond
   * `soughtMax` runs that came back, lines go back.
   */
  constructor(hashSeed: number, outcomes: Outcomes, slotsMax = 1 << 20, soughtMax = SOUGHT_MAX) {
    this.#index = new BucketIndex(hashSeed, this.#table);
    this.outcomes = outcomes;
    this.payload = new PayloadCounts(this.#pages, outcomes.placed);
    this.#unsettled = new Unsettled(outcomes);
    this.#held = this.#unsettled.held;
    const { entries, payload } = this;
    const unsettled = this.#unsettled;
    const lines = { entries, unsettled, subscriptions: this.#subscriptions };
    this.#seeking = new Seeking(lines, soughtMax);
    const shared = { ...lines, table: this.#table, payload, outcomes, seeking: this.#seeking };
    const again = new ReadyAgain(shared);
    this.#again = again;
    this.delayed = new Delayed({ ...shared, index: this.#index, again, totals: this });
    this.#idle = new IdleBuckets(this.#table, this.#subscriptions, this.delayed);
    this.indexed = new IndexedLines({ ...shared, again });
    this.#slotsMax = slotsMax;
  }

  /** Buckets that are known. */
  get count(): number {
    return this.#index.count;
  }

  /** Slot of the bucket, made if it is not there. */
  open(low: number, high: number): number {
    const found = this.#index.find(low, high);
    if (found !== 0) return found;
    if (this.#index.count >= this.#slotsMax) this.#forgetIdle();
    const flags = this.isPartial ? OLDER | UNCOUNTED : COUNTED;
    const slot = this.#table.open(low, high, flags, this.rates.nowMs);
    this.#index.add(low, high, slot);
    return slot;
  }

  find(low: number, high: number): number {
    return this.#index.find(low, high);
  }

  subscription(slot: number): Subscription<Waiter> | undefined {
    return this.#subscriptions.get(slot);
  }

  /** The bucket's subscription, made if it is not there. */
  openSubscription(slot: number): Subscription<Waiter> {
    let subscription = this.#subscriptions.get(slot);
    if (subscription === undefined) {
      subscription = new Subscription(slot);
      this.#subscriptions.set(slot, subscription);
    }
    return subscription;
  }

  /** Buckets that have a subscription. */
  get watched(): number {
    return this.#subscriptions.size;
  }

  subscriptions(): Iterable<Subscription<Waiter>> {
    return this.#subscriptions.values();
  }

  #page(slot: number): Page {
    return this.#pages[slot >>> PAGE_BITS]!;
  }

  /** Forgets whatever of the bucket costs something and is not needed. */
  tidy(slot: number): void {
    const subscription = this.#subscriptions.get(slot);
    if (subscription !== undefined && subscription.consumers === 0 && !subscription.loading)
      this.indexed.park(subscription);
    if (this.readyOf(slot) !== 0 || this.unackedOf(slot) !== 0 || this.#subscriptions.has(slot))
      return;
    if (this.#table.has(slot, OLDER) && !this.#table.has(slot, COUNTED)) return;
    if (this.delayed.keeps(slot)) return;
    this.#remove(slot);
  }

  #remove(slot: number): void {
    const { low, high } = this.placeOf(slot);
    this.#index.remove(low, high);
    this.#table.close(slot);
  }

  #forgetIdle(): void {
    this.#idle.look((slot) => {
      if (this.#table.has(slot, OLDER) || this.delayed.keeps(slot)) this.isPartial = true;
      this.#remove(slot);
      return this.count >= this.#slotsMax;
    });
  }

  /** Puts the messages of a durable record at the end of the line. */
  push(
    slot: number,
    position: Position,
    sequence: number,
    count: number,
    bodyBytes: number,
    attempts: number,
  ): void {
    const { entries } = this;
    const page = this.#page(slot);
    const { numbers, words, counts } = page;
    const at = wordsAt(slot);
    const places = numbersAt(slot);
    const low = words[at + LOW]!;
    const high = words[at + HIGH]!;
    const entry = entries.add(low, high, position, sequence, count, bodyBytes, attempts, slot);
    if (numbers[places + HEAD] === 0) {
      numbers[places + HEAD] = entry;
      words[at + TAKEN] = 0;
      if ((words[at + FLAGS]! & OLDER) === 0) numbers[places + NEXT] = sequence;
    }
    const tail = numbers[places + TAIL]!;
    if (tail >= entries.from) entries.link(tail, entry);
    numbers[places + TAIL] = entry;
    counts[countsAt(slot) + READY]! += count;
    this.ready += count;
    if (this.payload.isOn) this.payload.addRecord(slot, sequence, bodyBytes, count);
    this.rates.published(page, slot, count);
  }

  /** What to deliver next; undefined also if it must be looked up first. */
  peek(slot: number): Slice | undefined {
    const subscription = this.#subscriptions.get(slot);
    if (subscription !== undefined) {
      if (subscription.sought !== undefined && this.#seeking.bringUp(subscription) > 0)
        return undefined;
      const requeued = subscription.requeued.peek();
      if (requeued !== undefined) return requeued;
      if (subscription.aheadAt < subscription.ahead.length)
        return subscription.ahead[subscription.aheadAt];
    }
    const page = this.#page(slot);
    const flags = page.words[wordsAt(slot) + FLAGS]!;
    if ((flags & OLDER) !== 0) return undefined;
    return this.#peekHead(page, slot, (flags & REWOUND) !== 0);
  }

  #peekHead(page: Page, slot: number, rewound: boolean): Slice | undefined {
    const { entries } = this;
    const slice = this.#headSlice;
    const at = wordsAt(slot);
    for (;;) {
      const entry = page.numbers[numbersAt(slot) + HEAD]!;
      if (entry === 0) {
        if (rewound) page.words[at + FLAGS]! &= ~REWOUND;
        return undefined;
      }
      slice.slot = slot;
      entries.read(entry, page.words[at + TAKEN]!, slice);
      if (this.#unsettled.cut(slice, rewound)) return slice;
      advance(page, slot, entries.next(entry));
    }
  }

  /** Takes the first `count` messages of the slice that `peek` gave: ready -> unacked. */
  take(slice: Slice, count: number): void {
    if (this.#held.isOn) this.#held.add(slice.sequence, count);
    const { counts } = this.#removeFrom(slice, count);
    counts[countsAt(slice.slot) + UNACKED]! += count;
    this.unacked += count;
  }

  /** Takes the whole slice that `peek` gave out of the line without delivering it. */
  setAside(slice: Slice): Slice {
    const aside = { ...slice };
    this.payload.takePart(slice);
    this.#removeFrom(slice, slice.count);
    this.#unsettled.setAside(aside);
    return aside;
  }

  #removeFrom(slice: Slice, count: number): Page {
    const { slot } = slice;
    const page = this.#page(slot);
    assert(count > 0 && count <= slice.count, 'more was taken than there is');
    const isHead = slice === this.#headSlice;
    const subscription = isHead ? undefined : this.#subscriptions.get(slot);
    const isRequeued = subscription?.requeued.peek() === slice;
    const isNext = isHead || isRequeued || subscription?.ahead[subscription.aheadAt] === slice;
    assert(isNext, 'a slice was taken that is not the next one');
    const { numbers, words, counts } = page;
    counts[countsAt(slot) + READY]! -= count;
    this.ready -= count;
    slice.first += count;
    slice.sequence += count;
    slice.count -= count;
    if (!isRequeued) numbers[numbersAt(slot) + NEXT] = slice.sequence;
    if (isHead) {
      const entry = numbers[numbersAt(slot) + HEAD]!;
      if (slice.first === this.entries.count(entry)) advance(page, slot, this.entries.next(entry));
      else words[wordsAt(slot) + TAKEN] = slice.first;
    } else if (slice.count === 0) {
      if (isRequeued) subscription!.requeued.pop();
      else subscription!.aheadAt++;
    }
    return page;
  }

  /** Delivered messages were acked: unacked -> gone; `bytes` of payload, where it is counted. */
  settle(slot: number, sequence: number, count: number, bytes = 0): void {
    const page = this.#page(slot);
    const { counts } = page;
    const at = countsAt(slot);
    assert(counts[at + UNACKED]! >= count, 'more was acked than delivered');
    assert(this.outcomes.settled.add(sequence, count) === count, 'a message was settled twice');
    counts[at + UNACKED]! -= count;
    this.unacked -= count;
    if (this.#held.isOn) this.#held.remove(sequence, count);
    if (this.payload.isOn) this.delayed.settled(slot, bytes);
    this.rates.settled(page, slot, count);
  }

  /** Delivered messages come back at their old place: unacked -> ready. Keeps the slice. */
  requeue(slice: Slice): void {
    this.#again.requeue(slice);
    this.unacked -= slice.count;
    this.ready += slice.count;
  }

  /** The bucket as two words, and the sequence from which on its line goes on. */
  placeOf(slot: number): { low: number; high: number; next: number } {
    const { numbers, words } = this.#page(slot);
    const at = wordsAt(slot);
    const next = numbers[numbersAt(slot) + NEXT]!;
    return { low: words[at + LOW]!, high: words[at + HIGH]!, next };
  }

  /**
   * Recovery is done: entries before sequence `next` may be settled partly, `live` messages wait
   * in all. `isPartial`: some are in indexes whose buckets are not known.
   */
  recovered(next: number, live: number, isPartial: boolean): void {
    const { delayed } = this;
    this.#unsettled.recoveredTo = next;
    this.ready = live - delayed.recovered(next, isPartial);
    this.rates.clear();
    this.isPartial = isPartial;
    for (const slot of [...this.slots()])
      if (this.readyOf(slot) === 0 && !delayed.keeps(slot)) this.#remove(slot);
  }

  /** Counts payload from now on, that of what waits in entries, too. */
  countPayload(): void {
    this.payload.begin(this, this.#unsettled);
  }

  readyOf(slot: number): number {
    return this.#page(slot).counts[countsAt(slot) + READY]!;
  }

  unackedOf(slot: number): number {
    return this.#page(slot).counts[countsAt(slot) + UNACKED]!;
  }

  /** Whether `readyOf` counts everything, also what is only in indexes. */
  isCounted(slot: number): boolean {
    return this.#table.has(slot, COUNTED);
  }

  /** The bucket's id as decimal text. */
  idOf(slot: number): string {
    const { low, high } = this.placeOf(slot);
    return idText(low, high);
  }

  /** Where the line goes on: head, messages taken of it, whether indexes are first, REWOUND. */
  headOf(slot: number): { entry: number; taken: number; isOlder: boolean; isRewound: boolean } {
    const { numbers, words } = this.#page(slot);
    const entry = numbers[numbersAt(slot) + HEAD]!;
    const [isOlder, isRewound] = [this.#table.has(slot, OLDER), this.#table.has(slot, REWOUND)];
    return { entry, taken: words[wordsAt(slot) + TAKEN]!, isOlder, isRewound };
  }

  /** Slots are below this. */
  get slotsEnd(): number {
    return this.#table.end;
  }

  /** Whether a slot stands for a bucket. */
  inUse(slot: number): boolean {
    return this.#table.isUsed(slot);
  }

  /** What is ready and unacked, by slot; nothing is in those that are free. */
  eachCount(visit: (slot: number, ready: number, unacked: number) => void): void {
    this.#table.eachCount(visit);
  }

  /** Slots that are in use, in no particular order. */
  *slots(): Generator<number> {
    yield* this.#table.slots();
  }
}
