// Scans the messages of a producer's batch and packs them into records of the ring in one pass:
// neighbours for the same bucket share a record. Keeps no state between calls, so a partial
// message stays with its connection, and a record never spans two calls. It stops where the next
// one is to be for a bucket of RULES, so that the host decides before anything of it is packed.

import {
  BUCKET_BYTES,
  INTAKE_DONE,
  INTAKE_EMPTY,
  INTAKE_FOREIGN,
  INTAKE_FULL,
  INTAKE_LARGE,
  INTAKE_MORE,
  INTAKE_ROWS,
  INTAKE_RULED,
  MESSAGE_BYTES_CEILING,
  MESSAGE_SIZE_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RESULT_BUCKET_HIGH,
  RESULT_BUCKET_LOW,
  RESULT_CONSUMED,
  RESULT_LENGTH,
  RESULT_MESSAGES,
  RESULT_PAYLOAD,
  RESULT_ROWS,
  RESULT_RULE,
  RESULT_RUN_MESSAGES,
  RESULT_RUN_PAYLOAD,
  RING_AT,
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
  ROWS_AT,
  ROWS_MAX,
  RUN_MESSAGES_MAX,
  WIRE_U64,
} from './layout';
import { copy, setResult } from './memory';
import { closeRecord, fits, takeSequences, writeAt } from './record';
import { hasRules, ruleOf } from './rules';

// Closes the open record of one bucket and notes it as row `row`.
function finish(row: u32, offset: u32, bodyBytes: u32, bucket: u64, count: u32): void {
  const sequence = takeSequences(count);
  closeRecord(offset, bodyBytes, RECORD_MESSAGES, 0, 0, sequence, bucket, count, 0);
  const at = ROWS_AT + row * ROW_BYTES;
  store<u32>(at + ROW_TYPE_AT, RECORD_MESSAGES);
  store<u32>(at + ROW_FLAGS_AT, 0);
  store<u32>(at + ROW_OFFSET_AT, offset);
  store<u32>(at + ROW_BODY_BYTES_AT, bodyBytes);
  store<u64>(at + ROW_BUCKET_AT, bucket);
  store<u64>(at + ROW_SEQUENCE_AT, sequence);
  store<u32>(at + ROW_COUNT_AT, count);
  store<u32>(at + ROW_EPOCH_AT, 0);
  store<u32>(at + ROW_BACK_AT, 0);
  store<u32>(at + ROW_ATTEMPTS_AT, 0);
}

// Whether the call that runs stops at rules. Not a variable of the loop: it is needed at a change
// of bucket only, and the loop has more variables than there are registers.
let ruled: bool = false;

/**
 * Says how much is there of the run at `at`, which a rule stops: what an intake of up to `left`
 * messages would take next for this bucket.
 */
export function measureRun(bucket: u64, at: u32, end: u32, left: u32, wire: u32, most: u32): void {
  const headBytes = BUCKET_BYTES + wire;
  let cursor = at;
  let messages: u32 = 0;
  let payload: u32 = 0;
  left = min(left, RUN_MESSAGES_MAX);
  while (messages < left) {
    const available = end - cursor;
    if (available < headBytes || load<u64>(cursor) != bucket) break;
    const length =
      wire == WIRE_U64 ? load<u64>(cursor + BUCKET_BYTES) : u64(load<u32>(cursor + BUCKET_BYTES));
    if (length == 0 || length > u64(min(most, available - headBytes))) break;
    cursor += headBytes + u32(length);
    payload += u32(length);
    messages++;
  }
  setResult(RESULT_BUCKET_LOW, u32(bucket));
  setResult(RESULT_BUCKET_HIGH, u32(bucket >> 32));
  setResult(RESULT_RUN_MESSAGES, messages);
  setResult(RESULT_RUN_PAYLOAD, payload);
}

/**
 * Takes up to `left` messages from the bytes at `at` … `end`, all of one wire batch.
 * Returns an INTAKE status; results: bytes consumed, messages packed, rows filled, payload bytes.
 * Lengths are checked before anything is read or written by them. `admitted`: the host has decided
 * about these messages, so it does not stop at rules.
 */
