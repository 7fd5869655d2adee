// Encodes the records of a compacted segment (FORMAT.md): runs of messages that stay, and marks, in
// batches of their own. In plain TypeScript, because little is left of what is compacted; the
// bodies, already in the codec's memory, are checksummed there. Must not know what is kept, or why.

import {
  FLAG_LAST,
  FLAG_PROOF,
  RECORD_ALIGN,
  RECORD_ATTEMPTS_AT,
  RECORD_BACK_AT,
  RECORD_BODY_BYTES_AT,
  RECORD_BODY_CRC_AT,
  RECORD_BUCKET_AT,
  RECORD_COMMIT,
  RECORD_COUNT_AT,
  RECORD_CRC_AT,
  RECORD_EPOCH_AT,
  RECORD_FLAGS_AT,
  RECORD_FORM_AT,
  RECORD_HEADER_BYTES,
  RECORD_KIND_AT,
  RECORD_MESSAGES,
  RECORD_PLACED,
  RECORD_POSITION_AT,
  RECORD_SEQUENCE_AT,
  RECORD_TYPE_AT,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { crc32c } from '../../codec/crc32c.ts';
import type { EntryLines, EntrySource, Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';

// A batch is closed before a record that would make it longer than this, so that whoever reads it
// back holds little at a time.
const BATCH_BYTES = 4 * 1024 * 1024;
// So far apart are the times at which the messages of one batch were stored, at most.
const BATCH_MS = 10_000;
const STAGE_BYTES = 1024 * 1024;

/** What the header of a record says beyond its place. */
export interface Fields {
  type: number;
  sequence: number;
  bucketLow: number;
  bucketHigh: number;
  count: number;
  attempts: number;
  /** Of a placed record. */
  kind?: number;
  form?: number;
}

export interface RepackerOptions {
  codec: RecordScanner;
  /** Position of the segment's first byte. */
  base: Position;
  /** Of the log's records. */
  key: number;
  /** For commit records of batches without messages. */
  timeMs: number;
  /** When a message was stored, or somewhat later, in ms since 1970; without it now. */
  storedMs?: (sequence: number) => number;
}

export class Repacker {
  readonly #options: RepackerOptions;
  /** Whether there is a record of types 7 to 10 among them. */
  places = false;
  #stage = new Uint8Array(STAGE_BYTES);
  #view = new DataView(this.#stage.buffer);
  #staged = 0;
  #offset = SEGMENT_DATA_AT; // of the next record in the segment
  #batchAt = SEGMENT_DATA_AT;
  #records = 0; // in the open batch
  #epoch = 0;
  // When the messages of the open batch were stored; 0: it has none.
  #leastMs = 0;
  #mostMs = 0;

  constructor(options: RepackerOptions) {
    this.#options = options;
  }

  /** Where the next record goes: offset in the segment. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes that wait for `take`. */
  get stagedBytes(): number {
    return this.#staged;
  }

  /** Sets which start of the broker wrote what follows; never smaller than before. */
  setEpoch(epoch: number): void {
    this.#epoch = epoch;
  }

  // Messages are added next that were stored at `ms`: a batch says the latest time of its messages,
  // so that one of quite other times is closed.
  #stored(ms: number, next: number): void {
    const isFar = ms - this.#leastMs > BATCH_MS || this.#mostMs - ms > BATCH_MS;
    if (this.#mostMs > 0 && isFar) this.commit(next, false);
    this.#leastMs = this.#mostMs === 0 ? ms : Math.min(this.#leastMs, ms);
    this.#mostMs = Math.max(this.#mostMs, ms);
  }

  /**
   * Adds a record whose body stands in the codec's memory at `place`; returns its position. `next`:
   * the sequence that the messages before it end with, should a batch be closed here.
   */
  add(fields: Fields, place: number, bodyBytes: number, next: number): Position {
    const { storedMs } = this.#options;
    const isMessages = fields.type === RECORD_MESSAGES || fields.type === RECORD_PLACED;
    if (storedMs !== undefined && isMessages) this.#stored(storedMs(fields.sequence), next);
    const whole = RECORD_HEADER_BYTES + padded(bodyBytes);
    if (this.#records > 0 && this.#offset + whole - this.#batchAt > BATCH_BYTES)
      this.commit(next, false);
    const position = this.#options.base + this.#offset;
    this.#write(fields, FLAG_PROOF, place, bodyBytes);
    this.#records++;
    return position;
  }

  /** Closes the batch. `next`: the sequence behind it; `last`: nothing follows in this segment. */
  commit(next: number, last: boolean): void {
    const timeMs = this.#mostMs > 0 ? this.#mostMs : this.#options.timeMs;
    this.#mostMs = 0;
    const fields: Fields = {
      type: RECORD_COMMIT,
      sequence: next,
      bucketLow: timeMs % 2 ** 32,
      bucketHigh: Math.floor(timeMs / 2 ** 32),
      count: this.#records,
      attempts: 0,
    };
    this.#write(fields, last ? FLAG_PROOF | FLAG_LAST : FLAG_PROOF, 0, 0);
    this.#records = 0;
    this.#batchAt = this.#offset;
  }

  #write(fields: Fields, flags: number, place: number, bodyBytes: number): void {
    const { codec, base, key } = this.#options;
    const whole = RECORD_HEADER_BYTES + padded(bodyBytes);
    this.#reserve(whole);
    const at = this.#staged;
    const view = this.#view;
    const position = base + this.#offset;
    this.#stage.fill(0, at, at + RECORD_HEADER_BYTES);
    view.setUint32(at + RECORD_BODY_CRC_AT, codec.crc32c(place, bodyBytes), true);
    view.setUint32(at + RECORD_BODY_BYTES_AT, bodyBytes, true);
    view.setUint8(at + RECORD_TYPE_AT, fields.type);
    view.setUint8(at + RECORD_FLAGS_AT, flags);
    view.setUint8(at + RECORD_KIND_AT, fields.kind ?? 0);
    view.setUint8(at + RECORD_FORM_AT, fields.form ?? 0);
    if (fields.type >= RECORD_PLACED) this.places = true;
    setU64(view, at + RECORD_POSITION_AT, position);
    setU64(view, at + RECORD_SEQUENCE_AT, fields.sequence);
    view.setUint32(at + RECORD_BUCKET_AT, fields.bucketLow, true);
    view.setUint32(at + RECORD_BUCKET_AT + 4, fields.bucketHigh, true);
    view.setUint32(at + RECORD_COUNT_AT, fields.count, true);
    view.setUint32(at + RECORD_EPOCH_AT, this.#epoch, true);
    view.setUint32(at + RECORD_BACK_AT, this.#offset - this.#batchAt, true);
    view.setUint32(at + RECORD_ATTEMPTS_AT, fields.attempts, true);
    const covered = this.#stage.subarray(at + RECORD_CRC_AT + 4, at + RECORD_HEADER_BYTES);
    view.setUint32(at + RECORD_CRC_AT, (crc32c(covered) ^ key) >>> 0, true);
    const body = at + RECORD_HEADER_BYTES;
    this.#stage.set(codec.memory.subarray(place, place + bodyBytes), body);
    this.#stage.fill(0, body + bodyBytes, at + whole);
    this.#staged += whole;
    this.#offset += whole;
  }

  #reserve(bytes: number): void {
    if (this.#staged + bytes <= this.#stage.length) return;
    const grown = new Uint8Array(Math.max(this.#stage.length * 2, this.#staged + bytes));
    grown.set(this.#stage.subarray(0, this.#staged));
    this.#stage = grown;
    this.#view = new DataView(grown.buffer);
  }

  /** The bytes since the last call, to be written before anything is added. */
  take(): Uint8Array {
    const bytes = this.#stage.subarray(0, this.#staged);
    this.#staged = 0;
    return bytes;
  }
}

function padded(bytes: number): number {
  return Math.ceil(bytes / RECORD_ALIGN) * RECORD_ALIGN;
}

function setU64(view: DataView, at: number, number: number): void {
  view.setUint32(at, number % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(number / 2 ** 32), true);
}

const WORDS = 6;

/** The records of messages in a compacted segment, in order. */
export class MovedEntries implements EntrySource, EntryLines {
  #places = new Float64Array(128); // sequence, position
  #words = new Uint32Array(64 * WORDS);
  count = 0;
  readonly lines = this;

  add(fields: Fields, position: Position, bodyBytes: number): void {
    const row = this.count++;
    if (row * WORDS === this.#words.length) this.#grow();
    this.#places[row * 2] = fields.sequence;
    this.#places[row * 2 + 1] = position;
    const at = row * WORDS;
    this.#words[at] = fields.bucketLow;
    this.#words[at + 1] = fields.bucketHigh;
    this.#words[at + 2] = fields.count;
    this.#words[at + 3] = bodyBytes;
    this.#words[at + 4] = fields.attempts;
    this.#words[at + 5] = fields.kind ?? 0;
  }

  #grow(): void {
    const places = new Float64Array(this.#places.length * 2);
    places.set(this.#places);
    this.#places = places;
    const words = new Uint32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
  }

  sequence(i: number): number {
    return this.#places[i * 2]!;
  }

  position(i: number): Position {
    return this.#places[i * 2 + 1]!;
  }

  bucketLow(i: number): number {
    return this.#words[i * WORDS]!;
  }

  bucketHigh(i: number): number {
    return this.#words[i * WORDS + 1]!;
  }

  messages(i: number): number {
    return this.#words[i * WORDS + 2]!;
  }

  bodyBytes(i: number): number {
    return this.#words[i * WORDS + 3]!;
  }

  attempts(i: number): number {
    return this.#words[i * WORDS + 4]!;
  }

  kind(i: number): number {
    return this.#words[i * WORDS + 5]!;
  }
}
