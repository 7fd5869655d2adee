// What became of messages, by sequence: which are settled, about a bit each, and how often the
// others came back. Both are kept in pages that exist only where there is something to say, and
// cost next to nothing where all messages of a page say the same.

import { firstZero, ones, onesBetween } from './bits.ts';
import { bytesOfPages, forgetPages } from './paged-numbers.ts';

const PAGE = 65536;
const WORDS = PAGE / 32;
// A page all of whose messages are settled.
const FULL: SetPage = { bits: new Uint32Array(0), count: PAGE };

interface SetPage {
  bits: Uint32Array;
  count: number;
}

/** A set of sequence numbers. */
export class SequenceSet {
  readonly #pages = new Map<number, SetPage>();

  /** Adds `count` sequences from `first` on; returns how many of them were not in it. */
  add(first: number, count: number): number {
    let added = 0;
    for (let at = first; at < first + count; ) {
      const number = Math.floor(at / PAGE);
      const from = at - number * PAGE;
      const to = Math.min(first + count - number * PAGE, PAGE);
      added += this.#addTo(number, from, to);
      at = number * PAGE + to;
    }
    return added;
  }

  #addTo(number: number, from: number, to: number): number {
    let page = this.#pages.get(number);
    if (page === FULL) return 0;
    if (page === undefined) {
      if (to - from === PAGE) {
        this.#pages.set(number, FULL);
        return PAGE;
      }
      page = { bits: new Uint32Array(WORDS), count: 0 };
      this.#pages.set(number, page);
    }
    const { bits } = page;
    let added = 0;
    for (let at = from; at < to; ) {
      const word = at >>> 5;
      const end = Math.min(to, (word + 1) << 5);
      const width = end - at;
      const mask = width === 32 ? 0xffffffff : ((1 << width) - 1) << (at & 31);
      const before = bits[word]!;
      bits[word] = before | mask;
      added += ones(bits[word]! ^ before);
      at = end;
    }
    page.count += added;
    if (page.count === PAGE) this.#pages.set(number, FULL);
    return added;
  }

  /** Takes `count` sequences from `first` on out of it; returns how many of them were in it. */
  remove(first: number, count: number): number {
    let removed = 0;
    for (let at = first; at < first + count; ) {
      const number = Math.floor(at / PAGE);
      const to = Math.min(first + count, (number + 1) * PAGE);
      const page = this.#pages.get(number);
      if (page !== undefined) removed += this.#removeFrom(page, number, at, to);
      at = to;
    }
    return removed;
  }

  #removeFrom(page: SetPage, number: number, first: number, end: number): number {
    const start = number * PAGE;
    const kept = page === FULL ? { bits: new Uint32Array(WORDS).fill(-1), count: PAGE } : page;
    let removed = 0;
    for (let at = first - start; at < end - start; at++) {
      const bit = 1 << (at & 31);
      if ((kept.bits[at >>> 5]! & bit) === 0) continue;
      kept.bits[at >>> 5]! &= ~bit;
      removed++;
    }
    kept.count -= removed;
    if (kept.count === 0) this.#pages.delete(number);
    else this.#pages.set(number, kept);
    return removed;
  }

  has(sequence: number): boolean {
    const number = Math.floor(sequence / PAGE);
    const page = this.#pages.get(number);
    if (page === undefined) return false;
    if (page === FULL) return true;
    const at = sequence - number * PAGE;
    return (page.bits[at >>> 5]! & (1 << (at & 31))) !== 0;
  }

  /** How many of `count` sequences from `first` on are in it. */
  within(first: number, count: number): number {
    let found = 0;
    for (let at = first; at < first + count; ) {
      const number = Math.floor(at / PAGE);
      const to = Math.min(first + count, (number + 1) * PAGE);
      const page = this.#pages.get(number);
      if (page === FULL) found += to - at;
      else if (page !== undefined)
        found += onesBetween(page.bits, at - number * PAGE, to - number * PAGE);
      at = to;
    }
    return found;
  }

  /** The first sequence from `from` on that is not in it. */
  firstMissing(from: number): number {
    for (let sequence = from; ; ) {
      const number = Math.floor(sequence / PAGE);
      const page = this.#pages.get(number);
      if (page === undefined) return sequence;
      const found = page === FULL ? PAGE : firstZero(page.bits, sequence - number * PAGE, PAGE);
      sequence = number * PAGE + found;
      if (found < PAGE) return sequence;
    }
  }

  /** The sequences from `from` to before `to`, ascending, as runs: first, count. */
  *runs(from: number, to: number): Generator<[first: number, count: number]> {
    let first = -1;
    let end = -1;
    for (const number of pagesWithin(this.#pages.keys(), PAGE, from, to)) {
      const { bits } = this.#pages.get(number)!;
      const last = Math.min(to, (number + 1) * PAGE);
      for (let sequence = Math.max(from, number * PAGE); sequence < last; sequence++) {
        const at = sequence - number * PAGE;
        const word = bits.length === 0 ? 0xffffffff : bits[at >>> 5]!;
        if (word === 0) {
          sequence += 31 - (at & 31);
          continue;
        }
        if ((word & (1 << (at & 31))) === 0) continue;
        if (sequence !== end) {
          if (end > first) yield [first, end - first];
          first = sequence;
        }
        end = sequence + 1;
      }
    }
    if (end > first) yield [first, end - first];
  }

  /** Forgets what is before `sequence`, as far as whole pages go. */
  forget(sequence: number): void {
    forgetPages(this.#pages, PAGE, sequence);
  }

  /** Bytes of memory that it takes, about. */
  get bytes(): number {
    let bytes = 0;
    for (const page of this.#pages.values()) bytes += 64 + page.bits.byteLength;
    return bytes;
  }

  /**
   * The pages of sequences before `end`, for a checkpoint: number and bits, or no bits where all
   * are settled.
   */
  *pages(end: number): Generator<[number: number, bits: Uint32Array | undefined]> {
    for (const [number, page] of this.#pages) {
      const within = end - number * PAGE;
      if (within >= PAGE) yield [number, page === FULL ? undefined : page.bits];
      else if (within > 0) yield [number, upTo(page, within)];
    }
  }

  /** Takes over a page of a checkpoint. */
  restore(number: number, bits: Uint32Array | undefined): void {
    if (bits === undefined) this.#pages.set(number, FULL);
    else this.#pages.set(number, { bits, count: onesBetween(bits, 0, PAGE) });
  }
}

// Numbers of the pages that hold sequences from `from` to before `to`, ascending.
function pagesWithin(numbers: Iterable<number>, page: number, from: number, to: number): number[] {
  const within = (number: number) => (number + 1) * page > from && number * page < to;
  return [...numbers].filter(within).sort((a, b) => a - b);
}

// The bits of a page before the one at `end`.
function upTo(page: SetPage, end: number): Uint32Array {
  const bits = page === FULL ? new Uint32Array(WORDS).fill(0xffffffff) : page.bits.slice();
  bits.fill(0, (end + 31) >>> 5);
  if ((end & 31) !== 0) bits[end >>> 5]! &= (1 << (end & 31)) - 1;
  return bits;
}

const ATTEMPTS_MAX = 65_535;
const ATTEMPTS_PAGE = 4096;

/** Attempts by sequence, at most 65,535. */
export class AttemptCounts {
  // A number: the same for all messages of the page.
  readonly #pages = new Map<number, number | Uint16Array>();

  /** Notes `attempts` for `count` sequences from `first` on. */
  set(first: number, count: number, attempts: number): void {
    const value = Math.min(attempts, ATTEMPTS_MAX);
    for (let at = first; at < first + count; ) {
      const number = Math.floor(at / ATTEMPTS_PAGE);
      const from = at - number * ATTEMPTS_PAGE;
      const to = Math.min(first + count - number * ATTEMPTS_PAGE, ATTEMPTS_PAGE);
      at = number * ATTEMPTS_PAGE + to;
      if (to - from === ATTEMPTS_PAGE) {
        this.#pages.set(number, value);
        continue;
      }
      const page = this.#pages.get(number);
      if (page === value) continue;
      let counts = page;
      if (typeof counts !== 'object') {
        counts = new Uint16Array(ATTEMPTS_PAGE).fill(counts ?? 0);
        this.#pages.set(number, counts);
      }
      counts.fill(value, from, to);
      if (to === ATTEMPTS_PAGE && counts.every((each) => each === value))
        this.#pages.set(number, value);
    }
  }

  /** Attempts of a message, or 0. */
  get(sequence: number): number {
    const number = Math.floor(sequence / ATTEMPTS_PAGE);
    const page = this.#pages.get(number);
    if (page === undefined) return 0;
    return typeof page === 'number' ? page : page[sequence - number * ATTEMPTS_PAGE]!;
  }

  /** What is known of the sequences from `from` to before `to`, ascending: first, count, attempts. */
  *runs(from: number, to: number): Generator<[first: number, count: number, attempts: number]> {
    let first = 0;
    let count = 0;
    let attempts = 0;
    for (const number of pagesWithin(this.#pages.keys(), ATTEMPTS_PAGE, from, to)) {
      const page = this.#pages.get(number)!;
      const last = Math.min(to, (number + 1) * ATTEMPTS_PAGE);
      for (let sequence = Math.max(from, number * ATTEMPTS_PAGE); sequence < last; sequence++) {
        const here = typeof page === 'number' ? page : page[sequence - number * ATTEMPTS_PAGE]!;
        if (here === attempts && sequence === first + count) {
          count++;
          continue;
        }
        if (attempts > 0) yield [first, count, attempts];
        [first, count, attempts] = [sequence, 1, here];
      }
    }
    if (attempts > 0) yield [first, count, attempts];
  }

  /** Forgets what is before `sequence`, as far as whole pages go. */
  forget(sequence: number): void {
    forgetPages(this.#pages, ATTEMPTS_PAGE, sequence);
  }

  get bytes(): number {
    return bytesOfPages(this.#pages);
  }

  /** The pages of sequences before `end`, for a checkpoint. */
  *pages(end: number): Generator<[number: number, page: number | Uint16Array]> {
    for (const [number, page] of this.#pages) {
      const within = end - number * ATTEMPTS_PAGE;
      if (within >= ATTEMPTS_PAGE) yield [number, page];
      else if (within > 0) {
        const counts = new Uint16Array(ATTEMPTS_PAGE);
        if (typeof page === 'number') counts.fill(page, 0, within);
        else counts.set(page.subarray(0, within));
        yield [number, counts];
      }
    }
  }

  /** Takes over a page of a checkpoint. */
  restore(number: number, page: number | Uint16Array): void {
    this.#pages.set(number, page);
  }
}
