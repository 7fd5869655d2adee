// Packs messages of a producer's batch behind a head, as one placed record, where the host has
// decided so about the run that an intake stopped at (intake.ts). A function of its own: the loop
// of an intake has no variable to spare for what few messages need.

import {
  BUCKET_BYTES,
  INTAKE_DONE,
  INTAKE_FULL,
  MARKS_AT,
  MESSAGE_SIZE_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_PLACED,
  RESULT_CONSUMED,
  RESULT_MESSAGES,
  RESULT_PAYLOAD,
  RESULT_ROWS,
  RING_AT,
  WIRE_U64,
} from './layout';
import { HEAD_BYTES } from './layout-placed';
import { check, copy, setResult } from './memory';
import { closeRecord, fits, takeSequences, writeAt } from './record';
import { noteRow } from './scan';

/**
 * Takes the first messages of the run at `at` … `end`, `most` at most and as many as there is room
 * for, into one record behind the head that is at MARKS_AT. The run was measured: a message that is
 * not whole, or is for another bucket, traps. Returns INTAKE_DONE, or INTAKE_FULL if not all had
 * room; results as of `intake`.
 */
export function intakePlaced(at: u32, end: u32, most: u32, wire: u32): u32 {
  const headBytes = BUCKET_BYTES + wire;
  check(most > 0 && end - at >= headBytes);
  const bucket = load<u64>(at);
  const recordAt = writeAt;
  let status: u32 = INTAKE_DONE;
  let cursor = at;
  let messages: u32 = 0;
  let payload: u32 = 0;
  let bodyBytes = HEAD_BYTES;
  while (messages < most) {
    const available = end - cursor;
    check(available >= headBytes && load<u64>(cursor) == bucket);
    const length64 =
      wire == WIRE_U64 ? load<u64>(cursor + BUCKET_BYTES) : u64(load<u32>(cursor + BUCKET_BYTES));
    check(length64 > 0 && length64 <= u64(available - headBytes));
    const length = u32(length64);
    if (!fits(recordAt, u64(bodyBytes) + MESSAGE_SIZE_BYTES + length)) {
      status = INTAKE_FULL;
      break;
    }
    const body = RING_AT + recordAt + RECORD_HEADER_BYTES + bodyBytes;
    store<u32>(body, length);
    copy(body + MESSAGE_SIZE_BYTES, cursor + headBytes, length);
    bodyBytes += MESSAGE_SIZE_BYTES + length;
    cursor += headBytes + length;
    payload += length;
    messages++;
  }
  if (messages > 0) {
    copy(RING_AT + recordAt + RECORD_HEADER_BYTES, MARKS_AT, HEAD_BYTES);
    const sequence = takeSequences(messages);
    closeRecord(recordAt, bodyBytes, RECORD_PLACED, 0, 0, sequence, bucket, messages, 0);
    noteRow(0, RING_AT + recordAt, recordAt);
  }
  setResult(RESULT_CONSUMED, cursor - at);
  setResult(RESULT_MESSAGES, messages);
  setResult(RESULT_PAYLOAD, payload);
  setResult(RESULT_ROWS, messages > 0 ? 1 : 0);
  return status;
}
