// A checkpoint: what the log up to a segment comes to, so that a start reads only what is behind
// it. A cache: it is believed only if it is whole and speaks of the segments that are there, and
// without it the same is found in the log, only slower.
//
//   header, 64 bytes                                   little-endian; f64 holds exact whole numbers
//     0 u64 magic "TMQcheck"     24 u64 bytes behind the header     44 u32 pages of settled
//     8 u32 version: 1 or 2      32 f64 oldest position needed      48 u32 pages of attempts
//    12 u32 CRC32C of the rest   40 u32 segments                    56 u32 pages of numbers, or 0
//    16 u64 log id              52 u32 CRC of the first record behind the segments
//                               60 u32 rows of times of storing, or 0
//   segment, 48 bytes: f64 base, first, end (sequences), messages, live, u32 identity,
//                      u32 until when ids in it are to be known, s since 1970, rounded up; 0: none
//   page of settled:   f64 number, u32 kind (0 = all, 1 = bits follow), u32 zero,
//                      8192 bytes of bits
//   page of attempts:  f64 number, u32 kind (0 = all the same, 1 = counts follow), u32 attempts,
//                      8192 bytes: u16 each
//   page of numbers, in version 2:
//                      f64 number, u32 kind (0 = all the same, else bytes of each, which follow;
//                      for sets 4, the bits), u32 their number where it is the same, u32 what:
//                      2 turns, 3 levels, or a set: 1 waiting, 4 placed, 5 dead, 6 settings,
//                      u32 bytes that follow
//   row of times, behind all else, where an earlier release does not look:
//                      f64 sequence behind its last message, least and most ms since 1970
//
// Version 1 says nothing of numbers; it is what is written while there are none, so that an earlier
// release can take it over.

import { OUTBOX_BYTES } from '../../../assembly/layout.ts';
import type { Failure, NumberPage, Position } from '../../core/ports/basics.ts';
import type { CheckpointSource } from '../../core/ports/upkeep.ts';
import { type Files, writeAll } from '../files/files.ts';
import { open, settle } from '../files/promises.ts';
import { readFully } from '../scan/scan.ts';
import { NumberPages, readNumbers } from './checkpoint-numbers.ts';

/** A complete segment that has an index. */
export interface KnownSegment {
  base: Position;
  /** Sequences from `first` to before `end`. */
  first: number;
  end: number;
  messages: number;
  live: number;
  /** CRC of the segment's header. */
  identity: number;
  /** Until when ids in it are to be known, in ms since 1970, rounded up; 0: there are none. */
  idsUntilMs: number;
}

export interface CheckpointState {
  /** Position before which nothing is needed. */
  start: Position;
  segments: readonly KnownSegment[];
  /** CRC field of the first record of the segment behind them. */
  behind: number;
  settled: CheckpointSource['settled'];
  attempts: CheckpointSource['attempts'];
  numbers: CheckpointSource['numbers'];
  stored: CheckpointSource['stored'];
}

/** A checkpoint as it is read. */
export interface Checkpoint {
  start: Position;
  segments: KnownSegment[];
  behind: number;
  settled: [number: number, bits: Uint32Array | undefined][];
  attempts: [number: number, page: number | Uint16Array][];
  waiting: [number: number, bits: Uint32Array | undefined][];
  placed: [number: number, bits: Uint32Array | undefined][];
  dead: [number: number, bits: Uint32Array | undefined][];
  settings: [number: number, bits: Uint32Array | undefined][];
  turns: [number: number, page: NumberPage][];
  levels: [number: number, page: NumberPage][];
  stored: [end: number, least: number, most: number][];
}

export const CHECKPOINT_NAME = 'checkpoint';
const TEMPORARY_NAME = 'checkpoint.tmp';

// A checksum is made where deliveries are, in one piece.
const CHECKPOINT_BYTES_MAX = OUTBOX_BYTES;
const MAGIC = 0x6b63656863514d54n;
const VERSION = 1;
const VERSION_NUMBERS = 2;
const HEADER_BYTES = 64;
const SEGMENT_BYTES = 48;
const PAGE_HEAD_BYTES = 16;
const PAGE_BYTES = 8192;
const TIMES_BYTES = 24;
const CRC_FROM = 16;
const SECONDS_MAX = 2 ** 32 - 1;

