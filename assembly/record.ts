// Encodes log records into the ring: the image of the segment being written. Owns the write
// cursor; `intake.ts` fills message records through it. Must not know what a record is for.

import { crc32c } from './crc32c';
import { forgetDelivery } from './delivery';
import {
  FLAG_PROOF,
  MARK_BYTES,
  MARKS_AT,
  MARKS_MAX,
  RECORD_ATTEMPTS_AT,
  RECORD_BACK_AT,
  RECORD_BODY_BYTES_AT,
  RECORD_BODY_CRC_AT,
  RECORD_BUCKET_AT,
  RECORD_COUNT_AT,
  RECORD_CRC_AT,
  RECORD_DEFERRED,
  RECORD_EPOCH_AT,
  RECORD_FLAGS_AT,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_KIND_AT,
  RECORD_POSITION_AT,
  RECORD_PRODUCERS,
  RECORD_SEQUENCE_AT,
  RECORD_TYPE_AT,
  RING_AT,
  RING_BYTES,
} from './layout';
import { DEFERRAL_BYTES, ID_BYTES, PRODUCER_BYTES } from './layout-placed';
import { align8, check, copy } from './memory';

// The open segment and the open commit batch. Offsets count from the segment's first byte, which
// stands at RING_AT; a position is the segment's base plus the offset.
let segmentBytes: u32 = 0;
let base: u64 = 0;
let epoch: u32 = 0;
let batchAt: u32 = 0;
let batchFlags: u32 = 0;
let limit: u32 = 0;

// Of the log that is written and read: see layout.ts, record.
export let key: u32 = 0;
export let writeAt: u32 = 0;
export let nextSequence: u64 = 0;

/** Sets the key of the log that is written and read from now on. */
export function setKey(logKey: u32): void {
  key = logKey;
}

/** Turns to a segment: further records go to `offset` of the segment based at `position`. */
export function openSegment(position: f64, offset: u32, bytes: u32, startEpoch: u32): void {
  check(bytes <= RING_BYTES && offset <= bytes && (offset & 7) == 0);
  segmentBytes = bytes;
  base = u64(position);
  epoch = startEpoch;
  writeAt = offset;
  batchAt = offset;
  limit = offset;
}

/** Opens a commit batch at the write cursor. `proof`: all earlier batches are known synced. */
export function openBatch(proof: bool): void {
  batchAt = writeAt;
  batchFlags = proof ? FLAG_PROOF : 0;
}

/** Bounds what `intake` may write: no record of messages ends beyond this offset. */
export function setLimit(offset: u32): void {
  check(offset <= segmentBytes);
  limit = offset;
}

/** Sets the sequence number that the next message gets. */
export function setSequence(sequence: f64): void {
  forgetDelivery();
  nextSequence = u64(sequence);
}

export function getWriteAt(): u32 {
  return writeAt;
}

export function getSequence(): f64 {
  return f64(nextSequence);
}

/** Whether a record of `bodyBytes` would end at or before the limit. */
// @ts-ignore: decorator
@inline
export function fits(offset: u32, bodyBytes: u64): bool {
  return u64(offset) + align8(RECORD_HEADER_BYTES) + ((bodyBytes + 7) & ~7) <= u64(limit);
}

/**
 * Writes header and padding around a body that already stands at its place; moves the cursor.
 * `shape`: kind and form, in the low and the high byte; 0 but for placed records.
 */
export function closeRecord(
  offset: u32,
  bodyBytes: u32,
  type: u32,
  flags: u32,
  shape: u32,
  sequence: u64,
  bucket: u64,
  count: u32,
  attempts: u32,
): void {
  const at = RING_AT + offset;
  const body = at + RECORD_HEADER_BYTES;
  const padded = align8(bodyBytes);
  check(offset + RECORD_HEADER_BYTES + padded <= segmentBytes);
  for (let i = bodyBytes; i < padded; i++) store<u8>(body + i, 0);
  store<u32>(at + RECORD_BODY_CRC_AT, crc32c(body, bodyBytes));
  store<u32>(at + RECORD_BODY_BYTES_AT, bodyBytes);
  store<u8>(at + RECORD_TYPE_AT, type);
  store<u8>(at + RECORD_FLAGS_AT, flags | batchFlags);
  store<u16>(at + RECORD_KIND_AT, shape);
  store<u64>(at + RECORD_POSITION_AT, base + u64(offset));
  store<u64>(at + RECORD_SEQUENCE_AT, sequence);
  store<u64>(at + RECORD_BUCKET_AT, bucket);
  store<u32>(at + RECORD_COUNT_AT, count);
  store<u32>(at + RECORD_EPOCH_AT, epoch);
  store<u32>(at + RECORD_BACK_AT, offset - batchAt);
  store<u32>(at + RECORD_ATTEMPTS_AT, attempts);
  store<u32>(at + RECORD_CRC_AT, crc32c(at + 4, RECORD_HEADER_BYTES - 4) ^ key);
  writeAt = offset + RECORD_HEADER_BYTES + padded;
}

/** Gives out `count` sequence numbers and returns the first. */
// @ts-ignore: decorator
@inline
export function takeSequences(count: u32): u64 {
  const first = nextSequence;
  nextSequence += u64(count);
  return first;
}

function markBytesOf(type: u32): u32 {
  if (type == RECORD_DEFERRED) return DEFERRAL_BYTES;
  if (type == RECORD_PRODUCERS) return PRODUCER_BYTES;
  return type == RECORD_IDS ? ID_BYTES : MARK_BYTES;
}

/**
 * Packs the first `count` marks at MARKS_AT into one record of a type that has them. Sequence, bucket
 * and attempts are those of ids (layout.ts), else 0.
 */
export function packMarks(
  type: u32,
  count: u32,
  sequence: f64,
  bucketLow: u32,
  bucketHigh: u32,
  attempts: u32,
): void {
  const each = markBytesOf(type);
  check(count > 0 && count <= (MARKS_MAX * MARK_BYTES) / each);
  const bytes = count * each;
  const offset = writeAt;
  check(offset + RECORD_HEADER_BYTES + bytes <= segmentBytes);
  copy(RING_AT + offset + RECORD_HEADER_BYTES, MARKS_AT, bytes);
  const bucket = (u64(bucketHigh) << 32) | u64(bucketLow);
  closeRecord(offset, bytes, type, 0, 0, u64(sequence), bucket, count, attempts);
}

/** Writes a record without a body: commit, start or trim. */
export function packControl(type: u32, flags: u32, sequence: f64, time: f64, count: u32): void {
  closeRecord(writeAt, 0, type, flags, 0, u64(sequence), u64(time), count, 0);
}
