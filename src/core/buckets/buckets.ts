// The buckets that somebody watches or that the broker remembers: where each one's line goes on,
// what came back, who waits for it, and its counts. The line itself lies in entries for the newest
// segments, and in the indexes on disk (*runs*) for everything older, so that memory follows
// activity and not backlog.
//
//            push                    take                       settle
//   durable ------> ready (in line) ------> unacked (on a link) ------> gone
//                        ^                        |
//                        +----- requeue ----------+   at its old place in the order
//
//   order of a line:   returned   <   ahead (read from runs)   <   rest of the runs   <   entries
//
// A bucket that is empty and watched by nobody does not exist. One that is idle may be forgotten
// although it is not empty: what waits is found again in the runs, from the oldest segment on.

import { assert } from '../assert.ts';
import type { Outcomes } from '../collections/sequence-set.ts';
import type { Found, Position } from '../ports/basics.ts';
import { BucketIndex } from './bucket-index.ts';
import {
  BucketTable,
  countsAt,
  FLAGS,
  HEAD,
  HIGH,
  LOW,
  NEXT,
  numbersAt,
  PAGE_BITS,
  type Page,
  READY,
  TAIL,
  TAKEN,
  UNACKED,
  USED,
  wordsAt,
} from './bucket-table.ts';
import { Entries } from './entries.ts';
import { BucketRates } from './rates.ts';
import { emptySlice, type Slice } from './slice.ts';
import { idText, Subscription } from './subscription.ts';
import { Unsettled } from './unsettled.ts';

export { idText } from './subscription.ts';

// Flags of a slot, beside `USED`.
const OLDER = 1; // runs may hold messages of the bucket from `next` on
const COUNTED = 2; // `ready` counts those, too
// Slots looked at for idle buckets when one comes and there are enough.
const LOOKS_MAX = 8;