type Checksum = (bytes: Uint8Array) => number;

/** The bytes of a checkpoint. Throws RangeError if they are more than can be checked. */
export function encodeCheckpoint(
  state: CheckpointState,
  logId: bigint,
  crc32c: Checksum,
): Uint8Array {
  const settled = [...state.settled.pages()];
  const attempts = [...state.attempts.pages()];
  const numbers = new NumberPages(state.numbers);
  const stored = [...state.stored];
  const full =
    settled.filter(([, bits]) => bits !== undefined).length +
    attempts.filter(([, page]) => typeof page !== 'number').length;
  const size =
    HEADER_BYTES +
    state.segments.length * SEGMENT_BYTES +
    (settled.length + attempts.length) * PAGE_HEAD_BYTES +
    full * PAGE_BYTES +
    numbers.bytes +
    stored.length * TIMES_BYTES;
  if (size > CHECKPOINT_BYTES_MAX)
    throw new RangeError(
      `it would have ${size} bytes, at most ${CHECKPOINT_BYTES_MAX} can be checked`,
    );
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, MAGIC, true);
  view.setUint32(8, numbers.count === 0 ? VERSION : VERSION_NUMBERS, true);
  view.setBigUint64(16, logId, true);
  view.setBigUint64(24, BigInt(size - HEADER_BYTES), true);
  view.setFloat64(32, state.start, true);
  view.setUint32(40, state.segments.length, true);
  view.setUint32(44, settled.length, true);
  view.setUint32(48, attempts.length, true);
  view.setUint32(52, state.behind, true);
  view.setUint32(56, numbers.count, true);
  view.setUint32(60, stored.length, true);
  let at = HEADER_BYTES;
  for (const segment of state.segments) {
    const { base, first, end, messages, live, identity, idsUntilMs } = segment;
    for (const [i, value] of [base, first, end, messages, live].entries())
      view.setFloat64(at + i * 8, value, true);
    view.setUint32(at + 40, identity, true);
    view.setUint32(at + 44, Math.min(Math.ceil(idsUntilMs / 1000), SECONDS_MAX), true);
    at += SEGMENT_BYTES;
  }
  const page = (number: number, value: number, words: Uint32Array | Uint16Array | undefined) => {
    view.setFloat64(at, number, true);
    view.setUint32(at + 8, words === undefined ? 0 : 1, true);
    view.setUint32(at + 12, value, true);
    at += PAGE_HEAD_BYTES;
    if (words === undefined) return;
    bytes.set(new Uint8Array(words.buffer, words.byteOffset, PAGE_BYTES), at);
    at += PAGE_BYTES;
  };
  for (const [number, bits] of settled) page(number, 0, bits);
  for (const [number, counts] of attempts)
    if (typeof counts === 'number') page(number, counts, undefined);
    else page(number, 0, counts);
  numbers.write(bytes, at);
  at = size - stored.length * TIMES_BYTES;
  for (const row of stored)
    for (const value of row) {
      view.setFloat64(at, value, true);
      at += 8;
    }
  view.setUint32(12, crc32c(bytes.subarray(CRC_FROM)), true);
  return bytes;
}

