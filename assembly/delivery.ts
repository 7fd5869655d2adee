// Packs messages from a record's body into a delivery frame in the outbox, in the consumer's
// dialect. The body may stand in the ring or in a cold window; its checksum was verified when it
// arrived there, its lengths are bounded again here.

import {
  BATCH_HEADER_BYTES,
  MESSAGE_SIZE_BYTES,
  OUTBOX_AT,
  OUTBOX_BYTES,
  RECORD_FORM_AT,
  RECORD_HEADER_BYTES,
  RECORD_PLACED,
  RECORD_SEQUENCE_AT,
  RECORD_TYPE_AT,
  RESULT_BYTES_OUT,
  RESULT_LENGTH,
  RESULT_MESSAGES,
  RESULT_PAYLOAD,
  WIRE_U64,
} from './layout';
import { FIELDS_SIZE_BYTES, FORM_FIELDS, HEAD_BYTES } from './layout-placed';
import { check, copy, setResult } from './memory';

/** Size of the message at `cursor`, fields included, once all of it stands before `bodyEnd`. */
// @ts-ignore: decorator
@inline
export function sizeAt(cursor: u32, bodyEnd: u32): u32 {
  check(cursor + MESSAGE_SIZE_BYTES <= bodyEnd);
  const length = load<u32>(cursor);
  check(length <= bodyEnd - cursor - MESSAGE_SIZE_BYTES);
  return length;
}

// @ts-ignore: decorator
@inline
function isPlaced(bodyAt: u32): bool {
  return load<u8>(bodyAt - RECORD_HEADER_BYTES + RECORD_TYPE_AT) == RECORD_PLACED;
}

// @ts-ignore: decorator
@inline
function hasFields(bodyAt: u32): bool {
  return (load<u8>(bodyAt - RECORD_HEADER_BYTES + RECORD_FORM_AT) & FORM_FIELDS) != 0;
}

// Bytes of the message at `cursor` before what was published: the block of fields and its size.
function fieldBytesAt(cursor: u32, length: u32): u32 {
  check(length >= FIELDS_SIZE_BYTES);
  const bytes: u32 = FIELDS_SIZE_BYTES + load<u16>(cursor + MESSAGE_SIZE_BYTES);
  check(bytes <= length);
  return bytes;
}

// Where the last delivery ended, so that taking a record message by message does not walk its body
// from the start for each of them. The record is known by the sequence of its first message, which
// no other one ever gets: compaction may put another record where this one stood, and may leave
// only the beginning of this one, but where a message begins in it stays the same.
// Messages of placed records begin behind its head, and each may have fields in front of its bytes.
let lastSequence: u64 = u64.MAX_VALUE;
let lastIndex: u32 = 0;
let lastOffset: u32 = 0;

/** Sequences are given out anew: the one that the last delivery ended in may be another record's. */
export function forgetDelivery(): void {
  lastSequence = u64.MAX_VALUE;
}

/**
 * Appends messages `first` … `first + count - 1` of the body at `bodyAt` to the outbox at offset
 * `outAt`, as many as fit within `bytesMax` outbox bytes; when `outAt` is just behind the frame
 * header, one message is packed whatever its size.
 * Returns the messages packed; results: new outbox offset, payload bytes.
 */
export function deliver(
  bodyAt: u32,
  bodyBytes: u32,
  first: u32,
  count: u32,
  wire: u32,
  outAt: u32,
  bytesMax: u32,
): u32 {
  const bodyEnd = bodyAt + bodyBytes;
  const sequence = load<u64>(bodyAt - RECORD_HEADER_BYTES + RECORD_SEQUENCE_AT);
  const known = sequence == lastSequence && first >= lastIndex;
  const start = isPlaced(bodyAt) ? HEAD_BYTES : 0;
  const fields = start != 0 && hasFields(bodyAt);
  let cursor = bodyAt + (known ? lastOffset : start);
  for (let i: u32 = known ? lastIndex : 0; i < first; i++) {
    cursor += MESSAGE_SIZE_BYTES + sizeAt(cursor, bodyEnd);
  }
  let out = outAt;
  let packed: u32 = 0;
  let payload: u32 = 0;
  while (packed < count) {
    const size = sizeAt(cursor, bodyEnd);
    const skipped = fields ? fieldBytesAt(cursor, size) : 0;
    const length = size - skipped;
    const whole = wire + length;
    if (out + whole > bytesMax && out != BATCH_HEADER_BYTES) break;
    check(out + whole <= OUTBOX_BYTES);
    if (wire == WIRE_U64) store<u64>(OUTBOX_AT + out, u64(length));
    else store<u32>(OUTBOX_AT + out, length);
    copy(OUTBOX_AT + out + wire, cursor + MESSAGE_SIZE_BYTES + skipped, length);
    cursor += MESSAGE_SIZE_BYTES + size;
    out += whole;
    payload += length;
    packed++;
  }
  lastSequence = sequence;
  lastIndex = first + packed;
  lastOffset = cursor - bodyAt;
  setResult(RESULT_MESSAGES, packed);
  setResult(RESULT_BYTES_OUT, out);
  setResult(RESULT_PAYLOAD, payload);
  return packed;
}

/** Writes the frame header: the number of messages that follow. */
export function closeFrame(count: u32): void {
  store<u32>(OUTBOX_AT, count);
}

/** Finds message `index` of a body: returns its size; result: its offset within the body, both of
 * what was published. */
export function locate(bodyAt: u32, bodyBytes: u32, index: u32): u32 {
  const bodyEnd = bodyAt + bodyBytes;
  const placed = isPlaced(bodyAt);
  let cursor = bodyAt + (placed ? HEAD_BYTES : 0);
  for (let i: u32 = 0; i < index; i++) {
    cursor += MESSAGE_SIZE_BYTES + sizeAt(cursor, bodyEnd);
  }
  const size = sizeAt(cursor, bodyEnd);
  const skipped = placed && hasFields(bodyAt) ? fieldBytesAt(cursor, size) : 0;
  setResult(RESULT_LENGTH, cursor + MESSAGE_SIZE_BYTES + skipped - bodyAt);
  return size - skipped;
}
