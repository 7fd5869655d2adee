// The codec's ports in plain TypeScript: the slow twin of assembly/, written to be read. Tests hold
// the WebAssembly module against it, and recovery and simulation may run on it. It decides first
// and writes afterwards, where the module does both in one pass. Must not share code with assembly/
// beyond layout.ts, or the two could be wrong together.

import * as L from '../../assembly/layout.ts';
import * as P from '../../assembly/layout-placed.ts';
import { assert } from '../core/assert.ts';
import type { Codec } from '../core/ports/codec.ts';
import { crc32c } from './crc32c.ts';
import { look } from './plain-frame.ts';
import { identified } from './plain-identify.ts';
import { type Decided, decide, decidePlaced, type Run } from './plain-intake.ts';
import { hasFields, headBytesOf, markBytesOf, type Stored, storedAt } from './plain-placed.ts';
import { hasRules } from './plain-rules.ts';
import { PlainScanner } from './plain-scanner.ts';

/** Sizes of the areas in bytes; the defaults are the module's. Untouched pages cost nothing. */
export interface PlainCodecOptions {
  inboxBytes?: number;
  outboxBytes?: number;
  coldBytes?: number;
  ringBytes?: number;
}

interface Fields {
  offset: number;
  bodyBytes: number;
  type: number;
  flags: number;
  sequence: bigint;
  bucket: bigint;
  count: number;
  kind?: number;
  form?: number;
  attempts?: number;
}

const align8 = (bytes: number): number => Math.ceil(bytes / 8) * 8;
const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const u64 = (number: number): bigint => BigInt(Math.trunc(number));
const idOf = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);

export class PlainCodec implements Codec {
  readonly inbox: Uint8Array;
  readonly marks = new DataView(new ArrayBuffer(L.MARKS_MAX * L.MARK_BYTES));
  readonly rules = new DataView(new ArrayBuffer(L.RULES_BYTES));
  readonly memory: Uint8Array;
  readonly coldBytes: number;
  readonly block = new Uint8Array(L.BLOCK_BYTES);
  readonly zeros = new Uint8Array(L.ZEROS_BYTES);
  readonly result = new Uint32Array(L.RESULT_BYTES / 4);
  readonly rows = new Uint32Array((L.ROWS_MAX * L.ROW_BYTES) / 4);
  readonly #inboxView: DataView;
  readonly #memoryView: DataView;
  readonly #scanner: PlainScanner;
  readonly #outbox: Uint8Array;
  readonly #outboxView: DataView;
  readonly #ringBytes: number;
  #segmentBytes = 0;
  #base = 0n;
  #epoch = 0;
  #batchAt = 0;
  #batchFlags = 0;
  #limit = 0;
  #writeAt = 0;
  #nextSequence = 0n;
  #secret = 0n;

