// Ids of messages that were published not long ago: 16 bytes each, when that was, and for how long
// it is to be known. A hash table of small pages (extendible hashing): it grows a page at a time,
// so that no publish waits for a large table to be made. An id is never forgotten before its time;
// what is too much is for the caller to turn away.
//
//   directory, by the high bits of an id ──► page (id-page.ts): slots of 24 bytes, a tag for each
//
// A page that is full loses what is over, then grows by two fifths, then becomes two. Pages are in
// the order of their ids, so that a table can be written to disk in order, page by page.

import { assert } from '../assert.ts';
import {
  DEPTH_MAX,
  IdPage,
  KEPT,
  keptMs,
  LOAD_NEW,
  packWindow,
  SLOT_BYTES,
  SLOTS_MIN,
  TIME,
  timeOf,
  WINDOW_BITS,
  windowMs,
} from './id-page.ts';

const TWO_32 = 2 ** 32;
// The year 2248.
const TIME_MAX = 2 ** (64 - WINDOW_BITS) - 1;
const SLOTS_MAX = 1024;
const GROWTH = 1.4;
// What one more id may make the table grow by, at most.
const STEP_BYTES = SLOTS_MAX * SLOT_BYTES;

export class RecentIds {
  #directory: IdPage[] = [new IdPage(0, SLOTS_MIN)];
  #depth = 0;
  // Each once.
  #pages: IdPage[] = [...this.#directory];
  #swept = 0;
  // What the last id was added with, and what a slot says of that.
  #seconds = -1;
  #window = 0;
  #timeMs = -1;
  #timeLow = 0;
  #timeHigh = 0;
  #untilMs = 0;
  /** Ids that are known; some of them may be over. */
  count = 0;
  /** That it takes, and that it may take: what is beyond has no room, and is added all the same. */
  bytes = this.#pages[0]!.bytes;
  bytesMax = Number.POSITIVE_INFINITY;

  // The page of the id whose words stand at `at`.
  #pageOf(ids: Uint32Array, at: number): IdPage {
    return this.#directory[Math.floor(((ids[at]! >>> 0) / TWO_32) * this.#directory.length)]!;
  }

  /**
   * Whether a message with that id was published less than `ms` ago, and less than the window that
   * held then. Times are ms since 1970: if the clock goes back, what is known is so for longer.
   */
  has(ids: Uint32Array, at: number, nowMs: number, ms: number): boolean {
    const page = this.#pageOf(ids, at);
    const slot = page.find(ids, at);
    if (slot < 0) return false;
    const { words } = page;
    return timeOf(words, slot) + Math.min(ms, keptMs(words, slot)) > nowMs;
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
    // Neighbours have the same.
    if (timeMs !== this.#timeMs || windowS !== this.#seconds) this.#prepare(timeMs, windowS);
    let slot = page.find(ids, at);
    if (slot < 0) {
      slot = -1 - slot;
      page.fill(slot, ids, at);
      this.count++;
    }
    const { words } = page;
    words[slot + TIME] = this.#timeLow;
    words[slot + KEPT] = this.#timeHigh + this.#window;
    if (this.#untilMs < page.firstMs) page.firstMs = this.#untilMs;
  }

  #prepare(timeMs: number, seconds: number): void {
    const time = Math.max(0, Math.min(timeMs, TIME_MAX));
    this.#timeMs = timeMs;
    this.#seconds = seconds;
    this.#timeLow = time % TWO_32;
    this.#timeHigh = Math.floor(time / TWO_32) * 2 ** WINDOW_BITS;
    this.#window = packWindow(seconds);
    this.#untilMs = time + windowMs(this.#window);
  }

  // Makes room in the page of an id.
  #grow(page: IdPage, ids: Uint32Array, at: number, nowMs: number): IdPage {
    this.#clean(page, nowMs);
    if (page.count <= page.slots * LOAD_NEW) return page;
    const slots = Math.ceil(page.slots * GROWTH);
    if (slots <= SLOTS_MAX || page.depth === DEPTH_MAX) {
      this.#renew(page, slots, nowMs);
      return page;
    }
    this.#split(page);
    return this.#pageOf(ids, at);
  }

  // Drops what is over.
  #clean(page: IdPage, nowMs: number): void {
    if (page.firstMs <= nowMs) this.#renew(page, page.slots, nowMs);
  }

  // A page is made anew, with so many slots, without what is over.
  #renew(page: IdPage, slots: number, nowMs: number): void {
    const anew = new IdPage(page.depth, slots);
    anew.renew(page, nowMs);
    this.bytes += anew.bytes - page.bytes;
    this.count += anew.count - page.count;
    page.become(anew);
  }

  // One bit more tells its ids apart.
  #split(page: IdPage): void {
    const { depth } = page;
    if (depth === this.#depth) {
      this.#directory = this.#directory.flatMap((each) => [each, each]);
      this.#depth++;
    }
    const halves = page.split();
    const places = 2 ** (this.#depth - depth);
    const first = this.#first(page);
    for (let i = 0; i < places; i++) this.#directory[first + i] = halves[i < places / 2 ? 0 : 1]!;
    this.#pages[this.#pages.indexOf(page)] = halves[0];
    this.#pages.push(halves[1]);
    this.bytes += halves[0].bytes + halves[1].bytes - page.bytes;
  }

  #first(page: IdPage): number {
    const at = this.#directory.indexOf(page);
    assert(at >= 0, 'a page of ids is in no directory');
    return at;
  }

  /** All of its slots, by the first word of their ids, a page at a time; nothing may be added. */
  *inOrder(): Generator<Uint32Array> {
    let before: IdPage | undefined;
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
    this.#directory = [new IdPage(0, SLOTS_MIN)];
    this.#depth = 0;
    this.#pages = [...this.#directory];
    this.#swept = 0;
    this.bytes = this.#pages[0]!.bytes;
  }
}
