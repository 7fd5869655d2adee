// Brings due times into order a slice at a time, so that a large segment does not hold up the event
// loop: by WHEN, then SEQUENCE, equals as they came. A radix sort: each step costs the same, and
// digits in which no two keys differ, which is most of them, cost nothing. 24 bytes of memory for
// each entry until it is done, 4 afterwards.

import type { DueSource } from '../../core/records/due.ts';

const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;
const DIGIT_MASK = DIGITS - 1;
// The keys as words, the ones that matter least first.
const SEQUENCE_LOW = 0;
const SEQUENCE_HIGH = 1;
const WHEN_LOW = 2;
const WHEN_HIGH = 3;
const U32 = 2 ** 32;

interface Pass {
  word: number;
  shift: number;
}

export class DueOrder {
  readonly #entries: DueSource;
  readonly #count: number;
  readonly #keys: Uint32Array[];
  readonly #varies = new Uint32Array(4); // bits in which keys differ
  readonly #starts = new Uint32Array(DIGITS);
  #isAscending = true; // by sequence, as they came
  #order: Uint32Array;
  #other: Uint32Array;
  #passes: Pass[] = [];
  #stage: 'read' | 'count' | 'move' | 'done' = 'read';
  #at = 0;

  constructor(entries: DueSource) {
    this.#entries = entries;
    this.#count = entries.count;
    this.#keys = Array.from({ length: 4 }, () => new Uint32Array(this.#count));
    this.#order = new Uint32Array(this.#count);
    this.#other = new Uint32Array(this.#count);
  }

  /** Number of each entry, in order; valid when `step` said so. */
  get order(): Uint32Array {
    return this.#order;
  }

  /** Goes on with the work of `most` entries; true when all is done. */
  step(most: number): boolean {
    const from = this.#at;
    const to = Math.min(this.#count, from + most);
    if (this.#stage === 'read') this.#read(from, to);
    else if (this.#stage === 'count') this.#countDigits(from, to);
    else if (this.#stage === 'move') this.#move(from, to);
    this.#at = to;
    if (to === this.#count) this.#next();
    return this.#stage === 'done';
  }

  #next(): void {
    this.#at = 0;
    if (this.#stage === 'read') this.#plan();
    else if (this.#stage === 'count') {
      this.#layOut();
      this.#stage = 'move';
      return;
    } else if (this.#stage === 'move') {
      [this.#order, this.#other] = [this.#other, this.#order];
      this.#passes.shift();
    }
    this.#starts.fill(0);
    this.#stage = this.#passes.length > 0 ? 'count' : 'done';
    if (this.#stage === 'count') return;
    this.#keys.length = 0;
    this.#other = this.#starts;
  }

  #read(from: number, to: number): void {
    const entries = this.#entries;
    const [sequenceLow, sequenceHigh, whenLow, whenHigh] = this.#keys;
    const varies = this.#varies;
    for (let i = from; i < to; i++) {
      const when = entries.when(i);
      const sequence = entries.sequence(i);
      whenLow![i] = when;
      whenHigh![i] = when / U32;
      sequenceLow![i] = sequence;
      sequenceHigh![i] = sequence / U32;
      varies[WHEN_LOW]! |= whenLow![i]! ^ whenLow![0]!;
      varies[WHEN_HIGH]! |= whenHigh![i]! ^ whenHigh![0]!;
      varies[SEQUENCE_LOW]! |= sequenceLow![i]! ^ sequenceLow![0]!;
      varies[SEQUENCE_HIGH]! |= sequenceHigh![i]! ^ sequenceHigh![0]!;
      if (i > 0 && entries.sequence(i - 1) > sequence) this.#isAscending = false;
      this.#order[i] = i;
    }
  }

  #plan(): void {
    for (let word = this.#isAscending ? WHEN_LOW : SEQUENCE_LOW; word <= WHEN_HIGH; word++)
      for (let shift = 0; shift < 32; shift += DIGIT_BITS)
        if (((this.#varies[word]! >>> shift) & DIGIT_MASK) !== 0)
          this.#passes.push({ word, shift });
  }

  #countDigits(from: number, to: number): void {
    const { word, shift } = this.#passes[0]!;
    const key = this.#keys[word]!;
    const starts = this.#starts;
    for (let i = from; i < to; i++) starts[(key[i]! >>> shift) & DIGIT_MASK]!++;
  }

  // From how many there are of each digit to where the first one goes.
  #layOut(): void {
    let at = 0;
    for (let digit = 0; digit < DIGITS; digit++) {
      const here = this.#starts[digit]!;
      this.#starts[digit] = at;
      at += here;
    }
  }

  #move(from: number, to: number): void {
    const { word, shift } = this.#passes[0]!;
    const key = this.#keys[word]!;
    const starts = this.#starts;
    const order = this.#order;
    const other = this.#other;
    for (let i = from; i < to; i++) {
      const entry = order[i]!;
      other[starts[(key[entry]! >>> shift) & DIGIT_MASK]!++] = entry;
    }
  }
}
