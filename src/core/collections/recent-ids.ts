// Ids of messages that were published not long ago: 16 bytes each, when that was, and for how long
// it is to be known. A hash table of small pages (extendible hashing): it grows a page at a time,
// so that no publish waits for a large table to be made. An id is never forgotten before its time;
// what is too much is for the caller to turn away.
//
//   directory, by the high bits of an id ──► page: slots of 24 bytes, found by its second word
//
//   slot, u32 each:  id 0 … 3 │ time, low │ time, high: 11 bits │ window: 16 bits, shifted by 5
//
// A page that is full loses what is over, then grows by a quarter, then becomes two. Pages are in
// the order of their ids, so that a table can be written to disk in order, page by page.

import { assert } from '../assert.ts';

/** Words of an id. */
export const ID_WORDS = 4;
/** Words of a slot. */
export const SLOT_WORDS = 6;
const TIME = 4;
const KEPT = 5;
const WINDOW_BITS = 21;
const SHIFT_BITS = 5;
const MANTISSA_MAX = 2 ** (WINDOW_BITS - SHIFT_BITS) - 1;
const TWO_32 = 2 ** 32;
// The year 2248.
const TIME_MAX = 2 ** (64 - WINDOW_BITS) - 1;

const SLOTS_MIN = 64;
const SLOTS_MAX = 1024;
const LOAD_MAX = 0.9;
const LOAD_NEW = 0.72;
const DEPTH_MAX = 31;
// What one more id may make the table grow by, at most.
const STEP_BYTES = SLOTS_MAX * SLOT_WORDS * 4;

/** The same number of seconds, or a little more, as it is kept: never 0. */
export function packWindow(seconds: number): number {
  let shift = 0;
  let mantissa = Math.max(1, Math.ceil(seconds));
  while (mantissa > MANTISSA_MAX) {
    mantissa = Math.ceil(mantissa / 2);
    shift++;
  }
  return mantissa * 2 ** SHIFT_BITS + shift;
}

function windowMs(kept: number): number {
  const window = kept & (2 ** WINDOW_BITS - 1);
  return (window >>> SHIFT_BITS) * 2 ** (window & (2 ** SHIFT_BITS - 1)) * 1000;
}

class Page {
  words: Uint32Array;
  slots: number;
  count = 0;
  /** When the first of its ids may be over, in ms since 1970: not before. */
  firstMs = Number.POSITIVE_INFINITY;
  /** High bits of an id that its ids have in common. */
  readonly depth: number;

  constructor(depth: number, slots: number) {
    this.depth = depth;
    this.slots = slots;
    this.words = new Uint32Array(slots * SLOT_WORDS);
  }

  /** Where the slot of an id begins, or the free one where it would go. */
  find(ids: Uint32Array, at: number): number {
    const { words } = this;
    const first = ids[at]!;
    const second = ids[at + 1]!;
    const third = ids[at + 2]!;
    const fourth = ids[at + 3]!;
    let slot = this.#home(second);
    while (words[slot + KEPT] !== 0) {
      if (
        words[slot + 1] === second &&
        words[slot] === first &&
        words[slot + 2] === third &&
        words[slot + 3] === fourth
      )
        break;
      slot += SLOT_WORDS;
      if (slot === words.length) slot = 0;
    }
    return slot;
  }

