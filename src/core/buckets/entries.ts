// Storage for entries: one entry says where one record of messages stands in the log, and which
// comes behind it in its bucket. They are kept in log order for the newest segments only, written
// once and never changed; when a segment has an index on disk, its entries are released, oldest
// first. In pages of typed arrays, because there may be millions and the garbage collector should
// not see them. Knows nothing of buckets.
//
//   entry:  position   of the record in the log         bodyBytes  of the record
//           sequence   of its first message             attempts   deliveries without an ack before
//           count      messages in it                   kind       of the line that it stands in
//           low, high  its bucket's id                  next       entry behind it in that line
//                                                       slot       that the line had; maybe no more

import { assert } from '../assert.ts';
import type { EntrySource } from '../ports/basics.ts';
import type { Slice } from './slice.ts';

const PAGE_BITS = 12;
const PAGE = 1 << PAGE_BITS;
const MASK = PAGE - 1;
// Released pages that are kept for use again.
const SPARE_PAGES_MAX = 256;

const LOW = 0;
const HIGH = 1;
const COUNT = 2;
const BODY_BYTES = 3;
const ATTEMPTS = 4; // u16, as `AttemptCounts` knows no more; the kind stands above
const DISTANCE = 5; // to the next entry of the bucket, 0 = none
const SLOT = 6;
const WORDS = 7;
const ATTEMPTS_MAX = 0xffff;
const KIND_SHIFT = 16;

interface Page {
  places: Float64Array; // position, sequence
  words: Uint32Array;
}

export class Entries {
  readonly #pages: Page[] = [];
  readonly #spare: Page[] = [];
  #firstPage = 0;
  #from = 1; // entry 0 is never given out: 0 means none
  #end = 1;

  /** The oldest entry that is kept. */
  get from(): number {
    return this.#from;
  }

  /** The entry that will be added next. */
  get end(): number {
    return this.#end;
  }

  /** Sequence of the oldest message that is in an entry; infinite if none is. */
  get firstSequence(): number {
    return this.#from < this.#end ? this.sequence(this.#from) : Number.POSITIVE_INFINITY;
  }

  /** The entry that holds a message which is in one; they are in the order of sequences. */
  at(sequence: number): number {
    let low = this.#from;
    let high = this.#end - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.sequence(middle) <= sequence) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  add(
    low: number,
    high: number,
    position: number,
    sequence: number,
    count: number,
    bodyBytes: number,
    attempts: number,
    slot: number,
    kind = 0,
  ): number {
    const entry = this.#end++;
    if (Math.floor(entry / PAGE) - this.#firstPage >= this.#pages.length) this.#grow();
    const { places, words } = this.#page(entry);
    const at = (entry & MASK) * WORDS;
    places[(entry & MASK) * 2] = position;
    places[(entry & MASK) * 2 + 1] = sequence;
    words[at + LOW] = low;
    words[at + HIGH] = high;
    words[at + COUNT] = count;
    words[at + BODY_BYTES] = bodyBytes;
    words[at + ATTEMPTS] = Math.min(attempts, ATTEMPTS_MAX) | (kind << KIND_SHIFT);
    words[at + DISTANCE] = 0;
    words[at + SLOT] = slot;
    return entry;
  }

  #grow(): void {
    const spare = this.#spare.pop();
    this.#pages.push(
      spare ?? { places: new Float64Array(PAGE * 2), words: new Uint32Array(PAGE * WORDS) },
    );
  }

  #page(entry: number): Page {
    assert(entry >= this.#from && entry < this.#end, 'an entry was read that is not kept');
    return this.#pages[Math.floor(entry / PAGE) - this.#firstPage]!;
  }

  /** Puts `next` behind `entry` in their line. */
  link(entry: number, next: number): void {
    this.#page(entry).words[(entry & MASK) * WORDS + DISTANCE] = next - entry;
  }

  /** Forgets the entries before `entry`. */
  release(entry: number): void {
    assert(entry >= this.#from && entry <= this.#end, 'entries were released out of order');
    this.#from = entry;
    while ((this.#firstPage + 1) * PAGE <= entry) {
      const page = this.#pages.shift()!;
      if (this.#spare.length < SPARE_PAGES_MAX) this.#spare.push(page);
      this.#firstPage++;
    }
  }

  position(entry: number): number {
    return this.#page(entry).places[(entry & MASK) * 2]!;
  }

  sequence(entry: number): number {
    return this.#page(entry).places[(entry & MASK) * 2 + 1]!;
  }

  #word(entry: number, word: number): number {
    return this.#page(entry).words[(entry & MASK) * WORDS + word]!;
  }

  /** The entry behind it in its line, or 0. */
  next(entry: number): number {
    const distance = this.#word(entry, DISTANCE);
    return distance === 0 ? 0 : entry + distance;
  }

  bucketLow(entry: number): number {
    return this.#word(entry, LOW);
  }

  bucketHigh(entry: number): number {
    return this.#word(entry, HIGH);
  }

  count(entry: number): number {
    return this.#word(entry, COUNT);
  }

  bodyBytes(entry: number): number {
    return this.#word(entry, BODY_BYTES);
  }

  attempts(entry: number): number {
    return this.#word(entry, ATTEMPTS) & ATTEMPTS_MAX;
  }

  kind(entry: number): number {
    return this.#word(entry, ATTEMPTS) >>> KIND_SHIFT;
  }

  /** Writes into `part` what of an entry is behind its first `taken` messages. */
  read(entry: number, taken: number, part: Slice): void {
    const { places, words } = this.#page(entry);
    const place = (entry & MASK) * 2;
    const at = (entry & MASK) * WORDS;
    part.position = places[place]!;
    part.sequence = places[place + 1]! + taken;
    part.first = taken;
    part.count = words[at + COUNT]! - taken;
    part.messages = words[at + COUNT]!;
    part.bodyBytes = words[at + BODY_BYTES]!;
    part.attempts = words[at + ATTEMPTS]! & ATTEMPTS_MAX;
  }

  /** Gives the entries from `from` to before `to`, each with its slot and the next one, or 0. */
  each(from: number, to: number, visit: (entry: number, slot: number, next: number) => void): void {
    for (let entry = from; entry < to; ) {
      const { words } = this.#page(entry);
      const end = Math.min(to, entry - (entry & MASK) + PAGE);
      for (; entry < end; entry++) {
        const at = (entry & MASK) * WORDS;
        const distance = words[at + DISTANCE]!;
        visit(entry, words[at + SLOT]!, distance === 0 ? 0 : entry + distance);
      }
    }
  }

  /** The entries from `from` to before `to`, for the index of their segment. */
  source(from: number, to: number): EntrySource {
    return {
      count: to - from,
      lines: {
        bucketLow: (i) => this.bucketLow(from + i),
        bucketHigh: (i) => this.bucketHigh(from + i),
        kind: (i) => this.kind(from + i),
      },
      sequence: (i) => this.sequence(from + i),
      position: (i) => this.position(from + i),
      messages: (i) => this.count(from + i),
      bodyBytes: (i) => this.bodyBytes(from + i),
      attempts: (i) => this.attempts(from + i),
    };
  }
}
