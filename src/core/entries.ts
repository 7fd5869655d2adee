// Storage for entries: one entry is a run of neighbouring messages of one record that wait in a
// bucket. Kept in pages of typed arrays, because there may be millions and the garbage collector
// should not see them. Knows nothing of buckets.
//
//   entry:  position   of the record in the log        first      index of the run's first message
//           sequence   of the run's first message      count      messages in the run
//           bodyBytes  of the whole record             attempts   deliveries without an ack so far
//           next       entry behind it, 0 = none

import { assert } from './assert.ts';

const PAGE_BITS = 12;
const PAGE = 1 << PAGE_BITS;
const MASK = PAGE - 1;

const NEXT = 0;
const FIRST = 1;
const COUNT = 2;
const BODY_BYTES = 3;
const ATTEMPTS = 4;
const WORDS = 5;

export class Entries {
  readonly #places: Float64Array[] = []; // position, sequence
  readonly #words: Uint32Array[] = [];
  #free = 0; // head of the list of free entries
  #used = 1; // entry 0 is never given out: 0 means none

  add(
    position: number,
    sequence: number,
    first: number,
    count: number,
    bodyBytes: number,
    attempts: number,
  ): number {
    let entry = this.#free;
    if (entry !== 0) {
      this.#free = this.next(entry);
    } else {
      entry = this.#used++;
      if (entry >>> PAGE_BITS >= this.#places.length) {
        this.#places.push(new Float64Array(PAGE * 2));
        this.#words.push(new Uint32Array(PAGE * WORDS));
      }
    }
    const places = this.#places[entry >>> PAGE_BITS]!;
    const words = this.#words[entry >>> PAGE_BITS]!;
    const at = (entry & MASK) * WORDS;
    places[(entry & MASK) * 2] = position;
    places[(entry & MASK) * 2 + 1] = sequence;
    words[at + NEXT] = 0;
    words[at + FIRST] = first;
    words[at + COUNT] = count;
    words[at + BODY_BYTES] = bodyBytes;
    words[at + ATTEMPTS] = attempts;
    return entry;
  }

  free(entry: number): void {
    this.setNext(entry, this.#free);
    this.#free = entry;
  }

  position(entry: number): number {
    return this.#places[entry >>> PAGE_BITS]![(entry & MASK) * 2]!;
  }

  sequence(entry: number): number {
    return this.#places[entry >>> PAGE_BITS]![(entry & MASK) * 2 + 1]!;
  }

  next(entry: number): number {
    return this.#words[entry >>> PAGE_BITS]![(entry & MASK) * WORDS + NEXT]!;
  }

  setNext(entry: number, next: number): void {
    this.#words[entry >>> PAGE_BITS]![(entry & MASK) * WORDS + NEXT] = next;
  }

  first(entry: number): number {
    return this.#words[entry >>> PAGE_BITS]![(entry & MASK) * WORDS + FIRST]!;
  }

  count(entry: number): number {
    return this.#words[entry >>> PAGE_BITS]![(entry & MASK) * WORDS + COUNT]!;
  }

  bodyBytes(entry: number): number {
    return this.#words[entry >>> PAGE_BITS]![(entry & MASK) * WORDS + BODY_BYTES]!;
  }

  attempts(entry: number): number {
    return this.#words[entry >>> PAGE_BITS]![(entry & MASK) * WORDS + ATTEMPTS]!;
  }

  /** Takes the first `count` messages off the run; returns how many are left. */
  shorten(entry: number, count: number): number {
    const words = this.#words[entry >>> PAGE_BITS]!;
    const at = (entry & MASK) * WORDS;
    assert(count <= words[at + COUNT]!, 'an entry was shortened below zero');
    words[at + FIRST]! += count;
    words[at + COUNT]! -= count;
    this.#places[entry >>> PAGE_BITS]![(entry & MASK) * 2 + 1]! += count;
    return words[at + COUNT]!;
  }

  /** Adds `count` messages to the end of the run. */
  lengthen(entry: number, count: number): void {
    this.#words[entry >>> PAGE_BITS]![(entry & MASK) * WORDS + COUNT]! += count;
  }
}