  #home(second: number): number {
    return ((((second >>> 0) * this.slots) / TWO_32) >>> 0) * SLOT_WORDS;
  }

  /** Its slots that are taken, by the first word of their ids. */
  inOrder(): Uint32Array {
    const { words } = this;
    const order: number[] = [];
    for (let slot = 0; slot < words.length; slot += SLOT_WORDS)
      if (words[slot + KEPT] !== 0) order.push(slot);
    order.sort((a, b) => words[a]! - words[b]!);
    const slots = new Uint32Array(order.length * SLOT_WORDS);
    for (const [i, slot] of order.entries())
      slots.set(words.subarray(slot, slot + SLOT_WORDS), i * SLOT_WORDS);
    return slots;
  }

  get isFull(): boolean {
    return this.count >= this.slots * LOAD_MAX;
  }

  /** Takes the slot at `at` of another table, which has its id once. */
  take(from: Uint32Array, at: number, untilMs: number): void {
    const { words } = this;
    let slot = this.#home(from[at + 1]!);
    while (words[slot + KEPT] !== 0) {
      slot += SLOT_WORDS;
      if (slot === words.length) slot = 0;
    }
    for (let i = 0; i < SLOT_WORDS; i++) words[slot + i] = from[at + i]!;
    this.count++;
    if (untilMs < this.firstMs) this.firstMs = untilMs;
  }
}

/** When the id in a slot was published, in ms since 1970. */
export function timeOf(words: Uint32Array, slot: number): number {
  return (words[slot + KEPT]! >>> WINDOW_BITS) * TWO_32 + words[slot + TIME]!;
}

/** For how long the id in a slot is known from then on, in ms. */
export function keptMs(words: Uint32Array, slot: number): number {
  return windowMs(words[slot + KEPT]!);
}

/** Until when the id in a slot is known, in ms since 1970. */
export function untilMs(words: Uint32Array, slot: number): number {
  return timeOf(words, slot) + keptMs(words, slot);
}

export class RecentIds {
  #directory: Page[] = [new Page(0, SLOTS_MIN)];
  #depth = 0;
  // Each once.
  #pages: Page[] = [...this.#directory];
  #swept = 0;
  #seconds = 0;
  #window = packWindow(0);
  /** Ids that are known; some of them may be over. */
  count = 0;
  /** That it takes, and that it may take: what is beyond has no room, and is added all the same. */
  bytes = bytesOf(this.#pages[0]!);
  bytesMax = Number.POSITIVE_INFINITY;

  // The page of the id whose words stand at `at`.
  #pageOf(ids: Uint32Array, at: number): Page {
    return this.#directory[Math.floor(((ids[at]! >>> 0) / TWO_32) * this.#directory.length)]!;
  }

  /**
   * Whether a message with that id was published less than `ms` ago, and less than the window that
   * held then. Times are ms since 1970: if the clock goes back, what is known is so for longer.
   */
  has(ids: Uint32Array, at: number, nowMs: number, ms: number): boolean {
    const page = this.#pageOf(ids, at);
    const slot = page.find(ids, at);
    const kept = page.words[slot + KEPT]!;
    return kept !== 0 && timeOf(page.words, slot) + Math.min(ms, windowMs(kept)) > nowMs;
  }

  /** Whether an id that is new can be added within `bytesMax`. */
  hasRoom(ids: Uint32Array, at: number, nowMs: number): boolean {
    const page = this.#pageOf(ids, at);
    if (!page.isFull || this.bytes + STEP_BYTES <= this.bytesMax) return true;
    this.#clean(page, nowMs);
    return !page.isFull;
  }

  /** A message with that id was published at `timeMs`; it is to be known for so long. */
  add(ids: Uint32Array, at: number, timeMs: number, windowS: number): void {
    let page = this.#pageOf(ids, at);
    if (page.isFull) page = this.#grow(page, ids, at, timeMs);
    const slot = page.find(ids, at);
    const { words } = page;
    if (words[slot + KEPT] === 0) {
      page.count++;
      this.count++;
    }
    const time = Math.max(0, Math.min(timeMs, TIME_MAX));
    for (let i = 0; i < ID_WORDS; i++) words[slot + i] = ids[at + i]!;
    words[slot + TIME] = time % TWO_32;
    words[slot + KEPT] = Math.floor(time / TWO_32) * 2 ** WINDOW_BITS + this.#packed(windowS);
    page.firstMs = Math.min(page.firstMs, untilMs(words, slot));
  }

