// What is known of each line of a bucket, by slot: dense numbers from 1. In pages, so that none
// that comes pays for moving all others; what is used together lies together, as with many buckets
// each place in memory that is touched costs more than what is done there. A page without buckets
// gives its memory back. Which line has which slot is in `bucket-index.ts`.
//
//   numbers:  head, tail   entries            words:   low, high   the bucket's id
//             next         sequence                    taken       messages of the head
//             ratedMs      monotonic time              flags       with the kind of the line
//   counts:   ready, unacked                  floats:  published, settled   of `rates.ts`

import { KIND_MAX } from '../../../assembly/layout-placed.ts';
import { assert } from '../assert.ts';

/** The page of a slot is its number without so many bits at the end. */
export const PAGE_BITS = 12;
const PAGE = 1 << PAGE_BITS;
const MASK = PAGE - 1;

// Of `numbers`.
export const HEAD = 0;
export const TAIL = 1; // also of a line that ran empty; it may be released by now
export const NEXT = 2;
export const RATED_MS = 3;
// Of `words` and `floats`, behind the four numbers in the same memory.
export const LOW = 8;
export const HIGH = 9;
export const TAKEN = 10; // of a free slot: the next free one of its page, plus 1; 0: none
export const FLAGS = 11;
export const PUBLISHED = 12;
export const SETTLED = 13;
const WORDS = 14;
const NUMBERS = WORDS / 2;
// Of `counts`, apart from the others: whoever looks for the largest reads nothing else.
export const READY = 0;
export const UNACKED = 1;
const COUNTS = 2;

// Flags of a slot.
/** Segment indexes may hold messages of the bucket from `next` on. */
export const OLDER = 1;
/** `ready` counts those, too. */
export const COUNTED = 2;
/** It stands for a line of a bucket. */
export const USED = 4;
/** Entries of the line may be settled, held or waiting for a time: each is asked about. */
export const REWOUND = 8;
/** Some of its messages that wait for a time may not be counted. */
export const UNCOUNTED = 16;
/** What was delivered last of it were suspects. */
export const SUSPECTS_LAST = 32;
/** The kind of that line (layout.ts), for as long as the slot stands for it. */
export const KIND_SHIFT = 6;
export const KIND_BITS = 3 << KIND_SHIFT;
/** Bits of FLAGS from here on are those of `bucket-rules.ts`; 0 there: not looked up yet. */
export const RULES_SHIFT = 8;

/** Columns of some slots; `numbersAt` and the like say where those of one begin. */
export interface Page {
  readonly numbers: Float64Array;
  readonly words: Uint32Array;
  readonly floats: Float32Array;
  readonly counts: Float64Array;
  /** Of `payload-counts.ts`, if any is counted. */
  payload: Float64Array | undefined;
  /** Of `delayed.ts`, if any bucket of the page has such messages. */
  delayed: Float64Array | undefined;
}

export function numbersAt(slot: number): number {
  return (slot & MASK) * NUMBERS;
}

export function wordsAt(slot: number): number {
  return (slot & MASK) * WORDS;
}

export function countsAt(slot: number): number {
  return (slot & MASK) * COUNTS;
}

// Of `delayed`.
export const DELAYED = 0;
/** Sequence behind the last of them, if they are in entries at all. */
export const DELAYED_END = 1;
/** Those of them that were given to a consumer before. */
export const RETRIED = 2;
const DELAYED_NUMBERS = 3;

export function delayedAt(slot: number): number {
  return (slot & MASK) * DELAYED_NUMBERS;
}

/** The numbers of a page's delayed messages, made if they are not there. */
export function openDelayed(page: Page): Float64Array {
  page.delayed ??= new Float64Array(PAGE * DELAYED_NUMBERS);
  return page.delayed;
}

/**
 * The line goes on at entry `next`. Its tail stays where it is, so that the entries of a line that
 * ran empty are still in one chain with those that come, and it can go back.
 */
export function advance({ numbers, words }: Page, slot: number, next: number): void {
  numbers[numbersAt(slot) + HEAD] = next;
  words[wordsAt(slot) + TAKEN] = 0;
}

/** The kind of the line of a slot whose FLAGS are these. */
export function kindIn(flags: number): number {
  return (flags & KIND_BITS) >>> KIND_SHIFT;
}

/** Whether a slot that is in use stands for the bucket's line of that kind. */
export function isOf(
  pages: BucketTable['pages'],
  slot: number,
  low: number,
  high: number,
  kind: number,
): boolean {
  const { words } = pages[slot >>> PAGE_BITS]!;
  const at = wordsAt(slot);
  if (words[at + LOW] !== low || words[at + HIGH] !== high) return false;
  return kindIn(words[at + FLAGS]!) === kind;
}

function emptyPage(): Page {
  const buffer = new ArrayBuffer(PAGE * WORDS * 4);
  return {
    numbers: new Float64Array(buffer),
    words: new Uint32Array(buffer),
    floats: new Float32Array(buffer),
    counts: new Float64Array(PAGE * COUNTS),
    payload: undefined,
    delayed: undefined,
  };
}

interface Room {
  used: number;
  /** Slots from here on were never given out. */
  end: number;
  /** A free slot before `end`, plus 1; 0: none. */
  free: number;
}

export class BucketTable {
  /** Pages in order; undefined: without buckets. */
  readonly pages: (Page | undefined)[] = [];
  readonly #rooms: Room[] = [];
  // Pages with free slots, the next to be used last; and those without memory, if they are known.
  #roomy: number[] = [];
  #bare: number[] = [];
  // Kept, lest a bucket that comes and goes alone brings a page with it each time.
  #spare: Page | undefined;
  #count = 0;
  // Slots in use, by the kind of their line.
  readonly #byKind = new Uint32Array(KIND_MAX + 1);

