// Every bucket that holds messages or has consumers: its line of waiting entries, what came back,
// who waits for it, and its counts. A bucket that is empty and watched by nobody does not exist.
//
//            push                    take                       settle
//   durable ------> ready (in line) ------> unacked (on a link) ------> gone
//                        ^                        |
//                        +----- giveBack ---------+   at its old place in the order

import { assert } from './assert.ts';
import { Directory } from './directory.ts';
import { Entries } from './entries.ts';
import { Returned } from './returned.ts';

/** Part of a delivery: a run of messages of one record. */
export interface Part {
  position: number;
  sequence: number;
  first: number;
  count: number;
  bodyBytes: number;
  attempts: number;
}

/** What a bucket with consumers or returned messages keeps beyond its line. */
export class Share<Waiter> {
  readonly slot: number;
  readonly returned: Returned;
  /** Consumers that could take a batch now, longest waiting first. */
  readonly waiting = new Set<Waiter>();
  consumers = 0;
  /** Whether the record at the head is being read from disk. */
  loading = false;

  constructor(slot: number, entries: Entries) {
    this.slot = slot;
    this.returned = new Returned(entries);
  }
}

const FIELD_GROWTH = 1024;

export class Buckets<Waiter> {
  readonly entries = new Entries();
  readonly #directory: Directory;
  // Columns by slot.
  #low = new Uint32Array(FIELD_GROWTH);
  #high = new Uint32Array(FIELD_GROWTH);
  #head = new Uint32Array(FIELD_GROWTH);
  #tail = new Uint32Array(FIELD_GROWTH);
  #ready = new Float64Array(FIELD_GROWTH);
  #unacked = new Float64Array(FIELD_GROWTH);
  readonly #shares = new Map<number, Share<Waiter>>();
  readonly #freeSlots: number[] = [];
  #slots = 1;
  /** Messages over all buckets. */
  ready = 0;
  unacked = 0;

  constructor(hashSeed: number) {
    this.#directory = new Directory(hashSeed);
  }

  get count(): number {
    return this.#directory.count;
  }

  /** Slot of the bucket, made if it is not there. */
  open(low: number, high: number): number {
    const found = this.#directory.find(low, high);
    if (found !== 0) return found;
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    if (slot >= this.#low.length) this.#grow();
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.#head[slot] = 0;
    this.#tail[slot] = 0;
    this.#ready[slot] = 0;
    this.#unacked[slot] = 0;
    this.#directory.add(low, high, slot);
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
      share = new Share(slot, this.entries);
      this.#shares.set(slot, share);
    }
    return share;
  }

