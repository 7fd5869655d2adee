// Placed records: packs one from the messages of a record that stands in memory, and says of one
// that was read back, as of deferrals, producers and ids, whether its body is what its header says.
// A checksum that holds is no reason to believe a size, and what is not understood is not passed on
// as if it were.

import { sizeAt } from './delivery';
import {
  MARKS_AT,
  MESSAGE_SIZE_BYTES,
  RECORD_COUNT_AT,
  RECORD_DEFERRED,
  RECORD_FORM_AT,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_KIND_AT,
  RECORD_PLACED,
  RECORD_PRODUCERS,
  RECORD_SEQUENCE_AT,
  RECORD_TYPE_AT,
  RESULT_MESSAGES,
  RESULT_PAYLOAD,
  RESULT_ROWS,
  RING_AT,
} from './layout';
import {
  CAUSE_MAX,
  DEFERRAL_BYTES,
  DEFERRAL_CAUSE_AT,
  DEFERRAL_COUNT_AT,
  DEFERRAL_DUE_AT,
  DEFERRAL_KIND_AT,
  DEFERRAL_LEVEL_AT,
  DEFERRAL_SEQUENCE_AT,
  DEFERRAL_ZERO_AT,
  FIELDS_BYTES_MAX,
  FIELDS_SIZE_BYTES,
  FORM_FIELDS,
  FORM_MAX,
  FORM_SETTLES,
  HEAD_BYTES,
  HEAD_DUE_AT,
  HEAD_EXPIRES_AT,
  HEAD_FROM_AT,
  HEAD_FROM_KIND_AT,
  HEAD_LEVEL_AT,
  HEAD_MOVED_AT,
  HEAD_PUBLISHED_AT,
  HEAD_REASON_AT,
  HEAD_ZERO_AT,
  ID_BYTES,
  KIND_MAX,
  LEVEL_MAX,
  PRODUCER_BYTES,
  PRODUCER_TIME_AT,
  REASON_MAX,
} from './layout-placed';
import { check, copy, setResult } from './memory';
import { closeRecord, fits, takeSequences, writeAt } from './record';
import { noteRow } from './scan';

/**
 * Packs messages `first` … `first + count - 1` of the verified record whose body stands at `bodyAt`
 * into a placed record at the write cursor, behind the head that is at MARKS_AT, with the fields
 * that they have. `form`: FORM_SETTLES or 0. Returns whether there was room before the
 * limit; if so, row 0 is the record's; results: messages, their payload bytes, rows.
 */
export function place(
  bodyAt: u32,
  bodyBytes: u32,
  first: u32,
  count: u32,
  bucketLow: u32,
  bucketHigh: u32,
  kind: u32,
  form: u32,
  attempts: u32,
): bool {
  check(count > 0 && kind <= KIND_MAX && (form & ~FORM_SETTLES) == 0);
  const source = bodyAt - RECORD_HEADER_BYTES;
  const isPlaced = load<u8>(source + RECORD_TYPE_AT) == RECORD_PLACED;
  const fields = isPlaced ? load<u8>(source + RECORD_FORM_AT) & FORM_FIELDS : 0;
  const bodyEnd = bodyAt + bodyBytes;
  let cursor = bodyAt + (isPlaced ? HEAD_BYTES : 0);
  for (let i: u32 = 0; i < first; i++) cursor += MESSAGE_SIZE_BYTES + sizeAt(cursor, bodyEnd);
  const from = cursor;
  let payload: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const length = sizeAt(cursor, bodyEnd);
    payload += length;
    if (fields != 0) payload -= FIELDS_SIZE_BYTES + load<u16>(cursor + MESSAGE_SIZE_BYTES);
    cursor += MESSAGE_SIZE_BYTES + length;
  }
  const bytes = HEAD_BYTES + cursor - from;
  const offset = writeAt;
  if (!fits(offset, bytes)) return false;
  const body = RING_AT + offset + RECORD_HEADER_BYTES;
  // The messages may stand in the ring where this record goes: they are moved before the head is
  // written, by what can move bytes onto themselves.
  memory.copy(body + HEAD_BYTES, from, cursor - from);
  copy(body, MARKS_AT, HEAD_BYTES);
  const bucket = (u64(bucketHigh) << 32) | u64(bucketLow);
  const shape = kind | ((form | fields) << 8);
  const sequence = takeSequences(count);
  closeRecord(offset, bytes, RECORD_PLACED, 0, shape, sequence, bucket, count, attempts);
  noteRow(0, RING_AT + offset, offset);
  setResult(RESULT_MESSAGES, count);
  setResult(RESULT_PAYLOAD, payload);
  setResult(RESULT_ROWS, 1);
  return true;
}

