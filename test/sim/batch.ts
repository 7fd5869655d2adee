// Reads a commit batch as the broker hands it to the log, byte by byte from the table of FORMAT.md:
// a reader of its own, so that what judges the broker does not take its word for it.

import assert from 'node:assert/strict';
import {
  FLAG_LAST,
  MARK_ATTEMPTS_AT,
  MARK_BYTES,
  MARK_COUNT_AT,
  MARK_SEQUENCE_AT,
  MESSAGE_SIZE_BYTES,
  RECORD_ALIGN,
  RECORD_BODY_BYTES_AT,
  RECORD_BUCKET_AT,
  RECORD_COMMIT,
  RECORD_COUNT_AT,
  RECORD_DEFERRED,
  RECORD_FLAGS_AT,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_POSITION_AT,
  RECORD_RETURNED,
  RECORD_SEQUENCE_AT,
  RECORD_SETTLED,
  RECORD_TYPE_AT,
} from '../../assembly/layout.ts';
import {
  DEFERRAL_ATTEMPTS_AT,
  DEFERRAL_BUCKET_AT,
  DEFERRAL_BYTES,
  DEFERRAL_COUNT_AT,
  DEFERRAL_DUE_AT,
  DEFERRAL_SEQUENCE_AT,
  DEFERRAL_TURN_AT,
} from '../../assembly/layout-placed.ts';

export interface BatchMark {
  sequence: number;
  count: number;
  attempts: number;
}

export interface BatchDeferral extends BatchMark {
  turn: number;
  dueMs: number;
  bucket: bigint;
}

export interface BatchRead {
  messages: { position: number; sequence: number; bucket: bigint; body: Uint8Array }[];
  settled: BatchMark[];
  returned: BatchMark[];
  deferred: BatchDeferral[];
  /** Sequence that the commit record names as the next one. */
  next: number;
  last: boolean;
}

/** Reads the records of one whole batch at log position `position`. */
export function readBatch(bytes: Uint8Array, position: number): BatchRead {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const none = { messages: [], settled: [], returned: [], deferred: [] };
  const read: BatchRead = { ...none, next: 0, last: false };
  let at = 0;
  while (at < bytes.length) {
    assert.equal(read.next, 0, 'a record stands behind the commit record of its batch');
    const type = bytes[at + RECORD_TYPE_AT]!;
    const count = view.getUint32(at + RECORD_COUNT_AT, true);
    const bodyBytes = view.getUint32(at + RECORD_BODY_BYTES_AT, true);
    const sequence = Number(view.getBigUint64(at + RECORD_SEQUENCE_AT, true));
    const named = Number(view.getBigUint64(at + RECORD_POSITION_AT, true));
    assert.equal(named, position + at, 'a record does not name its position');
    let body = at + RECORD_HEADER_BYTES;
    const end = body + Math.ceil(bodyBytes / RECORD_ALIGN) * RECORD_ALIGN;
    assert.ok(end <= bytes.length, 'a record leads out of its batch');
    if (type === RECORD_MESSAGES) {
      const bucket = view.getBigUint64(at + RECORD_BUCKET_AT, true);
      for (let i = 0; i < count; i++) {
        const size = view.getUint32(body, true);
        body += MESSAGE_SIZE_BYTES;
        const message = bytes.slice(body, body + size);
        read.messages.push({ position: named, sequence: sequence + i, bucket, body: message });
        body += size;
      }
    } else if (type === RECORD_SETTLED || type === RECORD_RETURNED) {
      const marks = type === RECORD_SETTLED ? read.settled : read.returned;
      for (let i = 0; i < count; i++, body += MARK_BYTES)
        marks.push({
          sequence: Number(view.getBigUint64(body + MARK_SEQUENCE_AT, true)),
          count: view.getUint32(body + MARK_COUNT_AT, true),
          attempts: view.getUint32(body + MARK_ATTEMPTS_AT, true),
        });
    } else if (type === RECORD_DEFERRED) {
      for (let i = 0; i < count; i++, body += DEFERRAL_BYTES)
        read.deferred.push({
          sequence: Number(view.getBigUint64(body + DEFERRAL_SEQUENCE_AT, true)),
          count: view.getUint32(body + DEFERRAL_COUNT_AT, true),
          turn: view.getUint32(body + DEFERRAL_TURN_AT, true),
          dueMs: Number(view.getBigUint64(body + DEFERRAL_DUE_AT, true)),
          bucket: view.getBigUint64(body + DEFERRAL_BUCKET_AT, true),
          attempts: view.getUint16(body + DEFERRAL_ATTEMPTS_AT, true),
        });
    } else if (type === RECORD_COMMIT) {
      read.next = sequence;
      read.last = (bytes[at + RECORD_FLAGS_AT]! & FLAG_LAST) !== 0;
    }
    at = end;
  }
  assert.ok(read.next > 0, 'a batch has no commit record');
  return read;
}