  /** Forgets whatever of the bucket costs something and is not needed. */
  tidy(slot: number): void {
    const share = this.#shares.get(slot);
    if (share !== undefined && share.consumers === 0 && share.returned.size === 0 && !share.loading)
      this.#shares.delete(slot);
    if (this.#ready[slot] !== 0 || this.#unacked[slot] !== 0 || this.#shares.has(slot)) return;
    this.#directory.remove(this.#low[slot]!, this.#high[slot]!);
    this.#freeSlots.push(slot);
    if (this.#directory.count === 0) {
      this.#freeSlots.length = 0;
      this.#slots = 1;
    }
  }

  /** Puts messages of a durable record at the end of the line. */
  push(slot: number, part: Part): void {
    const { position, sequence, first, count, bodyBytes, attempts } = part;
    const entry = this.entries.add(position, sequence, first, count, bodyBytes, attempts);
    const tail = this.#tail[slot]!;
    if (tail === 0) this.#head[slot] = entry;
    else this.entries.setNext(tail, entry);
    this.#tail[slot] = entry;
    this.#ready[slot]! += count;
    this.ready += count;
  }

  /** The entry to deliver next, or 0. */
  peek(slot: number): number {
    const share = this.#shares.get(slot);
    if (share !== undefined && share.returned.size > 0) return share.returned.peek();
    return this.#head[slot]!;
  }

  /** Takes the first `count` messages of the entry that `peek` named: ready -> unacked. */
  take(slot: number, entry: number, count: number): void {
    this.#ready[slot]! -= count;
    this.#unacked[slot]! += count;
    this.ready -= count;
    this.unacked += count;
    if (this.entries.shorten(entry, count) === 0) this.#drop(slot, entry);
  }

  /** Takes the whole entry that `peek` named out of the line without delivering it. */
  setAside(slot: number, entry: number): Part {
    const part = this.partOf(entry);
    this.#ready[slot]! -= part.count;
    this.ready -= part.count;
    this.#drop(slot, entry);
    return part;
  }

  partOf(entry: number): Part {
    const { entries } = this;
    return {
      position: entries.position(entry),
      sequence: entries.sequence(entry),
      first: entries.first(entry),
      count: entries.count(entry),
      bodyBytes: entries.bodyBytes(entry),
      attempts: entries.attempts(entry),
    };
  }

  #drop(slot: number, entry: number): void {
    const share = this.#shares.get(slot);
    if (share !== undefined && share.returned.peek() === entry) {
      share.returned.pop();
    } else {
      assert(this.#head[slot] === entry, 'an entry was taken that is not at the head');
      const next = this.entries.next(entry);
      this.#head[slot] = next;
      if (next === 0) this.#tail[slot] = 0;
    }
    this.entries.free(entry);
  }

  /** Delivered messages were acked: unacked -> gone. */
  settle(slot: number, count: number): void {
    assert(this.#unacked[slot]! >= count, 'more was acked than delivered');
    this.#unacked[slot]! -= count;
    this.unacked -= count;
  }

  /** Delivered messages come back at their old place: unacked -> ready. */
  giveBack(slot: number, part: Part): void {
    const { position, sequence, first, count, bodyBytes, attempts } = part;
    assert(this.#unacked[slot]! >= count, 'more came back than was delivered');
    this.#unacked[slot]! -= count;
    this.#ready[slot]! += count;
    this.unacked -= count;
    this.ready += count;
    this.openShare(slot).returned.push(
      this.entries.add(position, sequence, first, count, bodyBytes, attempts),
    );
  }

  readyOf(slot: number): number {
    return this.#ready[slot]!;
  }

  unackedOf(slot: number): number {
    return this.#unacked[slot]!;
  }

  /** The bucket's id as decimal text. */
  idOf(slot: number): string {
    return ((BigInt(this.#high[slot]!) << 32n) | BigInt(this.#low[slot]!)).toString();
  }

  /** The slots with the most messages ready, most first; one pass over a column of counts. */
  largest(most: number): number[] {
    const top: number[] = [];
    for (let slot = 1; slot < this.#slots; slot++) {
      const ready = this.#ready[slot]!;
      const busy = ready > 0 || this.#unacked[slot]! > 0;
      if (!busy || (top.length === most && ready <= this.#ready[top[most - 1]!]!)) continue;
      let at = top.length;
      while (at > 0 && this.#ready[top[at - 1]!]! < ready) at--;
      top.splice(at, 0, slot);
      if (top.length > most) top.pop();
    }
    return top;
  }

  /** Slots that are in use, in no particular order. */
  *slots(): Generator<number> {
    for (let slot = 1; slot < this.#slots; slot++) {
      if (this.#directory.find(this.#low[slot]!, this.#high[slot]!) === slot) yield slot;
    }
  }

  /** Replaces the whole line of a bucket, in order; for recovery only. */
  relineate(slot: number, select: (part: Part) => Part[]): void {
    assert(!this.#shares.has(slot), 'a line was replaced while consumers look at it');
    let entry = this.#head[slot]!;
    this.#head[slot] = 0;
    this.#tail[slot] = 0;
    this.ready -= this.#ready[slot]!;
    this.#ready[slot] = 0;
    while (entry !== 0) {
      const next = this.entries.next(entry);
      const part = this.partOf(entry);
      this.entries.free(entry);
      for (const kept of select(part)) this.push(slot, kept);
      entry = next;
    }
  }

  #grow(): void {
    const size = this.#low.length * 2;
    this.#low = grown(this.#low, new Uint32Array(size));
    this.#high = grown(this.#high, new Uint32Array(size));
    this.#head = grown(this.#head, new Uint32Array(size));
    this.#tail = grown(this.#tail, new Uint32Array(size));
    this.#ready = grown(this.#ready, new Float64Array(size));
    this.#unacked = grown(this.#unacked, new Float64Array(size));
  }
}

function grown<T extends Uint32Array | Float64Array>(from: T, into: T): T {
  into.set(from);
  return into;
}
