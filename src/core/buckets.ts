// The buckets that somebody watches or that the broker remembers: where each one's line goes on,
// what came back, who waits for it, and its counts. The line itself lies in entries for the newest
// segments, and in the indexes on disk (*runs*) for everything older, so that memory follows
// activity and not backlog.
//
//            push                    take                       settle
//   durable ------> ready (in line) ------> unacked (on a link) ------> gone
//                        ^                        |
//                        +----- giveBack ---------+   at its old place in the order
//
//   order of a line:   returned   <   ahead (read from runs)   <   rest of the runs   <   entries
//
// A bucket that is empty and watched by nobody does not exist. One that is idle may be forgotten
// although it is not empty: what waits is found again in the runs, from the oldest segment on.

import { assert } from './assert.ts';
import { Directory } from './directory.ts';
import { Entries } from './entries.ts';
import type { Found, Position } from './ports.ts';
import { BucketRates, grown } from './rates.ts';
import { type Fates, SequenceSet } from './settled.ts';
import { emptyPart, idText, type Part, Share } from './share.ts';

export { idText, type Part, Share } from './share.ts';

const FIELD_GROWTH = 1024;
// Flags of a slot.
const OLDER = 1; // runs may hold messages of the bucket from `next` on
const COUNTED = 2; // `ready` counts those, too

export class Buckets<Waiter> {
  readonly entries = new Entries();
  readonly rates = new BucketRates();
  readonly fates: Fates;
  readonly #slotsMax: number;
  #forgetAt: number;
  readonly #directory: Directory;
  // Columns by slot.
  #low = new Uint32Array(FIELD_GROWTH);
  #high = new Uint32Array(FIELD_GROWTH);
  #head = new Float64Array(FIELD_GROWTH); // entry
  #tail = new Float64Array(FIELD_GROWTH); // entry
  #taken = new Uint32Array(FIELD_GROWTH); // messages of the head that were taken
  #next = new Float64Array(FIELD_GROWTH); // sequence behind the last one taken in line
  #flags = new Uint8Array(FIELD_GROWTH);
  #ready = new Float64Array(FIELD_GROWTH);
  #unacked = new Float64Array(FIELD_GROWTH);
  readonly #shares = new Map<number, Share<Waiter>>();
  readonly #freeSlots: number[] = [];
  #slots = 1;
  // Whether a bucket that is not known may have messages in runs.
  #forgetful = false;
  // Entries before this sequence came from recovery: some of their messages may be settled.
  #recoveredTo = 0;
  // What cannot be read: lookups find it again, and must not.
  readonly #aside = new SequenceSet();
  readonly #headPart: Part = emptyPart();
  /** Messages over all buckets. */
  ready = 0;
  unacked = 0;

  /** Beyond `slotsMax` buckets, idle ones are forgotten whose messages are all in runs. */
  constructor(hashSeed: number, fates: Fates, slotsMax = 1 << 20) {
    this.#directory = new Directory(hashSeed);
    this.fates = fates;
    this.#slotsMax = slotsMax;
    this.#forgetAt = slotsMax;
  }

  /** Buckets that are known. */
  get count(): number {
    return this.#directory.count;
  }

  /** Whether there may be more buckets with messages than are known. */
  get forgetful(): boolean {
    return this.#forgetful;
  }