/** Reads a checkpoint; undefined if it is damaged, of another version, or of another log. */
export function decodeCheckpoint(
  bytes: Uint8Array,
  logId: bigint,
  crc32c: Checksum,
): Checkpoint | undefined {
  if (bytes.length < HEADER_BYTES || bytes.length > CHECKPOINT_BYTES_MAX) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = view.getUint32(8, true);
  if (view.getBigUint64(0, true) !== MAGIC) return undefined;
  if (version !== VERSION && version !== VERSION_NUMBERS) return undefined;
  if (view.getBigUint64(24, true) !== BigInt(bytes.length - HEADER_BYTES)) return undefined;
  if (view.getUint32(12, true) !== crc32c(bytes.subarray(CRC_FROM))) return undefined;
  if (view.getBigUint64(16, true) !== logId) return undefined;
  // From here on it is what was written: its numbers need no further doubt.
  const checkpoint: Checkpoint = {
    start: view.getFloat64(32, true),
    segments: [],
    behind: view.getUint32(52, true),
    settled: [],
    attempts: [],
    waiting: [],
    placed: [],
    dead: [],
    settings: [],
    turns: [],
    levels: [],
    stored: [],
  };
  let at = HEADER_BYTES;
  for (let i = view.getUint32(40, true); i > 0; i--, at += SEGMENT_BYTES) {
    const number = (index: number) => view.getFloat64(at + index * 8, true);
    checkpoint.segments.push({
      base: number(0),
      first: number(1),
      end: number(2),
      messages: number(3),
      live: number(4),
      identity: view.getUint32(at + 40, true),
      idsUntilMs: untilMs(view.getUint32(at + 44, true)),
    });
  }
  const page = (): { number: number; value: number; words: ArrayBuffer | undefined } => {
    const number = view.getFloat64(at, true);
    const kind = view.getUint32(at + 8, true);
    const value = view.getUint32(at + 12, true);
    at += PAGE_HEAD_BYTES;
    if (kind === 0) return { number, value, words: undefined };
    const words = new ArrayBuffer(PAGE_BYTES);
    new Uint8Array(words).set(bytes.subarray(at, at + PAGE_BYTES));
    at += PAGE_BYTES;
    return { number, value, words };
  };
  for (let i = view.getUint32(44, true); i > 0; i--) {
    const { number, words } = page();
    checkpoint.settled.push([number, words === undefined ? undefined : new Uint32Array(words)]);
  }
  for (let i = view.getUint32(48, true); i > 0; i--) {
    const { number, value, words } = page();
    checkpoint.attempts.push([number, words === undefined ? value : new Uint16Array(words)]);
  }
  for (let i = view.getUint32(60, true); i > 0; i--) {
    const row = bytes.length - i * TIMES_BYTES;
    const value = (index: number) => view.getFloat64(row + index * 8, true);
    checkpoint.stored.push([value(0), value(1), value(2)]);
  }
  if (version === VERSION_NUMBERS) readNumbers(bytes, at, view.getUint32(56, true), checkpoint);
  return checkpoint;
}

// Beyond what can be said is for ever.
function untilMs(seconds: number): number {
  return seconds === SECONDS_MAX ? Number.MAX_SAFE_INTEGER : seconds * 1000;
}

/** Reads the checkpoint of a folder; undefined if there is none that can be believed. */
export async function readCheckpoint(
  files: Files,
  logId: bigint,
  crc32c: Checksum,
): Promise<Checkpoint | undefined> {
  try {
    const { handle, bytes } = await open(files, CHECKPOINT_NAME);
    try {
      const content = new Uint8Array(bytes);
      const got = await readFully(files, handle, content, 0);
      return decodeCheckpoint(content.subarray(0, got), logId, crc32c);
    } finally {
      await settle((done) => files.close(handle, done));
    }
  } catch {
    return undefined;
  }
}

/**
 * Writes a checkpoint under a temporary name, then gives it its own. It is not synced: after a loss
 * of power its checksum says whether it is whole.
 */
export function writeCheckpoint(
  files: Files,
  bytes: Uint8Array,
  done: (failure: Failure) => void,
): void {
  // What an earlier attempt left goes first; there may be nothing.
  files.remove(TEMPORARY_NAME, () => {
    files.open(TEMPORARY_NAME, true, (failure, handle) => {
      if (failure !== undefined) return done(failure);
      writeAll(files, handle, [bytes], 0, (writeFailure) => {
        files.close(handle, (closeFailure) => {
          const problem = writeFailure ?? closeFailure;
          if (problem !== undefined) files.remove(TEMPORARY_NAME, () => done(problem));
          else files.rename(TEMPORARY_NAME, CHECKPOINT_NAME, done);
        });
      });
    });
  });
}
