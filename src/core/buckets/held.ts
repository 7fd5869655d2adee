// The messages that are out of every line for now and may come back: consumers hold them, or what
// became of them is on its way to the disk. Needed only by lines that go back over what was taken
// from them, so nothing is noted before the first message is deferred. In small pages, as a
// consumer holds a few neighbours here and there, of which memory should not grow beyond them.

const PAGE = 512;
// Pages without a message that are kept for use again.
const SPARE_PAGES_MAX = 64;

interface Page {
  readonly bits: Uint32Array;
  count: number;
}

export class Held {
  readonly #pages = new Map<number, Page>();
  readonly #spare: Page[] = [];
  /** Whether it is noted what is held. */
  isOn = false;

  /** `count` messages from `sequence` on left their line. */
  add(sequence: number, count: number): void {
    for (let at = sequence; at < sequence + count; ) {
      const number = Math.floor(at / PAGE);
      const end = Math.min(sequence + count, (number + 1) * PAGE);
      const page = this.#pages.get(number) ?? this.#open(number);
      for (; at < end; at++) {
        const bit = 1 << (at & 31);
        const word = (at - number * PAGE) >>> 5;
        if ((page.bits[word]! & bit) === 0) page.count++;
        page.bits[word]! |= bit;
      }
    }
  }

  /** They are in a line again, or it is known for good what became of them. */
  remove(sequence: number, count: number): void {
    for (let at = sequence; at < sequence + count; ) {
      const number = Math.floor(at / PAGE);
      const end = Math.min(sequence + count, (number + 1) * PAGE);
      const page = this.#pages.get(number);
      for (; at < end && page !== undefined; at++) {
        const bit = 1 << (at & 31);
        const word = (at - number * PAGE) >>> 5;
        if ((page.bits[word]! & bit) !== 0) page.count--;
        page.bits[word]! &= ~bit;
      }
      if (page?.count === 0) this.#close(number, page);
      at = end;
    }
  }

  has(sequence: number): boolean {
    const number = Math.floor(sequence / PAGE);
    const page = this.#pages.get(number);
    if (page === undefined) return false;
    return (page.bits[(sequence - number * PAGE) >>> 5]! & (1 << (sequence & 31))) !== 0;
  }

  /** Bytes of memory that it takes, about. */
  get bytes(): number {
    return (this.#pages.size + this.#spare.length) * (PAGE / 8 + 128);
  }

  #open(number: number): Page {
    const page = this.#spare.pop() ?? { bits: new Uint32Array(PAGE / 32), count: 0 };
    this.#pages.set(number, page);
    return page;
  }

  #close(number: number, page: Page): void {
    this.#pages.delete(number);
    if (this.#spare.length < SPARE_PAGES_MAX) this.#spare.push(page);
  }
}
