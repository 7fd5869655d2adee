// Records of ids (layout-placed.ts): which messages were published, when, and for how long that is
// to be known.

import { RECORD_ALIGN, RECORD_HEADER_BYTES, RECORD_IDS } from '../../../assembly/layout.ts';
import { ID_BYTES } from '../../../assembly/layout-placed.ts';
import type { RecordWriter } from '../ports/codec.ts';
import { ATTEMPTS, COUNT, sequenceOf } from './rows.ts';

const ID_WORDS = ID_BYTES / 4;

/** Ids, as they stand in a record. */
export interface RecordedIds {
  /** Four words each. */
  words: Uint32Array;
  count: number;
  /** When they were published, in ms since 1970, and for how many s that is to be known. */
  timeMs: number;
  windowS: number;
}

/** Bytes that a record of so many ids takes in the log. */
export function idRecordBytes(count: number): number {
  const bytes = RECORD_HEADER_BYTES + count * ID_BYTES;
  return Math.ceil(bytes / RECORD_ALIGN) * RECORD_ALIGN;
}

/**
 * Packs the ids of messages of a bucket, whose halves are given, as a record. Gives the bytes that
 * it takes.
 */
export function packIds(
  codec: Pick<RecordWriter, 'marks' | 'packMarks'>,
  { words, count, timeMs, windowS }: RecordedIds,
  low: number,
  high: number,
): number {
  for (let i = 0; i < count * ID_WORDS; i++) codec.marks.setUint32(i * 4, words[i]!, true);
  codec.packMarks(RECORD_IDS, count, timeMs, low, high, windowS);
  return idRecordBytes(count);
}

/** The ids of the record in the row that starts at word `at`, whose body begins at `body`. */
export function idsIn(rows: Uint32Array, at: number, bytes: Uint8Array, body: number): RecordedIds {
  const count = rows[at + COUNT]!;
  const view = new DataView(bytes.buffer, bytes.byteOffset + body, count * ID_BYTES);
  const words = new Uint32Array(count * ID_WORDS);
  for (let i = 0; i < words.length; i++) words[i] = view.getUint32(i * 4, true);
  return { words, count, ...windowOf(rows, at) };
}

/** When the ids in the row that starts at word `at` were published, and for how long they count. */
export function windowOf(rows: Uint32Array, at: number): { timeMs: number; windowS: number } {
  return { timeMs: sequenceOf(rows, at), windowS: rows[at + ATTEMPTS]! };
}

/** Until when they are to be known, in ms since 1970. */
export function untilOf({ timeMs, windowS }: { timeMs: number; windowS: number }): number {
  return timeMs + windowS * 1000;
}