export function intake(
  at: u32,
  end: u32,
  left: u32,
  wire: u32,
  messageMax: u32,
  admitted: bool,
): u32 {
  const headBytes = BUCKET_BYTES + wire;
  ruled = !admitted && hasRules();
  let cursor = at;
  let status: u32 = INTAKE_DONE;
  let messages: u32 = 0;
  let payload: u32 = 0;
  let rows: u32 = 0;
  let count: u32 = 0; // messages in the open record; 0 = no record open
  let bucket: u64 = 0;
  let recordAt: u32 = 0;
  let bodyBytes: u32 = 0;

  while (messages < left) {
    const available = end - cursor;
    if (available < headBytes) {
      setResult(RESULT_LENGTH, headBytes);
      status = INTAKE_MORE;
      break;
    }
    const length64 =
      wire == WIRE_U64 ? load<u64>(cursor + BUCKET_BYTES) : u64(load<u32>(cursor + BUCKET_BYTES));
    if (length64 > MESSAGE_BYTES_CEILING) {
      status = INTAKE_FOREIGN;
      break;
    }
    const length = u32(length64);
    if (length == 0) {
      cursor += headBytes;
      status = INTAKE_EMPTY;
      break;
    }
    if (length > messageMax) {
      cursor += headBytes;
      setResult(RESULT_LENGTH, length);
      status = INTAKE_LARGE;
      break;
    }
    if (available - headBytes < length) {
      setResult(RESULT_LENGTH, headBytes + length);
      status = INTAKE_MORE;
      break;
    }
    const to = load<u64>(cursor);
    if (count > 0 && to != bucket) {
      finish(rows++, recordAt, bodyBytes, bucket, count);
      count = 0;
    }
    if (count == 0) {
      if (rows == ROWS_MAX) {
        status = INTAKE_ROWS;
        break;
      }
      recordAt = writeAt;
      bodyBytes = 0;
      bucket = to;
      // Without room the host is not asked: it would have to be asked again when there is some.
      if (ruled && fits(recordAt, u64(MESSAGE_SIZE_BYTES) + length)) {
        const rule = ruleOf(to);
        if (rule != 0) {
          setResult(RESULT_RULE, rule);
          status = INTAKE_RULED;
          break;
        }
      }
    }
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
    count++;
    messages++;
  }
  if (count > 0) finish(rows++, recordAt, bodyBytes, bucket, count);
  if (status == INTAKE_RULED) measureRun(bucket, cursor, end, left - messages, wire, messageMax);
  setResult(RESULT_CONSUMED, cursor - at);
  setResult(RESULT_MESSAGES, messages);
  setResult(RESULT_PAYLOAD, payload);
  setResult(RESULT_ROWS, rows);
  return status;
}

/**
 * Walks like `intake` but stores nothing: for when every message must be refused.
 * Results: bytes consumed, messages seen.
 */
export function skim(at: u32, end: u32, left: u32, wire: u32, messageMax: u32): u32 {
  const headBytes = BUCKET_BYTES + wire;
  let cursor = at;
  let messages: u32 = 0;
  let status: u32 = INTAKE_DONE;
  while (messages < left) {
    const available = end - cursor;
    if (available < headBytes) {
      setResult(RESULT_LENGTH, headBytes);
      status = INTAKE_MORE;
      break;
    }
    const length =
      wire == WIRE_U64 ? load<u64>(cursor + BUCKET_BYTES) : u64(load<u32>(cursor + BUCKET_BYTES));
    if (length > MESSAGE_BYTES_CEILING) {
      status = INTAKE_FOREIGN;
      break;
    }
    if (length == 0 || length > messageMax) {
      cursor += headBytes;
      setResult(RESULT_LENGTH, u32(length));
      status = length == 0 ? INTAKE_EMPTY : INTAKE_LARGE;
      break;
    }
    if (available - headBytes < u32(length)) {
      setResult(RESULT_LENGTH, headBytes + u32(length));
      status = INTAKE_MORE;
      break;
    }
    cursor += headBytes + u32(length);
    messages++;
  }
  setResult(RESULT_CONSUMED, cursor - at);
  setResult(RESULT_MESSAGES, messages);
  setResult(RESULT_ROWS, 0);
  setResult(RESULT_PAYLOAD, 0);
  return status;
}