/** Whether the body of the record of a type from placed on, at `at`, is what its header says. */
export function isWhole(at: u32, bodyBytes: u32): bool {
  const type = load<u8>(at + RECORD_TYPE_AT);
  const kind = load<u8>(at + RECORD_KIND_AT);
  const form = load<u8>(at + RECORD_FORM_AT);
  const count = load<u32>(at + RECORD_COUNT_AT);
  if (count == 0) return false;
  if (type == RECORD_PLACED) return kind <= KIND_MAX && form <= FORM_MAX && isPlaced(at, bodyBytes);
  if (kind != 0 || form != 0) return false;
  const body = at + RECORD_HEADER_BYTES;
  if (type == RECORD_IDS)
    return isTime(at + RECORD_SEQUENCE_AT) && isSize(bodyBytes, count, ID_BYTES);
  if (type == RECORD_PRODUCERS) {
    if (!isSize(bodyBytes, count, PRODUCER_BYTES)) return false;
    for (let i: u32 = 0; i < count; i++)
      if (!isTime(body + i * PRODUCER_BYTES + PRODUCER_TIME_AT)) return false;
    return true;
  }
  if (type != RECORD_DEFERRED || !isSize(bodyBytes, count, DEFERRAL_BYTES)) return false;
  for (let i: u32 = 0; i < count; i++) if (!isDeferral(body + i * DEFERRAL_BYTES)) return false;
  return true;
}

// @ts-ignore: decorator
@inline
function isSize(bodyBytes: u32, count: u32, each: u32): bool {
  return u64(count) * u64(each) == u64(bodyBytes);
}

// Below 2^48 ms: the year 10889.
// @ts-ignore: decorator
@inline
function isTime(at: u32): bool {
  return load<u16>(at + 6) == 0;
}

// Below 2^53, which sequences are as numbers everywhere else.
// @ts-ignore: decorator
@inline
function isSequence(at: u32): bool {
  return load<u64>(at) >> 53 == 0;
}

function isDeferral(at: u32): bool {
  return (
    isSequence(at + DEFERRAL_SEQUENCE_AT) &&
    load<u32>(at + DEFERRAL_COUNT_AT) > 0 &&
    isTime(at + DEFERRAL_DUE_AT) &&
    load<u8>(at + DEFERRAL_KIND_AT) <= KIND_MAX &&
    load<u8>(at + DEFERRAL_LEVEL_AT) <= LEVEL_MAX &&
    load<u8>(at + DEFERRAL_CAUSE_AT) <= CAUSE_MAX &&
    load<u8>(at + DEFERRAL_ZERO_AT) == 0 &&
    load<u16>(at + DEFERRAL_ZERO_AT + 1) == 0
  );
}

function isPlaced(at: u32, bodyBytes: u32): bool {
  if (bodyBytes < HEAD_BYTES) return false;
  const form = load<u8>(at + RECORD_FORM_AT);
  const count = load<u32>(at + RECORD_COUNT_AT);
  const head = at + RECORD_HEADER_BYTES;
  if (
    !isTime(head + HEAD_DUE_AT) ||
    !isTime(head + HEAD_EXPIRES_AT) ||
    !isTime(head + HEAD_PUBLISHED_AT) ||
    !isTime(head + HEAD_MOVED_AT) ||
    !isSequence(head + HEAD_FROM_AT) ||
    load<u8>(head + HEAD_REASON_AT) > REASON_MAX ||
    load<u8>(head + HEAD_FROM_KIND_AT) > KIND_MAX ||
    load<u8>(head + HEAD_LEVEL_AT) > LEVEL_MAX ||
    load<u16>(head + HEAD_ZERO_AT) != 0 ||
    load<u32>(head + HEAD_ZERO_AT + 2) != 0
  )
    return false;
  const from = load<u64>(head + HEAD_FROM_AT);
  if ((form & FORM_SETTLES) != 0) {
    // What it settles stands before it.
    if (from == 0 || from + u64(count) > load<u64>(at + RECORD_SEQUENCE_AT)) return false;
  }
  const end = head + bodyBytes;
  let cursor = head + HEAD_BYTES;
  for (let i: u32 = 0; i < count; i++) {
    if (end - cursor < MESSAGE_SIZE_BYTES) return false;
    const length = load<u32>(cursor);
    if (length > end - cursor - MESSAGE_SIZE_BYTES) return false;
    if ((form & FORM_FIELDS) != 0) {
      if (length < FIELDS_SIZE_BYTES) return false;
      const fields: u32 = load<u16>(cursor + MESSAGE_SIZE_BYTES);
      if (fields > FIELDS_BYTES_MAX || fields > length - FIELDS_SIZE_BYTES) return false;
    }
    cursor += MESSAGE_SIZE_BYTES + length;
  }
  return cursor == end;
}