  // Neighbours have the same.
  #packed(seconds: number): number {
    if (seconds !== this.#seconds) {
      this.#seconds = seconds;
      this.#window = packWindow(seconds);
    }
    return this.#window;
  }

  // Makes room in the page of an id.
  #grow(page: Page, ids: Uint32Array, at: number, nowMs: number): Page {
    this.#clean(page, nowMs);
    if (page.count <= page.slots * LOAD_NEW) return page;
    const slots = Math.ceil(page.slots * 1.25);
    if (slots <= SLOTS_MAX || page.depth === DEPTH_MAX) {
      this.#renew(page, slots, nowMs);
      return page;
    }
    this.#split(page);
    return this.#pageOf(ids, at);
  }

  // Drops what is over.
  #clean(page: Page, nowMs: number): void {
    if (page.firstMs <= nowMs) this.#renew(page, page.slots, nowMs);
  }

  // A page is made anew, with so many slots, without what is over.
  #renew(page: Page, slots: number, nowMs: number): void {
    const { words, count } = page;
    this.bytes -= bytesOf(page);
    page.slots = slots;
    page.words = new Uint32Array(slots * SLOT_WORDS);
    page.count = 0;
    page.firstMs = Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < words.length; slot += SLOT_WORDS) {
      if (words[slot + KEPT] === 0) continue;
      const until = untilMs(words, slot);
      if (until > nowMs) page.take(words, slot, until);
    }
    this.bytes += bytesOf(page);
    this.count += page.count - count;
  }

  // One bit more tells its ids apart.
  #split(page: Page): void {
    const { depth, words } = page;
    if (depth === this.#depth) {
      this.#directory = this.#directory.flatMap((each) => [each, each]);
      this.#depth++;
    }
    const bit = 2 ** (DEPTH_MAX - depth);
    const halves = [0, bit].map((is) => {
      let count = 0;
      for (let slot = 0; slot < words.length; slot += SLOT_WORDS)
        if (words[slot + KEPT] !== 0 && (words[slot]! & bit) >>> 0 === is) count++;
      const half = new Page(depth + 1, Math.max(SLOTS_MIN, Math.ceil(count / LOAD_NEW)));
      for (let slot = 0; slot < words.length; slot += SLOT_WORDS)
        if (words[slot + KEPT] !== 0 && (words[slot]! & bit) >>> 0 === is)
          half.take(words, slot, untilMs(words, slot));
      return half;
    });
    const places = 2 ** (this.#depth - depth);
    const first = this.#first(page);
    for (let i = 0; i < places; i++) this.#directory[first + i] = halves[i < places / 2 ? 0 : 1]!;
    this.#pages[this.#pages.indexOf(page)] = halves[0]!;
    this.#pages.push(halves[1]!);
    this.bytes += bytesOf(halves[0]!) + bytesOf(halves[1]!) - bytesOf(page);
  }

  #first(page: Page): number {
    const at = this.#directory.indexOf(page);
    assert(at >= 0, 'a page of ids is in no directory');
    return at;
  }

  /** All of its slots, by the first word of their ids, a page at a time; nothing may be added. */
  *inOrder(): Generator<Uint32Array> {
    let before: Page | undefined;
    for (const page of this.#directory) {
      if (page !== before) yield page.inOrder();
      before = page;
    }
  }

  /** Drops what is over in the next `pages` pages; gives whether something is known yet. */
  sweep(nowMs: number, pages: number): boolean {
    for (let i = Math.min(pages, this.#pages.length); i > 0; i--) {
      this.#swept = (this.#swept + 1) % this.#pages.length;
      this.#clean(this.#pages[this.#swept]!, nowMs);
    }
    if (this.count === 0 && this.#pages.length > 1) this.#clear();
    return this.count > 0;
  }

  #clear(): void {
    this.#directory = [new Page(0, SLOTS_MIN)];
    this.#depth = 0;
    this.#pages = [...this.#directory];
    this.#swept = 0;
    this.bytes = bytesOf(this.#pages[0]!);
  }
}

const bytesOf = (page: Page): number => page.words.byteLength;
