// What a compaction takes out of records and puts into others, piece by piece.

import {
  MARK_ATTEMPTS_AT,
  MARK_BYTES,
  MARK_COUNT_AT,
  MARK_SEQUENCE_AT,
  MESSAGE_SIZE_BYTES,
} from '../../../assembly/layout.ts';
import { assert } from '../../core/assert.ts';
import { ATTEMPTS, BUCKET_HIGH, BUCKET_LOW, COUNT, sequenceOf } from '../../core/records/rows.ts';
import type { Fields } from './repack.ts';

/** Writes a run of sequences as the `i`-th mark of a view. */
export function writeMark(
  view: DataView,
  i: number,
  [first, run, attempts = 0]: [number, number, number?],
) {
  const at = i * MARK_BYTES;
  view.setBigUint64(at + MARK_SEQUENCE_AT, BigInt(first), true);
  view.setUint32(at + MARK_COUNT_AT, run, true);
  view.setUint32(at + MARK_ATTEMPTS_AT, attempts, true);
}

/** What the header of a record says of its messages, as it is. */
export function namesOf(rows: Uint32Array, at: number): Omit<Fields, 'type'> {
  return {
    sequence: sequenceOf(rows, at),
    bucketLow: rows[at + BUCKET_LOW]!,
    bucketHigh: rows[at + BUCKET_HIGH]!,
    count: rows[at + COUNT]!,
    attempts: rows[at + ATTEMPTS]!,
  };
}

/** Behind the message that begins at `at` in a body. */
export function behind(view: DataView, at: number): number {
  assert(at + MESSAGE_SIZE_BYTES <= view.byteLength, 'a body has fewer messages than it says');
  const next = at + MESSAGE_SIZE_BYTES + view.getUint32(at, true);
  assert(next <= view.byteLength, 'a message reaches beyond its body');
  return next;
}

/** Bytes of segments together. */
export function sumOf(headers: readonly { bytes: number }[]): number {
  return headers.reduce((sum, { bytes }) => sum + bytes, 0);
}