  /** Slot of the bucket, made if it is not there. */
  open(low: number, high: number): number {
    const found = this.#directory.find(low, high);
    if (found !== 0) return found;
    if (this.#directory.count >= this.#forgetAt) this.#forgetIdle();
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    if (slot >= this.#low.length) this.#grow();
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.#head[slot] = 0;
    this.#tail[slot] = 0;
    this.#taken[slot] = 0;
    this.#next[slot] = 0;
    this.#flags[slot] = this.#forgetful ? OLDER : COUNTED;
    this.#ready[slot] = 0;
    this.#unacked[slot] = 0;
    this.#directory.add(low, high, slot);
    this.rates.open(slot);
    return slot;
  }

  find(low: number, high: number): number {
    return this.#directory.find(low, high);
  }

  share(slot: number): Share<Waiter> | undefined {
    return this.#shares.get(slot);
  }

  /** The bucket's share, made if it is not there. */
  openShare(slot: number): Share<Waiter> {
    let share = this.#shares.get(slot);
    if (share === undefined) {
      share = new Share(slot);
      this.#shares.set(slot, share);
    }
    return share;
  }

  /** Buckets that have a share. */
  get watched(): number {
    return this.#shares.size;
  }

  shares(): Iterable<Share<Waiter>> {
    return this.#shares.values();
  }

  #has(slot: number, flag: number): boolean {
    return (this.#flags[slot]! & flag) !== 0;
  }

  /** Forgets whatever of the bucket costs something and is not needed. */
  tidy(slot: number): void {
    const share = this.#shares.get(slot);
    if (share !== undefined && share.consumers === 0 && !share.loading) this.#park(share);
    if (this.#ready[slot] !== 0 || this.#unacked[slot] !== 0 || this.#shares.has(slot)) return;
    if (this.#has(slot, OLDER) && !this.#has(slot, COUNTED)) return;
    this.#remove(slot);
  }

  #remove(slot: number): void {
    this.#directory.remove(this.#low[slot]!, this.#high[slot]!);
    this.#freeSlots.push(slot);
    if (this.#directory.count === 0) {
      this.#freeSlots.length = 0;
      this.#slots = 1;
    }
  }

  // Nobody consumes the bucket any more: what came back is found again in the runs, if it is there
  // already.
  #park(share: Share<Waiter>): void {
    const { slot, returned } = share;
    const indexed = this.#indexedTo();
    let next = this.#next[slot]!;
    for (const part of returned.parts) {
      if (part.sequence >= indexed) return;
      next = Math.min(next, part.sequence);
    }
    if (!this.#has(slot, COUNTED)) {
      // They are counted again when they are read again.
      const ahead = share.ahead.slice(share.aheadAt);
      for (const part of [...returned.parts, ...ahead]) this.#ready[slot]! -= part.count;
    }
    if (returned.size > 0) this.#flags[slot]! |= OLDER;
    this.#next[slot] = next;
    this.#shares.delete(slot);
  }

  // The sequence from which on messages are in entries.
  #indexedTo(): number {
    const { from, end } = this.entries;
    return from < end ? this.entries.sequence(from) : Number.POSITIVE_INFINITY;
  }

  #forgetIdle(): void {
    for (let slot = 1; slot < this.#slots; slot++) {
      if (this.#head[slot] !== 0 || this.#unacked[slot] !== 0 || this.#shares.has(slot)) continue;
      if (!this.inUse(slot)) continue;
      if (this.#has(slot, OLDER)) this.#forgetful = true;
      this.#remove(slot);
    }
    this.#forgetAt = Math.max(this.#slotsMax, Math.floor(this.#directory.count * 1.25));
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
    const [low, high] = [this.#low[slot]!, this.#high[slot]!];
    const entry = entries.add(low, high, position, sequence, count, bodyBytes, attempts);
    if (this.#head[slot] === 0) {
      this.#head[slot] = entry;
      this.#taken[slot] = 0;
      if (!this.#has(slot, OLDER)) this.#next[slot] = sequence;
    } else {
      entries.link(this.#tail[slot]!, entry);
    }
    this.#tail[slot] = entry;
    this.#ready[slot]! += count;
    this.ready += count;
    this.rates.published(slot, count);
  }

  /** What to deliver next; undefined also if it must be looked up first. */
  peek(slot: number): Part | undefined {
    const share = this.#shares.get(slot);
    if (share !== undefined) {
      const returned = share.returned.peek();
      if (returned !== undefined) return returned;
      if (share.aheadAt < share.ahead.length) return share.ahead[share.aheadAt];
    }
    return this.#has(slot, OLDER) ? undefined : this.#peekHead(slot);
  }

  #peekHead(slot: number): Part | undefined {
    const { entries } = this;
    const part = this.#headPart;
    for (;;) {
      const entry = this.#head[slot]!;
      if (entry === 0) return undefined;
      const sequence = entries.sequence(entry);
      const taken = this.#taken[slot]!;
      part.position = entries.position(entry);
      part.bodyBytes = entries.bodyBytes(entry);
      part.sequence = sequence + taken;
      part.first = taken;
      part.count = entries.count(entry) - taken;
      part.attempts = entries.attempts(entry);
      if (sequence >= this.#recoveredTo || this.#toUnsettled(part)) return part;
      this.#advance(slot, entry);
    }
  }

  // Cuts a part to its first run of messages that wait and have the same attempts; false: none.
  #toUnsettled(part: Part): boolean {
    const { settled, attempts } = this.fates;
    const end = part.sequence + part.count;
    let from = part.sequence;
    const gone = (sequence: number) => settled.has(sequence) || this.#aside.has(sequence);
    while (from < end && gone(from)) from++;
    if (from === end) return false;
    // A compacted record carries what was known when it was made; marks behind it may know more.
    const attemptsOf = (sequence: number) => Math.max(attempts.get(sequence), part.attempts);
    const before = attemptsOf(from);
    let to = from + 1;
    while (to < end && !gone(to) && attemptsOf(to) === before) to++;
    part.first += from - part.sequence;
    part.sequence = from;
    part.count = to - from;
    part.attempts = before;
    return true;
  }

  #advance(slot: number, entry: number): void {
    const next = this.entries.next(entry);
    this.#head[slot] = next;
    this.#taken[slot] = 0;
    if (next === 0) this.#tail[slot] = 0;
  }

  /** Takes the first `count` messages of the part that `peek` gave: ready -> unacked. */
  take(slot: number, part: Part, count: number): void {
    this.#unacked[slot]! += count;
    this.unacked += count;
    this.#removeFrom(slot, part, count);
  }

  /** Takes the whole part that `peek` gave out of the line without delivering it. */
  setAside(slot: number, part: Part): Part {
    const aside = { ...part };
    this.#aside.add(part.sequence, part.count);
    this.#removeFrom(slot, part, part.count);
    return aside;
  }

  #removeFrom(slot: number, part: Part, count: number): void {
    assert(count <= part.count, 'more was taken than there is');
    this.#ready[slot]! -= count;
    this.ready -= count;
    const share = this.#shares.get(slot);
    if (part === this.#headPart) {
      const entry = this.#head[slot]!;
      const taken = part.first + count;
      this.#next[slot] = part.sequence + count;
      if (taken === this.entries.count(entry)) this.#advance(slot, entry);
      else this.#taken[slot] = taken;
      return;
    }
    assert(share !== undefined, 'a part was taken that is not the next one');
    const returned = share.returned.peek() === part;
    assert(returned || share.ahead[share.aheadAt] === part, 'a part was taken out of turn');
    part.first += count;
    part.sequence += count;
    part.count -= count;
    if (!returned) this.#next[slot] = part.sequence;
    if (part.count > 0) return;
    if (returned) share.returned.pop();
    else share.aheadAt++;
  }

  /** Delivered messages were acked: unacked -> gone. */
  settle(slot: number, sequence: number, count: number): void {
    assert(this.#unacked[slot]! >= count, 'more was acked than delivered');
    this.#unacked[slot]! -= count;
    this.unacked -= count;
    this.fates.settled.add(sequence, count);
    this.rates.settled(slot, count);
  }

  /** Delivered messages come back at their old place: unacked -> ready. Keeps the part. */
  giveBack(slot: number, part: Part): void {
    assert(this.#unacked[slot]! >= part.count, 'more came back than was delivered');
    this.#unacked[slot]! -= part.count;
    this.#ready[slot]! += part.count;
    this.unacked -= part.count;
    this.ready += part.count;
    this.fates.attempts.set(part.sequence, part.count, part.attempts);
    this.openShare(slot).returned.push(part);
  }

  // --- what is in runs --------------------------------------------------------------------------

  /** Whether what comes next in the bucket's line has to be looked up in the runs. */
  lookupDue(slot: number): boolean {
    const share = this.#shares.get(slot);
    return (
      share !== undefined &&
      this.#has(slot, OLDER) &&
      !share.loading &&
      share.returned.size === 0 &&
      share.aheadAt === share.ahead.length
    );
  }

  /** The bucket as two words, and the sequence from which on its line goes on. */
  placeOf(slot: number): { low: number; high: number; next: number } {
    return { low: this.#low[slot]!, high: this.#high[slot]!, next: this.#next[slot]! };
  }

  /** Takes over what a lookup found, in order; returns how many messages of it wait. */
  found(slot: number, records: readonly Found[]): number {
    const share = this.#shares.get(slot);
    assert(share !== undefined, 'a lookup ended for a bucket that nobody shares');
    const ahead = this.partsOf(records, this.#next[slot]!);
    const messages = ahead.reduce((sum, { count }) => sum + count, 0);
    share.ahead = ahead;
    share.aheadAt = 0;
    if (!this.#has(slot, COUNTED)) this.#ready[slot]! += messages;
    return messages;
  }

  /** What waits of records that a lookup found, from sequence `next` on. */
  partsOf(records: readonly Found[], next: number): Part[] {
    const parts: Part[] = [];
    for (const { position, sequence, messages: count, bodyBytes, attempts } of records) {
      let first = Math.max(0, next - sequence);
      while (first < count) {
        const part: Part = { position, sequence, first, count: count - first, bodyBytes, attempts };
        part.sequence += first;
        if (!this.#toUnsettled(part)) break;
        parts.push(part);
        first = part.first + part.count;
      }
    }
    return parts;
  }

  /** The runs hold nothing more of the bucket: its line goes on in entries. */
  exhausted(slot: number): void {
    this.#flags[slot] = COUNTED;
    const share = this.#shares.get(slot);
    if (share !== undefined) share.cursor = undefined;
  }

  /**
   * Releases entries before `to`, whose segments have runs now; at most `most` of them in one call.
   * True when all are.
   */
  release(to: number, most: number): boolean {
    const { entries } = this;
    const end = Math.min(to, entries.from + most);
    for (let entry = entries.from; entry < end; entry++) {
      const slot = this.#directory.find(entries.bucketLow(entry), entries.bucketHigh(entry));
      if (slot === 0 || this.#head[slot] !== entry) continue;
      if (!this.#has(slot, COUNTED)) this.#ready[slot]! -= this.#waitingIn(slot, entry);
      this.#flags[slot]! |= OLDER;
      this.#advance(slot, entry);
    }
    entries.release(end);
    return end === to;
  }

  // Messages of the head that wait.
  #waitingIn(slot: number, entry: number): number {
    const taken = this.#taken[slot]!;
    const count = this.entries.count(entry) - taken;
    const sequence = this.entries.sequence(entry);
    if (sequence >= this.#recoveredTo) return count;
    return count - this.fates.settled.within(sequence + taken, count);
  }

  /** Records of the segments from `base` to before `end` stand elsewhere now. */
  moved(base: Position, end: Position, where: (part: Part) => void): void {
    for (const share of this.#shares.values()) {
      for (const part of share.returned.parts)
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
    this.#recoveredTo = next;
    this.ready = live;
    this.rates.clear();
    this.#ready.fill(0); // what was released meanwhile is counted when it is found
    for (let entry = entries.from; entry < entries.end; entry++) {
      const slot = this.#directory.find(entries.bucketLow(entry), entries.bucketHigh(entry));
      if (slot === 0) continue;
      const count = entries.count(entry);
      this.#ready[slot]! += count - this.fates.settled.within(entries.sequence(entry), count);
    }
    this.#forgetful = forgetful;
    for (const slot of [...this.slots()]) {
      this.#flags[slot] = forgetful ? OLDER : COUNTED;
      if (forgetful) this.#next[slot] = 0;
      if (this.#ready[slot] === 0) this.#remove(slot);
    }
  }

  readyOf(slot: number): number {
    return this.#ready[slot]!;
  }

  unackedOf(slot: number): number {
    return this.#unacked[slot]!;
  }

  /** Whether `readyOf` counts everything, also what is only in runs. */
  isCounted(slot: number): boolean {
    return this.#has(slot, COUNTED);
  }

  /** The bucket's id as decimal text. */
  idOf(slot: number): string {
    return idText(this.#low[slot]!, this.#high[slot]!);
  }

  /** Where the bucket's line goes on: its head, what is taken of that, and whether runs are first. */
  headOf(slot: number): { entry: number; taken: number; isOlder: boolean } {
    const isOlder = this.#has(slot, OLDER);
    return { entry: this.#head[slot]!, taken: this.#taken[slot]!, isOlder };
  }

  /** Slots are below this. */
  get slotsEnd(): number {
    return this.#slots;
  }

  /** Whether a slot stands for a bucket. */
  inUse(slot: number): boolean {
    return this.#directory.find(this.#low[slot]!, this.#high[slot]!) === slot;
  }

  /** Slots that are in use, in no particular order. */
  *slots(): Generator<number> {
    for (let slot = 1; slot < this.#slots; slot++) if (this.inUse(slot)) yield slot;
  }

  #grow(): void {
    const size = this.#low.length * 2;
    this.#low = grown(this.#low, new Uint32Array(size));
    this.#high = grown(this.#high, new Uint32Array(size));
    this.#head = grown(this.#head, new Float64Array(size));
    this.#tail = grown(this.#tail, new Float64Array(size));
    this.#taken = grown(this.#taken, new Uint32Array(size));
    this.#next = grown(this.#next, new Float64Array(size));
    this.#flags = grown(this.#flags, new Uint8Array(size));
    this.#ready = grown(this.#ready, new Float64Array(size));
    this.#unacked = grown(this.#unacked, new Float64Array(size));
  }
}
