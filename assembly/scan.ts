// Verifies records where they stand and notes each as a row. One scan serves recovery, cold
// delivery and the offline tools. Nothing in a header is believed before its checksum held, and
// no length moves the cursor before it was bounded.

import { crc32c } from './crc32c';
import {
  RECORD_ALIGN,
  RECORD_ATTEMPTS_AT,
  RECORD_BACK_AT,
  RECORD_BODY_BYTES_AT,
  RECORD_BODY_CRC_AT,
  RECORD_BUCKET_AT,
  RECORD_COUNT_AT,
  RECORD_CRC_AT,
  RECORD_EPOCH_AT,
  RECORD_FLAGS_AT,
  RECORD_HEADER_BYTES,
  RECORD_KIND_AT,
  RECORD_PLACED,
  RECORD_POSITION_AT,
  RECORD_SEQUENCE_AT,
  RECORD_TYPE_AT,
  RECORD_TYPE_MAX,
  RESULT_CONSUMED,
  RESULT_LENGTH,
  RESULT_ROWS,
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
  SCAN_BAD,
  SCAN_END,
  SCAN_MORE,
  SCAN_ROWS,
  SCAN_UNKNOWN,
} from './layout';
import { align8, setResult } from './memory';
import { isWhole } from './place';
import { key } from './record';

// @ts-ignore: decorator
@inline
function headerHolds(at: u32, position: u64): bool {
  return (
    load<u64>(at + RECORD_POSITION_AT) == position &&
    load<u32>(at + RECORD_CRC_AT) == (crc32c(at + 4, RECORD_HEADER_BYTES - 4) ^ key)
  );
}

/** Notes the record at `at`, whose header holds, as row `row`. */
export function noteRow(row: u32, at: u32, offset: u32): void {
  const to = ROWS_AT + row * ROW_BYTES;
  store<u32>(to + ROW_TYPE_AT, load<u8>(at + RECORD_TYPE_AT));
  // Kind and form follow; of other records they mean nothing.
  const flags = load<u8>(at + RECORD_FLAGS_AT);
  const placed = load<u8>(at + RECORD_TYPE_AT) == RECORD_PLACED;
  const shape = placed ? load<u16>(at + RECORD_KIND_AT) : 0;
  store<u32>(to + ROW_FLAGS_AT, u32(flags) | (u32(shape) << 8));
  store<u32>(to + ROW_OFFSET_AT, offset);
  store<u32>(to + ROW_BODY_BYTES_AT, load<u32>(at + RECORD_BODY_BYTES_AT));
  store<u64>(to + ROW_BUCKET_AT, load<u64>(at + RECORD_BUCKET_AT));
  store<u64>(to + ROW_SEQUENCE_AT, load<u64>(at + RECORD_SEQUENCE_AT));
  store<u32>(to + ROW_COUNT_AT, load<u32>(at + RECORD_COUNT_AT));
  store<u32>(to + ROW_EPOCH_AT, load<u32>(at + RECORD_EPOCH_AT));
  store<u32>(to + ROW_BACK_AT, load<u32>(at + RECORD_BACK_AT));
  store<u32>(to + ROW_ATTEMPTS_AT, load<u32>(at + RECORD_ATTEMPTS_AT));
}

/**
 * Verifies the records in the `bytes` bytes at `at`, the first of which stands at log position
 * `position`. Row offsets count from `at`. Returns a SCAN status; results: bytes of valid records
 * consumed, rows filled, and with SCAN_MORE the bytes that the record at the end needs.
 */
export function scan(at: u32, bytes: u32, position: f64): u32 {
  const base = u64(position);
  let offset: u32 = 0;
  let rows: u32 = 0;
  let status: u32 = SCAN_END;
  while (offset < bytes) {
    const left = bytes - offset;
    if (left < RECORD_HEADER_BYTES) {
      setResult(RESULT_LENGTH, RECORD_HEADER_BYTES);
      status = SCAN_MORE;
      break;
    }
    const record = at + offset;
    if (!headerHolds(record, base + u64(offset))) {
      status = SCAN_BAD;
      break;
    }
    const type: u32 = load<u8>(record + RECORD_TYPE_AT);
    if (type == 0 || type > RECORD_TYPE_MAX) {
      status = SCAN_UNKNOWN;
      break;
    }
    const bodyBytes = load<u32>(record + RECORD_BODY_BYTES_AT);
    if (bodyBytes > 0x7fffffff) {
      status = SCAN_BAD;
      break;
    }
    const whole = RECORD_HEADER_BYTES + align8(bodyBytes);
    if (whole > left) {
      setResult(RESULT_LENGTH, whole);
      status = SCAN_MORE;
      break;
    }
    if (crc32c(record + RECORD_HEADER_BYTES, bodyBytes) != load<u32>(record + RECORD_BODY_CRC_AT)) {
      status = SCAN_BAD;
      break;
    }
    if (type >= RECORD_PLACED && !isWhole(record, bodyBytes)) {
      status = SCAN_BAD;
      break;
    }
    if (rows == ROWS_MAX) {
      status = SCAN_ROWS;
      break;
    }
    noteRow(rows++, record, offset);
    offset += whole;
  }
  setResult(RESULT_CONSUMED, offset);
  setResult(RESULT_ROWS, rows);
  return status;
}

/**
 * Looks for the first record header that holds at any aligned offset of the `bytes` bytes at
 * `at`, and notes it as row 0. Used beyond a bad spot, where no length can be trusted; the body is
 * not needed, since the header alone proves which batch was being written.
 * Returns its offset, or `bytes` if there is none.
 */
export function seek(at: u32, bytes: u32, position: f64): u32 {
  const base = u64(position);
  for (let offset: u32 = 0; offset + RECORD_HEADER_BYTES <= bytes; offset += RECORD_ALIGN) {
    if (headerHolds(at + offset, base + u64(offset))) {
      noteRow(0, at + offset, offset);
      return offset;
    }
  }
  return bytes;
}
