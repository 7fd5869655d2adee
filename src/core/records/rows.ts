// Reads the rows that an intake or a scan left behind (layout.ts, "Row"). Words are 32 bits; 64-bit
// fields are two words, low first, and come out as exact numbers below 2^53.

import {
  RECORD_ALIGN,
  RECORD_HEADER_BYTES,
  ROW_ATTEMPTS_AT,
  ROW_BACK_AT,
  ROW_BODY_BYTES_AT,
  ROW_BUCKET_AT,
  ROW_BYTES,
  ROW_COUNT_AT,
  ROW_EPOCH_AT,
  ROW_FLAGS_AT,
  ROW_OFFSET_AT,
  ROW_SEQUENCE_AT,
  ROW_TYPE_AT,
} from '../../../assembly/layout.ts';
import { assert } from '../assert.ts';

export const ROW_WORDS = ROW_BYTES / 4;
export const TYPE = ROW_TYPE_AT / 4;
export const FLAGS = ROW_FLAGS_AT / 4;
export const OFFSET = ROW_OFFSET_AT / 4;
export const BODY_BYTES = ROW_BODY_BYTES_AT / 4;
export const BUCKET_LOW = ROW_BUCKET_AT / 4;
export const BUCKET_HIGH = ROW_BUCKET_AT / 4 + 1;
export const SEQUENCE_LOW = ROW_SEQUENCE_AT / 4;
export const COUNT = ROW_COUNT_AT / 4;
export const EPOCH = ROW_EPOCH_AT / 4;
export const BACK = ROW_BACK_AT / 4;
export const ATTEMPTS = ROW_ATTEMPTS_AT / 4;

const TWO_32 = 2 ** 32;

/** The number in two words, low first. */
export function join(low: number, high: number): number {
  const number = high * TWO_32 + low;
  assert(number <= Number.MAX_SAFE_INTEGER, `a number of the log is beyond 2^53: ${high},${low}`);
  return number;
}

/** Sequence of the row that starts at word `at`. */
export function sequenceOf(words: Uint32Array, at: number): number {
  return join(words[at + SEQUENCE_LOW]!, words[at + SEQUENCE_LOW + 1]!);
}

/** Bytes that the record of the row that starts at word `at` takes in the log. */
export function recordBytesOf(words: Uint32Array, at: number): number {
  const bytes = RECORD_HEADER_BYTES + words[at + BODY_BYTES]!;
  return Math.ceil(bytes / RECORD_ALIGN) * RECORD_ALIGN;
}

/** Bucket (or time) of the row that starts at word `at`, as a number below 2^53. */
export function timeOf(words: Uint32Array, at: number): number {
  return join(words[at + BUCKET_LOW]!, words[at + BUCKET_HIGH]!);
}

/** Growable list of rows, kept while their batch is on its way to disk. */
export class RowList {
  words = new Uint32Array(ROW_WORDS * 64);
  count = 0;

  /** Copies `count` rows from the codec. */
  add(rows: Uint32Array, count: number): void {
    const from = this.count * ROW_WORDS;
    const size = count * ROW_WORDS;
    if (from + size > this.words.length) {
      const grown = new Uint32Array(Math.max(this.words.length * 2, from + size));
      grown.set(this.words.subarray(0, from));
      this.words = grown;
    }
    if (size <= 4 * ROW_WORDS) for (let i = 0; i < size; i++) this.words[from + i] = rows[i]!;
    else this.words.set(rows.subarray(0, size), from);
    this.count += count;
  }

  clear(): void {
    this.count = 0;
  }
}