export class Buckets<Waiter> {
  readonly entries = new Entries();
  readonly #table = new BucketTable();
  readonly #pages = this.#table.pages;
  readonly rates = new BucketRates(this.#table);
  readonly outcomes: Outcomes;
  readonly #slotsMax: number;
  readonly #index: BucketIndex;
  readonly #subscriptions = new Map<number, Subscription<Waiter>>();
  // The slot at which the search for idle buckets goes on: it goes round.
  #hand = 1;
  // Whether a bucket that is not known may have messages in runs.
  #isPartial = false;
  readonly #unsettled: Unsettled;
  readonly #headSlice: Slice = emptySlice();
  /** Messages over all buckets. */
  ready = 0;
  unacked = 0;

  /** Beyond `slotsMax` buckets, idle ones are forgotten whose messages are all in runs. */
  constructor(hashSeed: number, fates: Outcomes, slotsMax = 1 << 20) {
    this.#index = new BucketIndex(hashSeed, this.#table);
    this.outcomes = fates;
    this.#unsettled = new Unsettled(fates);
    this.#slotsMax = slotsMax;
  }

  /** Buckets that are known. */
  get count(): number {
    return this.#index.count;
  }

  /** Whether there may be more buckets with messages than are known. */
  get isPartial(): boolean {
    return this.#isPartial;
  }

  /** Slot of the bucket, made if it is not there. */
  open(low: number, high: number): number {
    const found = this.#index.find(low, high);
    if (found !== 0) return found;
    if (this.#index.count >= this.#slotsMax) this.#forgetIdle();
    const flags = this.#isPartial ? OLDER : COUNTED;
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

  /** The bucket's share, made if it is not there. */
  openSubscription(slot: number): Subscription<Waiter> {
    let share = this.#subscriptions.get(slot);
    if (share === undefined) {
      share = new Subscription(slot);
      this.#subscriptions.set(slot, share);
    }
    return share;
  }

  /** Buckets that have a share. */
  get watched(): number {
    return this.#subscriptions.size;
  }

  subscriptions(): Iterable<Subscription<Waiter>> {
    return this.#subscriptions.values();
  }

  #page(slot: number): Page {
    return this.#pages[slot >>> PAGE_BITS]!;
  }

  #has(slot: number, flag: number): boolean {
    return (this.#page(slot).words[wordsAt(slot) + FLAGS]! & flag) !== 0;
  }

  /** Forgets whatever of the bucket costs something and is not needed. */
  tidy(slot: number): void {
    const share = this.#subscriptions.get(slot);
    if (share !== undefined && share.consumers === 0 && !share.loading) this.#park(share);
    if (this.readyOf(slot) !== 0 || this.unackedOf(slot) !== 0 || this.#subscriptions.has(slot))
      return;
    if (this.#has(slot, OLDER) && !this.#has(slot, COUNTED)) return;
    this.#remove(slot);
  }

  #remove(slot: number): void {
    const { low, high } = this.placeOf(slot);
    this.#index.remove(low, high);
    this.#table.close(slot);
  }

  // Nobody consumes the bucket any more: what came back is found again in the runs, if it is there
  // already.
  #park(share: Subscription<Waiter>): void {
    const { slot, requeued: returned } = share;
    const { numbers, words, counts } = this.#page(slot);
    const indexed = this.#indexedTo();
    let next = numbers[numbersAt(slot) + NEXT]!;
    for (const part of returned.slices) {
      if (part.sequence >= indexed) return;
      next = Math.min(next, part.sequence);
    }
    if (!this.#has(slot, COUNTED)) {
      // They are counted again when they are read again.
      const ahead = share.ahead.slice(share.aheadAt);
      for (const part of [...returned.slices, ...ahead])
        counts[countsAt(slot) + READY]! -= part.count;
    }
    if (returned.size > 0) words[wordsAt(slot) + FLAGS]! |= OLDER;
    numbers[numbersAt(slot) + NEXT] = next;
    this.#subscriptions.delete(slot);
  }

  // The sequence from which on messages are in entries.
  #indexedTo(): number {
    const { from, end } = this.entries;
    return from < end ? this.entries.sequence(from) : Number.POSITIVE_INFINITY;
  }

  // Some at a time, so that nobody waits while all are looked at. Who comes takes the slot of one
  // that was just forgotten, which is behind the hand, and so stays for a whole round.
  #forgetIdle(): void {
    const { end } = this.#table;
    for (let looks = 0; looks < LOOKS_MAX && this.count >= this.#slotsMax; looks++) {
      const slot = this.#hand < end ? this.#hand : 1;
      this.#hand = this.#table.behind(slot);
      if (!this.#isIdle(slot)) continue;
      if (this.#has(slot, OLDER)) this.#isPartial = true;
      this.#remove(slot);
    }
  }

  // Whether all that is known of the bucket is in runs, and nobody needs it now.
  #isIdle(slot: number): boolean {
    const page = this.#pages[slot >>> PAGE_BITS];
    if (page === undefined) return false;
    const { numbers, words, counts } = page;
    return (
      (words[wordsAt(slot) + FLAGS]! & USED) !== 0 &&
      numbers[numbersAt(slot) + HEAD] === 0 &&
      counts[countsAt(slot) + UNACKED] === 0 &&
      !this.#subscriptions.has(slot)
    );
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
    } else {
      entries.link(numbers[places + TAIL]!, entry);
    }
    numbers[places + TAIL] = entry;
    counts[countsAt(slot) + READY]! += count;
    this.ready += count;
    this.rates.published(page, slot, count);
  }

  /** What to deliver next; undefined also if it must be looked up first. */
  peek(slot: number): Slice | undefined {
    const share = this.#subscriptions.get(slot);
    if (share !== undefined) {
      const returned = share.requeued.peek();
      if (returned !== undefined) return returned;
      if (share.aheadAt < share.ahead.length) return share.ahead[share.aheadAt];
    }
    const page = this.#page(slot);
    const isOlder = (page.words[wordsAt(slot) + FLAGS]! & OLDER) !== 0;
    return isOlder ? undefined : this.#peekHead(page, slot);
  }

  #peekHead(page: Page, slot: number): Slice | undefined {
    const { entries } = this;
    const part = this.#headSlice;
    for (;;) {
      const entry = page.numbers[numbersAt(slot) + HEAD]!;
      if (entry === 0) return undefined;
      part.slot = slot;
      entries.read(entry, page.words[wordsAt(slot) + TAKEN]!, part);
      if (this.#unsettled.cut(part)) return part;
      advance(page, slot, entries.next(entry));
    }
  }

  /** Takes the first `count` messages of the part that `peek` gave: ready -> unacked. */
  take(part: Slice, count: number): void {
    const { counts } = this.#removeFrom(part, count);
    counts[countsAt(part.slot) + UNACKED]! += count;
    this.unacked += count;
  }