  constructor(options: PlainCodecOptions = {}) {
    this.coldBytes = options.coldBytes ?? L.COLD_BYTES;
    this.#ringBytes = options.ringBytes ?? L.RING_BYTES;
    this.inbox = new Uint8Array(options.inboxBytes ?? L.INBOX_BYTES);
    this.memory = new Uint8Array(this.coldBytes + this.#ringBytes);
    this.#outbox = new Uint8Array(options.outboxBytes ?? L.OUTBOX_BYTES);
    this.#inboxView = viewOf(this.inbox);
    this.#memoryView = viewOf(this.memory);
    this.#scanner = new PlainScanner(this.memory, this.rows, this.result);
    this.#outboxView = viewOf(this.#outbox);
  }

  // --- the open segment -------------------------------------------------------------------------

  setKey(key: number): void {
    this.#scanner.key = key;
  }

  openSegment(base: number, offset: number, segmentBytes: number, epoch: number): void {
    assert(segmentBytes <= this.#ringBytes, 'the segment is larger than the ring');
    assert(offset <= segmentBytes && offset % 8 === 0, 'the offset is not one of a record');
    this.#segmentBytes = segmentBytes;
    this.#base = u64(base);
    this.#epoch = epoch;
    this.#writeAt = offset;
    this.#batchAt = offset;
    this.#limit = offset;
  }

  openBatch(proof: boolean): void {
    this.#batchAt = this.#writeAt;
    this.#batchFlags = proof ? L.FLAG_PROOF : 0;
  }

  setLimit(offset: number): void {
    assert(offset <= this.#segmentBytes, 'the limit is beyond the segment');
    this.#limit = offset;
  }

  setSequence(sequence: number): void {
    this.#nextSequence = u64(sequence);
  }

  writeAt(): number {
    return this.#writeAt;
  }

  sequence(): number {
    return Number(this.#nextSequence);
  }

  // --- messages in ------------------------------------------------------------------------------

  intake(
    at: number,
    end: number,
    left: number,
    wire: number,
    messageBytesMax: number,
    admitted = false,
  ): number {
    const frame = { view: this.#inboxView, end, wire, messageBytesMax };
    const rules = !admitted && hasRules(this.rules) ? this.rules : undefined;
    const room = { from: this.#writeAt, limit: this.#limit };
    const decided = decide(frame, at, left, room, rules);
    if (decided.length !== undefined) this.result[L.RESULT_LENGTH] = decided.length;
    if (decided.ruled !== undefined) this.result.set(decided.ruled, L.RESULT_RULE);
    return this.#writeRuns(decided, at, L.RECORD_MESSAGES);
  }

  intakePlaced(at: number, end: number, most: number, wire: number): number {
    const frame = { view: this.#inboxView, end, wire, messageBytesMax: L.MESSAGE_BYTES_CEILING };
    const room = { from: this.#writeAt, limit: this.#limit };
    return this.#writeRuns(decidePlaced(frame, at, most, room), at, L.RECORD_PLACED);
  }

  setSecret(low: number, high: number): void {
    this.#secret = idOf(low, high);
  }

  identify(at: number, end: number, wire: number): void {
    this.result.set(identified(this.#inboxView, at, end, wire, this.#secret), L.RESULT_ID);
  }

  // Writes what was decided, and says so.
  #writeRuns({ status, cursor, runs }: Decided, at: number, type: number): number {
    const messages = runs.flatMap((run) => run.messages);
    runs.forEach((run, row) => {
      this.#writeRun(run, row, type);
    });
    this.result[L.RESULT_CONSUMED] = cursor - at;
    this.result[L.RESULT_MESSAGES] = messages.length;
    this.result[L.RESULT_PAYLOAD] = messages.reduce((sum, { length }) => sum + length, 0);
    this.result[L.RESULT_ROWS] = runs.length;
    return status;
  }

  skim(at: number, end: number, left: number, wire: number, messageBytesMax: number): number {
    const frame = { view: this.#inboxView, end, wire, messageBytesMax };
    let status = L.INTAKE_DONE;
    let cursor = at;
    let messages = 0;
    for (; messages < left; messages++) {
      const seen = look(frame, cursor);
      if ('status' in seen) {
        status = seen.status;
        if (seen.length !== undefined) this.result[L.RESULT_LENGTH] = seen.length;
        cursor += seen.taken;
        break;
      }
      cursor = seen.bodyAt + seen.length;
    }
    this.result[L.RESULT_CONSUMED] = cursor - at;
    this.result[L.RESULT_MESSAGES] = messages;
    this.result[L.RESULT_PAYLOAD] = 0;
    this.result[L.RESULT_ROWS] = 0;
    return status;
  }

  // A placed one begins with the head that is in the marks.
  #writeRun({ offset, bodyBytes, bucket, messages }: Run, row: number, type: number): void {
    let to = this.coldBytes + offset + L.RECORD_HEADER_BYTES;
    if (type === L.RECORD_PLACED) {
      this.memory.set(new Uint8Array(this.marks.buffer, this.marks.byteOffset, P.HEAD_BYTES), to);
      to += P.HEAD_BYTES;
    }
    for (const { bodyAt, length } of messages) {
      this.#memoryView.setUint32(to, length, true);
      this.memory.set(this.inbox.subarray(bodyAt, bodyAt + length), to + L.MESSAGE_SIZE_BYTES);
      to += L.MESSAGE_SIZE_BYTES + length;
    }
    const sequence = this.#nextSequence;
    const count = messages.length;
    this.#nextSequence += BigInt(count);
    this.#closeRecord({ offset, bodyBytes, type, flags: 0, sequence, bucket, count });
    this.#scanner.noteRow(row, this.coldBytes + offset, offset);
    if (type === L.RECORD_PLACED) return;
    // A row of an intake says what the messages are; flags, epoch and back belong to the log.
    this.#scanner.setRow(row, L.ROW_FLAGS_AT, 0);
    this.#scanner.setRow(row, L.ROW_EPOCH_AT, 0);
    this.#scanner.setRow(row, L.ROW_BACK_AT, 0);
  }

  // --- records ----------------------------------------------------------------------------------

  packMarks(
    type: number,
    count: number,
    timeMs = 0,
    bucketLow = 0,
    bucketHigh = 0,
    windowS = 0,
  ): void {
    const bodyBytes = count * markBytesOf(type);
    assert(count > 0 && bodyBytes <= this.marks.byteLength, 'so many marks do not fit a record');
    const offset = this.#writeAt;
    assert(
      offset + L.RECORD_HEADER_BYTES + bodyBytes <= this.#segmentBytes,
      'the marks do not fit the segment',
    );
    const marks = new Uint8Array(this.marks.buffer, this.marks.byteOffset, bodyBytes);
    this.memory.set(marks, this.coldBytes + offset + L.RECORD_HEADER_BYTES);
    const sequence = u64(timeMs);
    const bucket = idOf(bucketLow, bucketHigh);
    const said = { flags: 0, sequence, bucket, count, attempts: windowS };
    this.#closeRecord({ offset, bodyBytes, type, ...said });
  }

  place(
    body: number,
    bodyBytes: number,
    first: number,
    count: number,
    bucketLow: number,
    bucketHigh: number,
    kind: number,
    form: number,
    attempts: number,
  ): boolean {
    assert(count > 0 && kind <= P.KIND_MAX, 'no messages, or no such kind of line');
    assert(form === 0 || form === P.FORM_SETTLES, 'fields are what the messages have');
    const view = this.#memoryView;
    const source = body - L.RECORD_HEADER_BYTES;
    const fields = hasFields(view, source);
    const stored = this.#messages(body, bodyBytes, first + count).slice(first);
    const from = stored[0]!.at;
    const behind = stored.at(-1)!.end;
    const bytes = P.HEAD_BYTES + behind - from;
    const offset = this.#writeAt;
    if (offset + L.RECORD_HEADER_BYTES + align8(bytes) > this.#limit) return false;
    const to = this.coldBytes + offset + L.RECORD_HEADER_BYTES;
    const head = new Uint8Array(this.marks.buffer, this.marks.byteOffset, P.HEAD_BYTES);
    this.memory.set(this.memory.subarray(from, behind), to + P.HEAD_BYTES);
    this.memory.set(head, to);
    this.#closeRecord({
      offset,
      bodyBytes: bytes,
      type: L.RECORD_PLACED,
      flags: 0,
      sequence: this.#nextSequence,
      bucket: idOf(bucketLow, bucketHigh),
      count,
      kind,
      form: form | (fields ? P.FORM_FIELDS : 0),
      attempts,
    });
    this.#nextSequence += BigInt(count);
    this.#scanner.noteRow(0, this.coldBytes + offset, offset);
    this.result[L.RESULT_MESSAGES] = count;
    this.result[L.RESULT_PAYLOAD] = stored.reduce(
      (sum, { bytesAt, end }) => sum + end - bytesAt,
      0,
    );
    this.result[L.RESULT_ROWS] = 1;
    return true;
  }

  // The first `count` messages of the record whose body is at `body`.
  #messages(body: number, bodyBytes: number, count: number): Stored[] {
    const view = this.#memoryView;
    const source = body - L.RECORD_HEADER_BYTES;
    const fields = hasFields(view, source);
    const messages: Stored[] = [];
    let cursor = body + headBytesOf(view, source);
    for (let i = 0; i < count; i++) {
      const stored = storedAt(view, cursor, body + bodyBytes, fields);
      assert(stored !== undefined, 'a body has fewer messages than were asked for');
      messages.push(stored);
      cursor = stored.end;
    }
    return messages;
  }

  packControl(type: number, flags: number, sequence: number, timeMs: number, count: number): void {
    this.#closeRecord({
      offset: this.#writeAt,
      bodyBytes: 0,
      type,
      flags,
      sequence: u64(sequence),
      bucket: u64(timeMs),
      count,
    });
  }

  // Writes header and padding around a body that stands at its place, and moves the cursor.
  #closeRecord(fields: Fields): void {
    const { offset, bodyBytes } = fields;
    const padded = align8(bodyBytes);
    const next = offset + L.RECORD_HEADER_BYTES + padded;
    assert(next <= this.#segmentBytes, 'the record does not fit the segment');
    const at = this.coldBytes + offset;
    const body = at + L.RECORD_HEADER_BYTES;
    const view = this.#memoryView;
    this.memory.fill(0, body + bodyBytes, body + padded);
    view.setUint32(at + L.RECORD_BODY_CRC_AT, this.crc32c(body, bodyBytes), true);
    view.setUint32(at + L.RECORD_BODY_BYTES_AT, bodyBytes, true);
    view.setUint8(at + L.RECORD_TYPE_AT, fields.type);
    view.setUint8(at + L.RECORD_FLAGS_AT, fields.flags | this.#batchFlags);
    view.setUint8(at + L.RECORD_KIND_AT, fields.kind ?? 0);
    view.setUint8(at + L.RECORD_FORM_AT, fields.form ?? 0);
    view.setBigUint64(at + L.RECORD_POSITION_AT, this.#base + BigInt(offset), true);
    view.setBigUint64(at + L.RECORD_SEQUENCE_AT, fields.sequence, true);
    view.setBigUint64(at + L.RECORD_BUCKET_AT, fields.bucket, true);
    view.setUint32(at + L.RECORD_COUNT_AT, fields.count, true);
    view.setUint32(at + L.RECORD_EPOCH_AT, this.#epoch, true);
    view.setUint32(at + L.RECORD_BACK_AT, offset - this.#batchAt, true);
    view.setUint32(at + L.RECORD_ATTEMPTS_AT, fields.attempts ?? 0, true);
    view.setUint32(at + L.RECORD_CRC_AT, this.#scanner.headerCrc(at), true);
    this.#writeAt = next;
  }

  // --- messages out -----------------------------------------------------------------------------

  deliver(
    body: number,
    bodyBytes: number,
    first: number,
    count: number,
    wire: number,
    outAt: number,
    outMax: number,
  ): number {
    const stored = this.#messages(body, bodyBytes, first);
    const view = this.#memoryView;
    const source = body - L.RECORD_HEADER_BYTES;
    let cursor = stored.at(-1)?.end ?? body + headBytesOf(view, source);
    let out = outAt;
    let packed = 0;
    let payload = 0;
    for (; packed < count; packed++) {
      const next = storedAt(view, cursor, body + bodyBytes, hasFields(view, source));
      assert(next !== undefined, 'a body has fewer messages than were asked for');
      const length = next.end - next.bytesAt;
      const outNext = out + wire + length;
      if (outNext > outMax && out !== L.BATCH_HEADER_BYTES) break;
      assert(outNext <= this.#outbox.length, 'the frame is larger than the outbox');
      if (wire === L.WIRE_U64) this.#outboxView.setBigUint64(out, BigInt(length), true);
      else this.#outboxView.setUint32(out, length, true);
      this.#outbox.set(this.memory.subarray(next.bytesAt, next.end), out + wire);
      cursor = next.end;
      out = outNext;
      payload += length;
    }
    this.result[L.RESULT_MESSAGES] = packed;
    this.result[L.RESULT_BYTES_OUT] = out;
    this.result[L.RESULT_PAYLOAD] = payload;
    return packed;
  }

  takeFrame(count: number, bytes: number, into = new Uint8Array(bytes)): Uint8Array {
    this.#outboxView.setUint32(0, count, true);
    into.set(this.#outbox.subarray(0, bytes));
    return into.subarray(0, bytes);
  }

  // --- records read back ------------------------------------------------------------------------

  scan(place: number, bytes: number, position: number): number {
    return this.#scanner.scan(place, bytes, position);
  }

  seek(place: number, bytes: number, position: number): number {
    return this.#scanner.seek(place, bytes, position);
  }

  /** CRC32C of `bytes` bytes of `memory` at `place`. */
  crc32c(place: number, bytes: number): number {
    return crc32c(this.memory.subarray(place, place + bytes));
  }
}