  constructor() {
    this.#begin();
  }

  #begin(): void {
    // Slot 0 is never given out: 0 means none.
    this.#rooms[0] = { used: 1, end: 1, free: 0 };
    this.pages[0] ??= emptyPage();
    this.#rooms.length = 1;
    this.pages.length = 1;
    this.#roomy = [0];
    this.#bare = [];
  }

  /** Slots are below this. */
  get end(): number {
    const last = this.#rooms.length - 1;
    return last * PAGE + this.#rooms[last]!.end;
  }

  /** Bytes of the pages that there are. */
  get bytes(): number {
    const pages = [...this.pages, this.#spare].filter((page) => page !== undefined);
    const payload = pages.filter((page) => page.payload !== undefined).length * PAGE * 8;
    const delayed = pages.filter((page) => page.delayed !== undefined).length * PAGE * 16;
    return pages.length * (WORDS * 4 + COUNTS * 8) * PAGE + payload + delayed;
  }

  /** Slots that are in use for lines of a kind. */
  countOf(kind: number): number {
    return this.#byKind[kind]!;
  }

  page(slot: number): Page {
    return this.pages[slot >>> PAGE_BITS]!;
  }

  /** Whether a flag of a slot in use is set. */
  has(slot: number, flag: number): boolean {
    return (this.page(slot).words[wordsAt(slot) + FLAGS]! & flag) !== 0;
  }

  isUsed(slot: number): boolean {
    const page = this.pages[slot >>> PAGE_BITS];
    return page !== undefined && (page.words[wordsAt(slot) + FLAGS]! & USED) !== 0;
  }

  /** The slot that a walk over all comes to next: pages without buckets are one step. */
  behind(slot: number): number {
    return this.pages[slot >>> PAGE_BITS] === undefined ? (slot | MASK) + 1 : slot + 1;
  }

  /** Slots that are in use, in no particular order. */
  *slots(): Generator<number> {
    for (let slot = 1; slot < this.end; slot = this.behind(slot)) if (this.isUsed(slot)) yield slot;
  }

  /** What is ready and unacked, by slot; nothing is in those that are free. */
  eachCount(visit: (slot: number, ready: number, unacked: number) => void): void {
    for (const [number, page] of this.pages.entries()) {
      if (page === undefined) continue;
      const { counts } = page;
      for (let at = 0; at < counts.length; at += COUNTS)
        visit(number * PAGE + at / COUNTS, counts[at + READY]!, counts[at + UNACKED]!);
    }
  }

  /** A slot for a line of which nothing is known yet; `flags` say its kind, too. */
  open(low: number, high: number, flags: number, nowMs: number): number {
    const number = this.#nextPage();
    const room = this.#rooms[number]!;
    const { numbers, words, floats } = this.pages[number]!;
    const slot = number * PAGE + (room.free === 0 ? room.end++ : room.free - 1);
    const at = wordsAt(slot);
    if (room.free !== 0) room.free = words[at + TAKEN]!;
    assert((words[at + FLAGS]! & USED) === 0, 'a slot was given out that is in use');
    words[at + LOW] = low;
    words[at + HIGH] = high;
    words[at + TAKEN] = 0;
    words[at + FLAGS] = flags | USED;
    floats[at + PUBLISHED] = 0;
    floats[at + SETTLED] = 0;
    const places = numbersAt(slot);
    numbers[places + HEAD] = 0;
    numbers[places + TAIL] = 0;
    numbers[places + NEXT] = 0;
    numbers[places + RATED_MS] = nowMs;
    if (++room.used === PAGE) this.#roomy.pop();
    this.#count++;
    this.#byKind[kindIn(flags)]!++;
    return slot;
  }

  // The page to take a slot from, which is the last of `#roomy` then.
  #nextPage(): number {
    for (;;) {
      const number = this.#roomy.at(-1);
      if (number === undefined) break;
      if (this.#rooms[number]!.used > 0) return number;
      this.#roomy.pop();
      this.#bare.push(number);
    }
    const number = this.#bare.pop() ?? this.#rooms.push({ used: 0, end: 0, free: 0 }) - 1;
    this.pages[number] = this.#spare ?? emptyPage();
    this.#spare = undefined;
    this.#roomy.push(number);
    return number;
  }

  /** The slot stands for nothing from now on. */
  close(slot: number): void {
    assert(this.isUsed(slot), 'a slot was given back that is not in use');
    const number = slot >>> PAGE_BITS;
    const room = this.#rooms[number]!;
    const { numbers, words, counts, payload, delayed } = this.pages[number]!;
    const at = wordsAt(slot);
    if (payload !== undefined) payload[slot & MASK] = 0;
    delayed?.fill(0, delayedAt(slot), delayedAt(slot) + DELAYED_NUMBERS);
    counts[countsAt(slot) + READY] = 0;
    counts[countsAt(slot) + UNACKED] = 0;
    numbers[numbersAt(slot) + HEAD] = 0;
    this.#byKind[kindIn(words[at + FLAGS]!)]!--;
    words[at + FLAGS] = 0;
    words[at + TAKEN] = room.free;
    room.free = (slot & MASK) + 1;
    if (room.used-- === PAGE) this.#roomy.push(number);
    if (room.used === 0) this.#empty(number, room);
    if (--this.#count === 0) this.#begin();
  }

  // It stays among those with free slots until it is come across there.
  #empty(number: number, room: Room): void {
    room.end = 0;
    room.free = 0;
    this.#spare = this.pages[number]!;
    this.pages[number] = undefined;
  }
}