  /** Takes the whole part that `peek` gave out of the line without delivering it. */
  setAside(part: Slice): Slice {
    const aside = { ...part };
    this.#removeFrom(part, part.count);
    this.#unsettled.setAside(aside);
    return aside;
  }

  #removeFrom(part: Slice, count: number): Page {
    const { slot } = part;
    const page = this.#page(slot);
    assert(count > 0 && count <= part.count, 'more was taken than there is');
    const isHead = part === this.#headSlice;
    const share = isHead ? undefined : this.#subscriptions.get(slot);
    const isReturned = share?.requeued.peek() === part;
    const isNext = isHead || isReturned || share?.ahead[share.aheadAt] === part;
    assert(isNext, 'a part was taken that is not the next one');
    const { numbers, words, counts } = page;
    counts[countsAt(slot) + READY]! -= count;
    this.ready -= count;
    part.first += count;
    part.sequence += count;
    part.count -= count;
    if (!isReturned) numbers[numbersAt(slot) + NEXT] = part.sequence;
    if (isHead) {
      const entry = numbers[numbersAt(slot) + HEAD]!;
      if (part.first === this.entries.count(entry)) advance(page, slot, this.entries.next(entry));
      else words[wordsAt(slot) + TAKEN] = part.first;
    } else if (part.count === 0) {
      if (isReturned) share!.requeued.pop();
      else share!.aheadAt++;
    }
    return page;
  }

  /** Delivered messages were acked: unacked -> gone. */
  settle(slot: number, sequence: number, count: number): void {
    const page = this.#page(slot);
    const { counts } = page;
    const at = countsAt(slot);
    assert(counts[at + UNACKED]! >= count, 'more was acked than delivered');
    assert(this.outcomes.settled.add(sequence, count) === count, 'a message was settled twice');
    counts[at + UNACKED]! -= count;
    this.unacked -= count;
    this.rates.settled(page, slot, count);
  }

  /** Delivered messages come back at their old place: unacked -> ready. Keeps the part. */
  requeue(part: Slice): void {
    const { slot } = part;
    const { counts } = this.#page(slot);
    const at = countsAt(slot);
    assert(counts[at + UNACKED]! >= part.count, 'more came back than was delivered');
    counts[at + UNACKED]! -= part.count;
    counts[at + READY]! += part.count;
    this.unacked -= part.count;
    this.ready += part.count;
    this.outcomes.attempts.set(part.sequence, part.count, part.attempts);
    this.openSubscription(slot).requeued.push(part);
  }

  // --- what is in runs --------------------------------------------------------------------------

  /** Whether what comes next in the bucket's line has to be looked up in the runs. */
  lookupDue(slot: number): boolean {
    const share = this.#subscriptions.get(slot);
    return (
      share !== undefined &&
      this.#has(slot, OLDER) &&
      !share.loading &&
      share.requeued.size === 0 &&
      share.aheadAt === share.ahead.length
    );
  }

  /** The bucket as two words, and the sequence from which on its line goes on. */
  placeOf(slot: number): { low: number; high: number; next: number } {
    const { numbers, words } = this.#page(slot);
    const at = wordsAt(slot);
    const next = numbers[numbersAt(slot) + NEXT]!;
    return { low: words[at + LOW]!, high: words[at + HIGH]!, next };
  }

  /** Takes over what a lookup found, in order; returns how many messages of it wait. */
  found(slot: number, records: readonly Found[]): number {
    const share = this.#subscriptions.get(slot);
    assert(share !== undefined, 'a lookup ended for a bucket that nobody shares');
    const { numbers, counts } = this.#page(slot);
    const ahead = this.slicesOf(slot, records, numbers[numbersAt(slot) + NEXT]!);
    const messages = ahead.reduce((sum, { count }) => sum + count, 0);
    share.ahead = ahead;
    share.aheadAt = 0;
    if (!this.#has(slot, COUNTED)) counts[countsAt(slot) + READY]! += messages;
    return messages;
  }

  /** What waits of a bucket's records that a lookup found, from sequence `next` on. */
  slicesOf(slot: number, records: readonly Found[], next: number): Slice[] {
    return this.#unsettled.slicesOf(slot, records, next);
  }

  /** The runs hold nothing more of the bucket: its line goes on in entries. */
  exhausted(slot: number): void {
    this.#page(slot).words[wordsAt(slot) + FLAGS] = USED | COUNTED;
    const share = this.#subscriptions.get(slot);
    if (share !== undefined) share.cursor = undefined;
  }

  /**
   * Releases entries before `to`, whose segments have runs now; at most `most` of them in one call.
   * True when all are.
   */
  release(to: number, most: number): boolean {
    const { entries } = this;
    const end = Math.min(to, entries.from + most);
    entries.each(entries.from, end, (entry, slot, next) => {
      const page = this.#pages[slot >>> PAGE_BITS];
      // The bucket may be gone, and its slot another's: then it has another head, or none.
      if (page === undefined || page.numbers[numbersAt(slot) + HEAD] !== entry) return;
      const at = wordsAt(slot);
      if ((page.words[at + FLAGS]! & COUNTED) === 0) {
        const taken = page.words[at + TAKEN]!;
        const [first, count] = [entries.sequence(entry) + taken, entries.count(entry) - taken];
        page.counts[countsAt(slot) + READY]! -= this.#unsettled.countOf(first, count);
      }
      page.words[at + FLAGS]! |= OLDER;
      advance(page, slot, next);
    });
    entries.release(end);
    return end === to;
  }

  /** Records of the segments from `base` to before `end` stand elsewhere now. */
  moved(base: Position, end: Position, where: (part: Slice) => void): void {
    for (const share of this.#subscriptions.values()) {
      for (const part of share.requeued.slices)
        if (part.position >= base && part.position < end) where(part);
      for (let at = share.aheadAt; at < share.ahead.length; at++) {
        const part = share.ahead[at]!;
        if (part.position >= base && part.position < end) where(part);
      }
      const { cursor } = share;
      if (cursor !== undefined && cursor.base >= base && cursor.base < end)
        share.cursor = undefined;
    }
  }

  /**
   * Recovery is done: entries before sequence `next` may be settled in part, `live` messages wait
   * in all. `forgetful`: some are in runs whose buckets are not known.
   */
  recovered(next: number, live: number, forgetful: boolean): void {
    const { entries } = this;
    this.#unsettled.recoveredTo = next;
    this.ready = live;
    this.rates.clear();
    // What was released meanwhile is counted when it is found.
    for (const slot of this.slots()) this.#page(slot).counts[countsAt(slot) + READY] = 0;
    for (let entry = entries.from; entry < entries.end; entry++) {
      const slot = this.#index.find(entries.bucketLow(entry), entries.bucketHigh(entry));
      if (slot === 0) continue;
      const waiting = this.#unsettled.countOf(entries.sequence(entry), entries.count(entry));
      this.#page(slot).counts[countsAt(slot) + READY]! += waiting;
    }
    this.#isPartial = forgetful;
    for (const slot of [...this.slots()]) {
      const { numbers, words } = this.#page(slot);
      words[wordsAt(slot) + FLAGS] = USED | (forgetful ? OLDER : COUNTED);
      if (forgetful) numbers[numbersAt(slot) + NEXT] = 0;
      if (this.readyOf(slot) === 0) this.#remove(slot);
    }
  }

  readyOf(slot: number): number {
    return this.#page(slot).counts[countsAt(slot) + READY]!;
  }

  unackedOf(slot: number): number {
    return this.#page(slot).counts[countsAt(slot) + UNACKED]!;
  }

  /** Whether `readyOf` counts everything, also what is only in runs. */
  isCounted(slot: number): boolean {
    return this.#has(slot, COUNTED);
  }

  /** The bucket's id as decimal text. */
  idOf(slot: number): string {
    const { low, high } = this.placeOf(slot);
    return idText(low, high);
  }

  /** Where the bucket's line goes on: its head, what is taken of that, and whether runs are first. */
  headOf(slot: number): { entry: number; taken: number; isOlder: boolean } {
    const { numbers, words } = this.#page(slot);
    const entry = numbers[numbersAt(slot) + HEAD]!;
    return { entry, taken: words[wordsAt(slot) + TAKEN]!, isOlder: this.#has(slot, OLDER) };
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
    for (let slot = 1; slot < this.#table.end; slot = this.#table.behind(slot))
      if (this.inUse(slot)) yield slot;
  }
}

// The line goes on at entry `next`.
function advance({ numbers, words }: Page, slot: number, next: number): void {
  numbers[numbersAt(slot) + HEAD] = next;
  words[wordsAt(slot) + TAKEN] = 0;
  if (next === 0) numbers[numbersAt(slot) + TAIL] = 0;
}
