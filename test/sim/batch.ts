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
  RECORD_ATTEMPTS_AT,
  RECORD_BODY_BYTES_AT,
  RECORD_BUCKET_AT,
  RECORD_COMMIT,
  RECORD_COUNT_AT,
  RECORD_DEFERRED,
  RECORD_FLAGS_AT,
  RECORD_FORM_AT,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_KIND_AT,
  RECORD_MESSAGES,
  RECORD_PLACED,
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
  DEFERRAL_LEVEL_AT,
  DEFERRAL_SEQUENCE_AT,
  DEFERRAL_TURN_AT,
  FORM_SETTLES,
  HEAD_BYTES,
  HEAD_DUE_AT,
  HEAD_FROM_AT,
  HEAD_FROM_ATTEMPTS_AT,
  HEAD_FROM_BUCKET_AT,
  HEAD_FROM_KIND_AT,
  HEAD_HOPS_AT,
  HEAD_REASON_AT,
  KIND_SETTINGS,
} from '../../assembly/layout-placed.ts';

export interface BatchMark {
  sequence: number;
  count: number;
  attempts: number;
}

export interface BatchDeferral extends BatchMark {
  turn: number;
  level: number;
  dueMs: number;
  bucket: bigint;
}

/** What is said of a message that comes from another line. */
export interface BatchMove {
  /** Kind of the line where it is now. */
  kind: number;
  attempts: number;
  settles: boolean;
  from: number;
  fromBucket: bigint;
  fromAttempts: number;
  fromKind: number;
  reason: number;
  hops: number;
}

export interface BatchMessage {
  position: number;
  sequence: number;
  bucket: bigint;
  body: Uint8Array;
  move: BatchMove | undefined;
  /** Ms since 1970; 0: it is ready at once. */
  dueMs: number;
}

export interface BatchRead {
  messages: BatchMessage[];
  settled: BatchMark[];
  returned: BatchMark[];
  deferred: BatchDeferral[];
  ids: { bucket: bigint; count: number; windowS: number }[];
  /** What is said of rules; `from`: the version that it replaces, or 0. */
  settings: { sequence: number; text: string; from: number }[];
  /** When its commit record says that it was complete. */
  timeMs: number;
  /** Sequence that the commit record names as the next one. */
  next: number;
  last: boolean;
}

/** Reads the records of one whole batch at log position `position`. */
export function readBatch(bytes: Uint8Array, position: number): BatchRead {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const none = { messages: [], settled: [], returned: [], deferred: [], ids: [], settings: [] };
  const read: BatchRead = { ...none, timeMs: 0, next: 0, last: false };
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
    const isPlaced = type === RECORD_PLACED;
    if (isPlaced && bytes[at + RECORD_KIND_AT] === KIND_SETTINGS) {
      const from = Number(view.getBigUint64(body + HEAD_FROM_AT, true));
      const replaces = (bytes[at + RECORD_FORM_AT]! & FORM_SETTLES) !== 0;
      assert.equal(from > 0, replaces, 'a rule names the one before it and does not settle it');
      const size = view.getUint32(body + HEAD_BYTES, true);
      const text = body + HEAD_BYTES + MESSAGE_SIZE_BYTES;
      read.settings.push({ sequence, from, text: latin1(bytes.subarray(text, text + size)) });
    } else if (type === RECORD_MESSAGES || isPlaced) {
      const isMoved = isPlaced && view.getBigUint64(body + HEAD_FROM_AT, true) > 0n;
      const move = isMoved ? readMove(view, at) : undefined;
      const bucket = view.getBigUint64(at + RECORD_BUCKET_AT, true);
      const dueMs = isPlaced ? Number(view.getBigUint64(body + HEAD_DUE_AT, true)) : 0;
      if (isPlaced) body += HEAD_BYTES;
      for (let i = 0; i < count; i++) {
        const size = view.getUint32(body, true);
        body += MESSAGE_SIZE_BYTES;
        const message = bytes.slice(body, body + size);
        const from = move && { ...move, from: move.from + i };
        const where = { position: named, sequence: sequence + i, bucket, dueMs };
        read.messages.push({ ...where, body: message, move: from });
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
          level: bytes[body + DEFERRAL_LEVEL_AT]!,
        });
    } else if (type === RECORD_IDS) {
      const bucket = view.getBigUint64(at + RECORD_BUCKET_AT, true);
      const windowS = view.getUint32(at + RECORD_ATTEMPTS_AT, true);
      read.ids.push({ bucket, count, windowS });
    } else if (type === RECORD_COMMIT) {
      read.next = sequence;
      read.timeMs = Number(view.getBigUint64(at + RECORD_BUCKET_AT, true));
      read.last = (bytes[at + RECORD_FLAGS_AT]! & FLAG_LAST) !== 0;
    }
    at = end;
  }
  assert.ok(read.next > 0, 'a batch has no commit record');
  return read;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function readMove(view: DataView, at: number): BatchMove {
  const form = view.getUint8(at + RECORD_FORM_AT);
  assert.equal(form & ~FORM_SETTLES, 0, 'a form that nobody asked for');
  const head = at + RECORD_HEADER_BYTES;
  return {
    kind: view.getUint8(at + RECORD_KIND_AT),
    attempts: view.getUint32(at + RECORD_ATTEMPTS_AT, true),
    settles: form === FORM_SETTLES,
    from: Number(view.getBigUint64(head + HEAD_FROM_AT, true)),
    fromBucket: view.getBigUint64(head + HEAD_FROM_BUCKET_AT, true),
    fromAttempts: view.getUint16(head + HEAD_FROM_ATTEMPTS_AT, true),
    fromKind: view.getUint8(head + HEAD_FROM_KIND_AT),
    reason: view.getUint8(head + HEAD_REASON_AT),
    hops: view.getUint8(head + HEAD_HOPS_AT),
  };
}
