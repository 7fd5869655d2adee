// The codec's ports over the WebAssembly module. The only file that knows an address: areas go out as
// views of the fixed memory, offsets come in relative to them.

import {
  BLOCK_AT,
  BLOCK_BYTES,
  COLD_AT,
  COLD_BYTES,
  INBOX_AT,
  INBOX_BYTES,
  MARK_BYTES,
  MARKS_AT,
  MARKS_MAX,
  OUTBOX_AT,
  RESULT_AT,
  RESULT_BYTES,
  RING_BYTES,
  ROW_BYTES,
  ROWS_AT,
  ROWS_MAX,
  RULES_AT,
  RULES_BYTES,
  ZEROS_AT,
  ZEROS_BYTES,
} from '../../assembly/layout.ts';
import type { Codec } from '../core/ports/codec.ts';
import { instantiateModule, type Module } from './instance.ts';

export class Engine implements Codec {
  readonly inbox: Uint8Array;
  readonly marks: DataView;
  readonly rules: DataView;
  readonly memory: Uint8Array;
  readonly coldBytes = COLD_BYTES;
  readonly block: Uint8Array;
  readonly zeros: Uint8Array;
  readonly result: Uint32Array;
  readonly rows: Uint32Array;
  readonly #module: Module;
  readonly #all: Uint8Array;

  constructor(module: Module = instantiateModule()) {
    const { buffer } = module.memory;
    this.#module = module;
    this.#all = new Uint8Array(buffer);
    this.inbox = new Uint8Array(buffer, INBOX_AT, INBOX_BYTES);
    this.marks = new DataView(buffer, MARKS_AT, MARKS_MAX * MARK_BYTES);
    this.rules = new DataView(buffer, RULES_AT, RULES_BYTES);
    this.memory = new Uint8Array(buffer, COLD_AT, COLD_BYTES + RING_BYTES);
    this.block = new Uint8Array(buffer, BLOCK_AT, BLOCK_BYTES);
    this.zeros = new Uint8Array(buffer, ZEROS_AT, ZEROS_BYTES);
    this.result = new Uint32Array(buffer, RESULT_AT, RESULT_BYTES / 4);
    this.rows = new Uint32Array(buffer, ROWS_AT, (ROWS_MAX * ROW_BYTES) / 4);
  }

  setKey(key: number): void {
    this.#module.setKey(key);
  }

  openSegment(base: number, offset: number, segmentBytes: number, epoch: number): void {
    this.#module.openSegment(base, offset, segmentBytes, epoch);
  }

  openBatch(proof: boolean): void {
    this.#module.openBatch(proof);
  }

  setLimit(offset: number): void {
    this.#module.setLimit(offset);
  }

  setSequence(sequence: number): void {
    this.#module.setSequence(sequence);
  }

  writeAt(): number {
    return this.#module.getWriteAt() >>> 0;
  }

  sequence(): number {
    return this.#module.getSequence();
  }

  intake(
    at: number,
    end: number,
    left: number,
    wire: number,
    messageBytesMax: number,
    admitted = false,
  ): number {
    const from = INBOX_AT + at;
    return this.#module.intake(from, INBOX_AT + end, left, wire, messageBytesMax, admitted);
  }

  intakePlaced(at: number, end: number, most: number, wire: number): number {
    return this.#module.intakePlaced(INBOX_AT + at, INBOX_AT + end, most, wire);
  }

  skim(at: number, end: number, left: number, wire: number, messageBytesMax: number): number {
    return this.#module.skim(INBOX_AT + at, INBOX_AT + end, left, wire, messageBytesMax);
  }

  setSecret(low: number, high: number): void {
    this.#module.setSecret(low, high);
  }

  identify(at: number, end: number, wire: number): void {
    this.#module.identify(INBOX_AT + at, INBOX_AT + end, wire);
  }

  packMarks(
    type: number,
    count: number,
    timeMs = 0,
    bucketLow = 0,
    bucketHigh = 0,
    windowS = 0,
  ): void {
    this.#module.packMarks(type, count, timeMs, bucketLow, bucketHigh, windowS);
  }

  place(
    body: number,
    bodyBytes: number,
    first: number,
    count: number,
    low: number,
    high: number,
    kind: number,
    form: number,
    attempts: number,
  ): boolean {
    const { place } = this.#module;
    const at = COLD_AT + body;
    return Boolean(place(at, bodyBytes, first, count, low, high, kind, form, attempts));
  }

  packControl(type: number, flags: number, sequence: number, timeMs: number, count: number): void {
    this.#module.packControl(type, flags, sequence, timeMs, count);
  }

  deliver(
    body: number,
    bodyBytes: number,
    first: number,
    count: number,
    wire: number,
    outAt: number,
    outMax: number,
  ): number {
    return this.#module.deliver(COLD_AT + body, bodyBytes, first, count, wire, outAt, outMax) >>> 0;
  }

  takeFrame(count: number, bytes: number, into?: Uint8Array): Uint8Array {
    this.#module.closeFrame(count);
    if (into === undefined) return this.#all.slice(OUTBOX_AT, OUTBOX_AT + bytes);
    into.set(this.#all.subarray(OUTBOX_AT, OUTBOX_AT + bytes));
    return into.subarray(0, bytes);
  }

  scan(place: number, bytes: number, position: number): number {
    return this.#module.scan(COLD_AT + place, bytes, position);
  }

  seek(place: number, bytes: number, position: number): number {
    return this.#module.seek(COLD_AT + place, bytes, position) >>> 0;
  }

  /** CRC32C of bytes that lie anywhere, at most the size of the outbox, which is used for it. */
  checksum(bytes: Uint8Array): number {
    this.#all.set(bytes, OUTBOX_AT);
    return this.#module.crc32c(OUTBOX_AT, bytes.length) >>> 0;
  }

  crc32c(place: number, bytes: number): number {
    return this.#module.crc32c(COLD_AT + place, bytes) >>> 0;
  }
}
