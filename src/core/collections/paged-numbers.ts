// Numbers by sequence: how often a message was deferred, how far apart from others it is given out.
// Exact, in pages that exist only where there is something to say, as narrow as their largest
// number allows; a page all of whose messages have the same number is that number.

import type { NumberPage } from '../ports/basics.ts';

const PAGE = 4096;

/** Whole numbers from 0 to 2^32 - 1; 0 for what was never set. */
export class PagedNumbers {
  readonly #pages = new Map<number, NumberPage>();

  /** Notes `value` for `count` sequences from `first` on. */
  set(first: number, count: number, value: number): void {
    for (let at = first; at < first + count; ) {
      const number = Math.floor(at / PAGE);
      const from = at - number * PAGE;
      const to = Math.min(first + count - number * PAGE, PAGE);
      this.#setWithin(number, from, to, value);
      at = number * PAGE + to;
    }
  }

  #setWithin(number: number, from: number, to: number, value: number): void {
    const page = this.#pages.get(number) ?? 0;
    if (page === value) return;
    if (to - from === PAGE) {
      this.#put(number, value);
      return;
    }
    const numbers = widened(page, value);
    numbers.fill(value, from, to);
    // Runs come in order, so it is the last of them that completes a page.
    const same = to === PAGE && numbers.every((each) => each === value);
    this.#put(number, same ? value : numbers);
  }

  #put(number: number, page: NumberPage): void {
    if (page === 0) this.#pages.delete(number);
    else this.#pages.set(number, page);
  }

  /** Whether nothing was ever set, or all of that is forgotten. */
  get isEmpty(): boolean {
    return this.#pages.size === 0;
  }

  get(sequence: number): number {
    const number = Math.floor(sequence / PAGE);
    const page = this.#pages.get(number);
    if (page === undefined) return 0;
    return typeof page === 'number' ? page : page[sequence - number * PAGE]!;
  }

  /** Forgets what is before `sequence`, as far as whole pages go. */
  forget(sequence: number): void {
    forgetPages(this.#pages, PAGE, sequence);
  }

  /** Bytes of memory that it takes, about. */
  get bytes(): number {
    return bytesOfPages(this.#pages);
  }

  /** The pages of sequences before `end`, for a checkpoint: number, and what it holds. */
  *pages(end: number): Generator<[number: number, page: NumberPage]> {
    for (const [number, page] of this.#pages) {
      const within = end - number * PAGE;
      if (within >= PAGE) yield [number, page];
      else if (within > 0) {
        const numbers = typeof page === 'number' ? widened(page, page) : page.slice();
        yield [number, numbers.fill(0, within)];
      }
    }
  }

  /** Takes over a page of a checkpoint. */
  restore(number: number, page: NumberPage): void {
    this.#put(number, page);
  }
}

/** Forgets the pages of `size` sequences that lie before one, as far as whole pages go. */
export function forgetPages(pages: Map<number, unknown>, size: number, sequence: number): void {
  for (const number of pages.keys()) if ((number + 1) * size <= sequence) pages.delete(number);
}

/** Bytes of memory that pages take, about. */
export function bytesOfPages(pages: ReadonlyMap<number, NumberPage>): number {
  let bytes = 0;
  for (const page of pages.values()) bytes += 64 + (typeof page === 'number' ? 0 : page.byteLength);
  return bytes;
}

// The page as one that has room for `value`, with all that it says.
function widened(page: NumberPage, value: number): Uint8Array | Uint16Array | Uint32Array {
  const most = typeof page === 'number' ? Math.max(page, value) : value;
  const width = most < 2 ** 8 ? 1 : most < 2 ** 16 ? 2 : 4;
  if (typeof page !== 'number' && page.BYTES_PER_ELEMENT >= width) return page;
  const numbers =
    width === 1
      ? new Uint8Array(PAGE)
      : width === 2
        ? new Uint16Array(PAGE)
        : new Uint32Array(PAGE);
  if (typeof page === 'number') numbers.fill(page);
  else numbers.set(page);
  return numbers;
}
