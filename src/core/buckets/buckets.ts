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

import { KIND_LIVE } from '../../../assembly/layout-placed.ts';
import { assert } from '../assert.ts';
import type { Outcomes } from '../collections/outcomes.ts';
import type { Position } from '../ports/basics.ts';
import { ActiveSources } from './active-sources.ts';
import { BucketIndex } from './bucket-index.ts';
import { BucketRules } from './bucket-rules.ts';
import {
  COUNTED,
  countsAt,
  FLAGS,
  HEAD,
  HIGH,
  KIND_SHIFT,
  kindIn,
  LOW,
  NEXT,
  numbersAt,
  OLDER,
  type Page,
  READY,
  TAIL,
  TAKEN,
  UNACKED,
  UNCOUNTED,
  wordsAt,
} from './bucket-table.ts';
import { Delayed } from './delayed.ts';
import { Entries } from './entries.ts';
import { LineFront } from './front.ts';
import type { Held } from './held.ts';
import { IdleBuckets } from './idle-buckets.ts';
import { IndexedLines } from './indexed-lines.ts';
import { Isolation } from './isolation.ts';
import { KnownLines } from './known-lines.ts';
import { PayloadCounts } from './payload-counts.ts';
import { BucketRates } from './rates.ts';
import { ReadyAgain } from './ready-again.ts';
import { Seeking, SOUGHT_MAX } from './seeking.ts';
import type { Slice } from './slice.ts';
import { Subscription } from './subscription.ts';
import type { Total } from './totals.ts';
import { Unsettled } from './unsettled.ts';

export class Buckets<Waiter> extends KnownLines {
  readonly entries = new Entries();
  readonly rates = new BucketRates(this.table);
  readonly rules = new BucketRules(this.table.pages);
  readonly sources = new ActiveSources(this.table, this.rules);
  readonly payload: PayloadCounts;
  readonly outcomes: Outcomes;
  readonly slotsMax: number;
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
  readonly front: LineFront; // what comes next in each line
  /** What is kept apart from the rest of its line. */
  readonly isolation: Isolation;

