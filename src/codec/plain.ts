// The codec's ports in plain TypeScript: the slow twin of assembly/, written to be read. Tests hold
// the WebAssembly module against it, and recovery and simulation may run on it. It decides first
// and writes afterwards, where the module does both in one pass. Must not share code with assembly/
// beyond layout.ts, or the two could be wrong together.

import * as L from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import type { Codec } from '../core/ports/codec.ts';
import { crc32c } from './crc32c.ts';
import { look, runAt } from './plain-frame.ts';
import { hasRules, ruleOf } from './plain-rules.ts';

/** Sizes of the areas in bytes; the defaults are the module's. Untouched pages cost nothing. */
export interface PlainCodecOptions {
  inboxBytes?: number;
  outboxBytes?: number;
  coldBytes?: number;
  ringBytes?: number;
}

/** Neighbouring messages for one bucket: one record to be. */
interface Run {
  bucket: bigint;
  offset: number;
  bodyBytes: number;
  messages: { bodyAt: number; length: number }[];
}

interface Fields {
  offset: number;
  bodyBytes: number;
  type: number;
  flags: number;
  sequence: bigint;
  bucket: bigint;
  count: number;
}

const align8 = (bytes: number): number => Math.ceil(bytes / 8) * 8;
const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const u64 = (number: number): bigint => BigInt(Math.trunc(number));

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
  #key = 0;
  readonly #memoryView: DataView;
  readonly #rowsView = new DataView(this.rows.buffer);
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

  constructor(options: PlainCodecOptions = {}) {
    this.coldBytes = options.coldBytes ?? L.COLD_BYTES;
    this.#ringBytes = options.ringBytes ?? L.RING_BYTES;
    this.inbox = new Uint8Array(options.inboxBytes ?? L.INBOX_BYTES);
    this.memory = new Uint8Array(this.coldBytes + this.#ringBytes);
    this.#outbox = new Uint8Array(options.outboxBytes ?? L.OUTBOX_BYTES);
    this.#inboxView = viewOf(this.inbox);
    this.#memoryView = viewOf(this.memory);
    this.#outboxView = viewOf(this.#outbox);
  }

  // --- the open segment -------------------------------------------------------------------------

  setKey(key: number): void {
    this.#key = key;
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
    const ruled = !admitted && hasRules(this.rules);
    const runs: Run[] = [];
    let status = L.INTAKE_DONE;
    let cursor = at;
    let messages = 0;
    let payload = 0;
    while (messages < left) {
      const seen = look(frame, cursor);
      if ('status' in seen) {
        status = this.#stopped(seen);
        cursor += seen.taken;
        break;
      }
      const last = runs.at(-1);
      const run = last?.bucket === seen.bucket ? last : this.#runBehind(last, seen.bucket);
      if (run !== last && runs.length === L.ROWS_MAX) {
        status = L.INTAKE_ROWS;
        break;
      }
      const bodyBytes = run.bodyBytes + L.MESSAGE_SIZE_BYTES + seen.length;
      if (run.offset + L.RECORD_HEADER_BYTES + align8(bodyBytes) > this.#limit) {
        status = L.INTAKE_FULL;
        break;
      }
      const rule = ruled && run !== last ? ruleOf(this.rules, seen.bucket) : 0;
      if (rule !== 0) {
        status = L.INTAKE_RULED;
        this.result.set([rule, ...runAt(frame, cursor, left - messages)], L.RESULT_RULE);
        break;
      }
      if (run !== last) runs.push(run);
      run.bodyBytes = bodyBytes;
      run.messages.push({ bodyAt: seen.bodyAt, length: seen.length });
      cursor = seen.bodyAt + seen.length;
      payload += seen.length;
      messages++;
    }
    runs.forEach((run, row) => {
      this.#writeRun(run, row);
    });
    this.result[L.RESULT_CONSUMED] = cursor - at;
    this.result[L.RESULT_MESSAGES] = messages;
    this.result[L.RESULT_PAYLOAD] = payload;
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
        status = this.#stopped(seen);
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

  #stopped(seen: { status: number; length: number | undefined }): number {
    if (seen.length !== undefined) this.result[L.RESULT_LENGTH] = seen.length;
    return seen.status;
  }

  #runBehind(last: Run | undefined, bucket: bigint): Run {
    const offset =
      last === undefined
        ? this.#writeAt
        : last.offset + L.RECORD_HEADER_BYTES + align8(last.bodyBytes);
    return { bucket, offset, bodyBytes: 0, messages: [] };
  }

  #writeRun(run: Run, row: number): void {
    const { offset, bodyBytes, bucket, messages } = run;
    let to = this.coldBytes + offset + L.RECORD_HEADER_BYTES;
    for (const { bodyAt, length } of messages) {
      this.#memoryView.setUint32(to, length, true);
      this.memory.set(this.inbox.subarray(bodyAt, bodyAt + length), to + L.MESSAGE_SIZE_BYTES);
      to += L.MESSAGE_SIZE_BYTES + length;
    }
    const sequence = this.#nextSequence;
    const count = messages.length;
    this.#nextSequence += BigInt(count);
    const type = L.RECORD_MESSAGES;
    this.#closeRecord({ offset, bodyBytes, type, flags: 0, sequence, bucket, count });
    this.#noteRow(row, this.coldBytes + offset, offset);
    // A row of an intake says what the messages are; flags, epoch and back belong to the log.
    this.#setRow(row, L.ROW_FLAGS_AT, 0);
    this.#setRow(row, L.ROW_EPOCH_AT, 0);
    this.#setRow(row, L.ROW_BACK_AT, 0);
  }

  // --- records ----------------------------------------------------------------------------------

  packMarks(type: number, count: number): void {
    assert(count > 0 && count <= L.MARKS_MAX, 'that many marks do not fit a record');
    const offset = this.#writeAt;
    const bodyBytes = count * L.MARK_BYTES;
    assert(
      offset + L.RECORD_HEADER_BYTES + bodyBytes <= this.#segmentBytes,
      'the marks do not fit the segment',
    );
    const marks = new Uint8Array(this.marks.buffer, this.marks.byteOffset, bodyBytes);
    this.memory.set(marks, this.coldBytes + offset + L.RECORD_HEADER_BYTES);
    this.#closeRecord({ offset, bodyBytes, type, flags: 0, sequence: 0n, bucket: 0n, count });
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
    view.setUint16(at + L.RECORD_ZERO_AT, 0, true);
    view.setBigUint64(at + L.RECORD_POSITION_AT, this.#base + BigInt(offset), true);
    view.setBigUint64(at + L.RECORD_SEQUENCE_AT, fields.sequence, true);
    view.setBigUint64(at + L.RECORD_BUCKET_AT, fields.bucket, true);
    view.setUint32(at + L.RECORD_COUNT_AT, fields.count, true);
    view.setUint32(at + L.RECORD_EPOCH_AT, this.#epoch, true);
    view.setUint32(at + L.RECORD_BACK_AT, offset - this.#batchAt, true);
    view.setUint32(at + L.RECORD_ATTEMPTS_AT, 0, true);
    view.setUint32(at + L.RECORD_CRC_AT, this.#headerCrc(at), true);
    this.#writeAt = next;
  }

  #headerCrc(at: number): number {
    const behind = L.RECORD_CRC_AT + 4;
    return (this.crc32c(at + behind, L.RECORD_HEADER_BYTES - behind) ^ this.#key) >>> 0;
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
    const bodyEnd = body + bodyBytes;
    let cursor = body;
    for (let i = 0; i < first; i++) cursor += L.MESSAGE_SIZE_BYTES + this.#sizeAt(cursor, bodyEnd);
    let out = outAt;
    let packed = 0;
    let payload = 0;
    for (; packed < count; packed++) {
      const length = this.#sizeAt(cursor, bodyEnd);
      const outNext = out + wire + length;
      if (outNext > outMax && out !== L.BATCH_HEADER_BYTES) break;
      assert(outNext <= this.#outbox.length, 'the frame is larger than the outbox');
      if (wire === L.WIRE_U64) this.#outboxView.setBigUint64(out, BigInt(length), true);
      else this.#outboxView.setUint32(out, length, true);
      const from = cursor + L.MESSAGE_SIZE_BYTES;
      this.#outbox.set(this.memory.subarray(from, from + length), out + wire);
      cursor = from + length;
      out = outNext;
      payload += length;
    }
    this.result[L.RESULT_MESSAGES] = packed;
    this.result[L.RESULT_BYTES_OUT] = out;
    this.result[L.RESULT_PAYLOAD] = payload;
    return packed;
  }

  // Size of the message at `at`, all of which stands before `bodyEnd`.
  #sizeAt(at: number, bodyEnd: number): number {
    assert(at + L.MESSAGE_SIZE_BYTES <= bodyEnd, 'a body has fewer messages than were asked for');
    const length = this.#memoryView.getUint32(at, true);
    assert(at + L.MESSAGE_SIZE_BYTES + length <= bodyEnd, 'a message reaches beyond its body');
    return length;
  }

  takeFrame(count: number, bytes: number, into = new Uint8Array(bytes)): Uint8Array {
    this.#outboxView.setUint32(0, count, true);
    into.set(this.#outbox.subarray(0, bytes));
    return into.subarray(0, bytes);
  }

  // --- records read back ------------------------------------------------------------------------

  scan(place: number, bytes: number, position: number): number {
    let offset = 0;
    let rows = 0;
    let status = L.SCAN_END;
    while (offset < bytes) {
      const checked = this.#check(place + offset, bytes - offset, u64(position) + BigInt(offset));
      status = checked.status;
      if (status === L.SCAN_MORE) this.result[L.RESULT_LENGTH] = checked.whole;
      if (status !== L.SCAN_END) break;
      if (rows === L.ROWS_MAX) {
        status = L.SCAN_ROWS;
        break;
      }
      this.#noteRow(rows++, place + offset, offset);
      offset += checked.whole;
    }
    this.result[L.RESULT_CONSUMED] = offset;
    this.result[L.RESULT_ROWS] = rows;
    return status;
  }

  // SCAN_END: a valid record of `whole` bytes; SCAN_MORE: one that needs `whole` bytes.
  #check(at: number, left: number, position: bigint): { status: number; whole: number } {
    if (left < L.RECORD_HEADER_BYTES) return { status: L.SCAN_MORE, whole: L.RECORD_HEADER_BYTES };
    if (!this.#headerHolds(at, position)) return { status: L.SCAN_BAD, whole: 0 };
    const type = this.#memoryView.getUint8(at + L.RECORD_TYPE_AT);
    if (type < 1 || type > L.RECORD_TYPE_MAX) return { status: L.SCAN_UNKNOWN, whole: 0 };
    const bodyBytes = this.#memoryView.getUint32(at + L.RECORD_BODY_BYTES_AT, true);
    if (bodyBytes >= 2 ** 31) return { status: L.SCAN_BAD, whole: 0 };
    const whole = L.RECORD_HEADER_BYTES + align8(bodyBytes);
    if (whole > left) return { status: L.SCAN_MORE, whole };
    const bodyCrc = this.#memoryView.getUint32(at + L.RECORD_BODY_CRC_AT, true);
    const holds = this.crc32c(at + L.RECORD_HEADER_BYTES, bodyBytes) === bodyCrc;
    return { status: holds ? L.SCAN_END : L.SCAN_BAD, whole };
  }

  #headerHolds(at: number, position: bigint): boolean {
    const view = this.#memoryView;
    return (
      view.getBigUint64(at + L.RECORD_POSITION_AT, true) === position &&
      view.getUint32(at + L.RECORD_CRC_AT, true) === this.#headerCrc(at)
    );
  }

  seek(place: number, bytes: number, position: number): number {
    for (let offset = 0; offset + L.RECORD_HEADER_BYTES <= bytes; offset += L.RECORD_ALIGN) {
      if (!this.#headerHolds(place + offset, u64(position) + BigInt(offset))) continue;
      this.#noteRow(0, place + offset, offset);
      return offset;
    }
    return bytes;
  }

  // Copies the header of the record at `at` into a row, field by field.
  #noteRow(row: number, at: number, offset: number): void {
    const view = this.#memoryView;
    const to = row * L.ROW_BYTES;
    this.#setRow(row, L.ROW_TYPE_AT, view.getUint8(at + L.RECORD_TYPE_AT));
    this.#setRow(row, L.ROW_FLAGS_AT, view.getUint8(at + L.RECORD_FLAGS_AT));
    this.#setRow(row, L.ROW_OFFSET_AT, offset);
    this.#setRow(row, L.ROW_BODY_BYTES_AT, view.getUint32(at + L.RECORD_BODY_BYTES_AT, true));
    const bucket = view.getBigUint64(at + L.RECORD_BUCKET_AT, true);
    const sequence = view.getBigUint64(at + L.RECORD_SEQUENCE_AT, true);
    this.#rowsView.setBigUint64(to + L.ROW_BUCKET_AT, bucket, true);
    this.#rowsView.setBigUint64(to + L.ROW_SEQUENCE_AT, sequence, true);
    this.#setRow(row, L.ROW_COUNT_AT, view.getUint32(at + L.RECORD_COUNT_AT, true));
    this.#setRow(row, L.ROW_EPOCH_AT, view.getUint32(at + L.RECORD_EPOCH_AT, true));
    this.#setRow(row, L.ROW_BACK_AT, view.getUint32(at + L.RECORD_BACK_AT, true));
    this.#setRow(row, L.ROW_ATTEMPTS_AT, view.getUint32(at + L.RECORD_ATTEMPTS_AT, true));
  }

  #setRow(row: number, field: number, value: number): void {
    this.#rowsView.setUint32(row * L.ROW_BYTES + field, value, true);
  }

  /** CRC32C of `bytes` bytes of `memory` at `place`. */
  crc32c(place: number, bytes: number): number {
    return crc32c(this.memory.subarray(place, place + bytes));
  }
}