  /**
   * Beyond `slotsMax` buckets, idle ones are forgotten whose messages are all in indexes; beyond
   * `soughtMax` runs that came back, lines go back.
   */
  constructor(hashSeed: number, outcomes: Outcomes, slotsMax = 1 << 20, soughtMax = SOUGHT_MAX) {
    super();
    this.#index = new BucketIndex(hashSeed, this.table);
    this.outcomes = outcomes;
    this.payload = new PayloadCounts(this.table.pages, outcomes.placed);
    this.#unsettled = new Unsettled(outcomes);
    this.#held = this.#unsettled.held;
    const { entries, payload } = this;
    const lines = { entries, unsettled: this.#unsettled, subscriptions: this.#subscriptions };
    this.isolation = new Isolation(this.table, soughtMax);
    const apart = { ...lines, isolation: this.isolation };
    this.#seeking = new Seeking(apart, soughtMax);
    const shared = { ...apart, table: this.table, payload, outcomes, seeking: this.#seeking };
    this.front = new LineFront(shared);
    const again = new ReadyAgain(shared);
    this.#again = again;
    this.delayed = new Delayed({ ...shared, index: this.#index, again, totals: this.totals });
    this.#idle = new IdleBuckets(this.table, this.#subscriptions, this.delayed);
    this.indexed = new IndexedLines({ ...shared, again });
    this.slotsMax = slotsMax;
  }

  /** Slot of the bucket's line of a kind (layout.ts), made if it is not there. */
  open(low: number, high: number, kind = KIND_LIVE): number {
    const found = this.#index.find(low, high, kind);
    if (found !== 0) return found;
    if (this.#index.count >= this.slotsMax) this.#forgetIdle();
    const flags = (this.isPartial ? OLDER | UNCOUNTED : COUNTED) | (kind << KIND_SHIFT);
    const slot = this.table.open(low, high, flags, this.rates.nowMs);
    this.#index.add(low, high, kind, slot);
    return slot;
  }

  find(low: number, high: number, kind = KIND_LIVE): number {
    return this.#index.find(low, high, kind);
  }

  #totalOf({ words }: Page, slot: number): Total {
    return this.totals.of[kindIn(words[wordsAt(slot) + FLAGS]!)]!;
  }

  subscription(slot: number): Subscription<Waiter> | undefined {
    return this.#subscriptions.get(slot);
  }

  /** The bucket's subscription, made if it is not there. */
  openSubscription(slot: number): Subscription<Waiter> {
    const known = this.#subscriptions.get(slot);
    if (known !== undefined) return known;
    const subscription = new Subscription<Waiter>(slot);
    this.#subscriptions.set(slot, subscription);
    return subscription;
  }

  /** Buckets that have a subscription. */
  get watched(): number {
    return this.#subscriptions.size;
  }

  subscriptions(): Iterable<Subscription<Waiter>> {
    return this.#subscriptions.values();
  }

  /** Forgets whatever of the bucket costs something and is not needed. */
  tidy(slot: number): void {
    const subscription = this.#subscriptions.get(slot);
    if (subscription !== undefined && subscription.consumers === 0 && !subscription.loading)
      this.indexed.park(subscription);
    // Whoever was given what was dispatched may have tidied it.
    if (!this.inUse(slot) || this.#subscriptions.has(slot)) return;
    if (this.readyOf(slot) !== 0 || this.unackedOf(slot) !== 0) return;
    if (this.table.has(slot, OLDER) && !this.table.has(slot, COUNTED)) return;
    if (this.delayed.keeps(slot)) return;
    this.#remove(slot);
  }

  #remove(slot: number): void {
    if (this.sources.isOn) this.sources.forget(slot);
    const { low, high, kind } = this.placeOf(slot);
    this.#index.remove(low, high, kind);
    this.table.close(slot);
  }

  #forgetIdle(): void {
    this.#idle.look((slot) => {
      if (this.table.has(slot, OLDER) || this.delayed.keeps(slot)) this.isPartial = true;
      this.#remove(slot);
      return this.#index.count >= this.slotsMax;
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
    const page = this.page(slot);
    const { numbers, words, counts } = page;
    const at = wordsAt(slot);
    const places = numbersAt(slot);
    const low = words[at + LOW]!;
    const high = words[at + HIGH]!;
    const kind = kindIn(words[at + FLAGS]!);
    const entry = entries.add(
      low,
      high,
      position,
      sequence,
      count,
      bodyBytes,
      attempts,
      slot,
      kind,
    );
    if (numbers[places + HEAD] === 0) {
      numbers[places + HEAD] = entry;
      words[at + TAKEN] = 0;
      if ((words[at + FLAGS]! & OLDER) === 0) numbers[places + NEXT] = sequence;
    }
    const tail = numbers[places + TAIL]!;
    if (tail >= entries.from) entries.link(tail, entry);
    numbers[places + TAIL] = entry;
    counts[countsAt(slot) + READY]! += count;
    this.totals.of[kind]!.ready += count;
    if (this.payload.isOn) this.payload.addRecord(slot, sequence, bodyBytes, count);
    this.rates.published(page, slot, count);
  }

  /** What to deliver next; undefined also if it must be looked up first. */
  peek(slot: number): Slice | undefined {
    return this.front.peek(slot);
  }

  /** Takes the first `count` messages of the slice that `peek` gave: ready -> unacked. */
  take(slice: Slice, count: number): void {
    if (this.#held.isOn) this.#held.add(slice.sequence, count);
    const page = this.#removeFrom(slice, count);
    page.counts[countsAt(slice.slot) + UNACKED]! += count;
    this.#totalOf(page, slice.slot).unacked += count;
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
    this.front.pass(slice, count);
    const page = this.page(slice.slot);
    page.counts[countsAt(slice.slot) + READY]! -= count;
    this.#totalOf(page, slice.slot).ready -= count;
    return page;
  }

  /** Delivered messages were acked: unacked -> gone; `bytes` of payload, where it is counted. */
  settle(slot: number, sequence: number, count: number, bytes = 0): void {
    const page = this.page(slot);
    const { counts } = page;
    const at = countsAt(slot);
    assert(counts[at + UNACKED]! >= count, 'more was acked than delivered');
    assert(this.outcomes.settled.add(sequence, count) === count, 'a message was settled twice');
    counts[at + UNACKED]! -= count;
    this.#totalOf(page, slot).unacked -= count;
    if (this.#held.isOn) this.#held.remove(sequence, count);
    if (this.payload.isOn) this.delayed.settled(slot, bytes);
    this.rates.settled(page, slot, count);
  }

  /**
   * Messages that were taken stand in another line, or cannot be read: unacked -> elsewhere, with
   * their `bytes` of payload, where it is counted. That they are settled is for others to note.
   */
  left({ slot, sequence, count }: Slice, bytes: number): void {
    const page = this.page(slot);
    const at = countsAt(slot) + UNACKED;
    assert(page.counts[at]! >= count, 'more left a bucket than was taken from it');
    page.counts[at]! -= count;
    this.#totalOf(page, slot).unacked -= count;
    if (this.#held.isOn) this.#held.remove(sequence, count);
    if (this.payload.isOn) this.delayed.settled(slot, bytes);
    this.rates.settled(page, slot, count);
  }

  /** Messages that were taken cannot be read: no line has them until the next start. */
  setHeldAside(part: Slice, bytes: number): void {
    this.left(part, bytes);
    this.#unsettled.setAside(part);
  }

  /** Delivered messages come back at their old place: unacked -> ready. Keeps the slice. */
  requeue(slice: Slice): void {
    const { slot, count } = slice;
    this.#again.requeue(slice);
    const total = this.#totalOf(this.page(slot), slot);
    total.unacked -= count;
    total.ready += count;
  }

  /**
   * Recovery is done: entries before sequence `next` may be settled partly, `live` messages wait
   * in all. `isPartial`: some are in indexes whose buckets are not known.
   */
  recovered(next: number, live: number, isPartial: boolean): void {
    const { delayed } = this;
    this.#unsettled.recoveredTo = next;
    this.totals.recovered(live - delayed.recovered(next, isPartial), this.outcomes, next);
    this.rates.clear();
    this.isPartial = isPartial;
    for (const slot of [...this.slots()])
      if (this.readyOf(slot) === 0 && !delayed.keeps(slot)) this.#remove(slot);
  }

  /** Counts payload from now on; `isLate`: messages may have been given out since the start. */
  countPayload(isLate = false): void {
    this.payload.begin(this, this.#unsettled, isLate);
  }
}
