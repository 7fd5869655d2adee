// One run: the file that says where the records of each line stand in a sealed segment. It is a
// cache, made from the log and never synced: it may be gone, torn, stale or of another log, so no
// byte of it is believed before a checksum held that covers it. Here are its name, its layout and
// the arithmetic of its tables; `index-writer` makes one, `indexes` keeps and searches them.
//
//   00000000000067108864.run   the run of the segment whose first byte has position 67108864
//   run.tmp                    being written
//
// Little-endian, CRC32C. The parts follow each other without a gap, and the file ends with them.
//
//   header         64 bytes
//     at  0   8    MAGIC       the text "TMQINDEX"
//         8   4    VERSION     1, or 2 if a line of another kind than 0 is in it
//        12   4    PAGE_BITS   pages = 2^PAGE_BITS: the smallest power of two >= COUNT / 128
//        16   8    LOG_ID      of the log
//        24   8    BASE        position of the segment; equals the file name
//        32   8    FIRST       lowest sequence in the run; 0 in an empty one
//        40   4    COUNT       entries
//        44   4    IDENTITY    the segment's, from whoever knows it: another one says "stale"
//        48   4    SEED        of the hash that gives each line its page
//        52   4    TABLE_CRC   of the page table and the chunk table
//        56   4    CHUNKS      rows of the chunk table
//        60   4    CRC         of bytes 0 ... 59
//   page table     pages + 1 rows of 8 bytes; the last one holds COUNT and CHUNKS
//     at  0   4    index of the page's first entry; the page ends where the next one begins
//         4   4    page of up to 2340 entries: CRC of them; a longer one: its first chunk's row
//   chunk table    4 bytes for every 2340 entries (the last time fewer) of each longer page: CRC
//   entries        28 bytes each, page by page, within a page in log order
//     at  0   8    bucket
//         8   4    sequence of its first message, less FIRST
//        12   4    position of the record, less BASE
//        16   4    messages in the record
//        20   4    bytes of its body
//        24   2    attempts; in version 1 it has 4 bytes, and all lines are of kind 0
//        26   1    kind of the line (layout.ts), which goes into the hash of the page
//        27   1    zero
//
// A *chunk* is what one checksum covers: a page, or 2340 entries (65,520 bytes) of a longer one. It
// is read whole or not at all, so that a page of any length is read in pieces of at most 64 KiB of
// which each is verified.

import { lineHashOf } from '../../core/collections/hash.ts';
import type { Position } from '../../core/ports/basics.ts';
import { LogError } from '../files/errors.ts';
import { ENTRY_BYTES } from './index-entry.ts';

const NAME = /^(\d{20})\.run$/;
// Version 1 is written while it says all, so that an earlier release finds its way about.
const VERSION = 1;
const VERSION_KINDS = 2;
const MAGIC = 0x5845444e49514d54n; // "TMQINDEX"
const MAGIC_AT = 0;
const VERSION_AT = 8;
const PAGE_BITS_AT = 12;
const LOG_ID_AT = 16;
const BASE_AT = 24;
const FIRST_AT = 32;
const COUNT_AT = 40;
const IDENTITY_AT = 44;
const SEED_AT = 48;
const TABLE_CRC_AT = 52;
const CHUNKS_AT = 56;
const CRC_AT = 60;
const PAGE_ENTRIES = 128;

export const INDEX_HEADER_BYTES = 64;
/** Most entries that one checksum covers: as many as 64 KiB hold. */
export const CHUNK_ENTRIES = Math.floor((64 * 1024) / ENTRY_BYTES);
const ROW_BYTES = 8;
const CHUNK_BYTES = 4;

/** Name of the file that is being made into a run. */
export const INDEX_TEMPORARY = 'run.tmp';

export function indexName(base: Position): string {
  return `${String(base).padStart(20, '0')}.run`;
}

/** Base of the segment that a file name states, or undefined if it is no run's name. */
export function indexBaseOf(name: string): Position | undefined {
  const base = Number(NAME.exec(name)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(base) ? base : undefined;
}

/** Computes the CRC32C of bytes. */
export type Checksum = (bytes: Uint8Array) => number;

export interface IndexHeader {
  pageBits: number;
  logId: bigint;
  base: Position;
  first: number;
  count: number;
  identity: number;
  seed: number;
  tableCrc: number;
  chunks: number;
  /** Whether entries name the kind of their line: version 2. */
  kinds: boolean;
}

/** The power of two that gives pages of at most 128 entries on average. */
export function pageBitsFor(count: number): number {
  let bits = 0;
  while (2 ** bits * PAGE_ENTRIES < count) bits++;
  return bits;
}

/** Page of a bucket's line among 2^`pageBits`. */
export function pageOf(
  low: number,
  high: number,
  seed: number,
  pageBits: number,
  kind = 0,
): number {
  return lineHashOf(low, high, kind, seed) & ((1 << pageBits) - 1);
}

/** Size of the page table and the chunk table together. */
export function tableBytes(pageBits: number, chunks: number): number {
  return (2 ** pageBits + 1) * ROW_BYTES + chunks * CHUNK_BYTES;
}

/** Offset in the file of an entry. */
export function entryAt(pageBits: number, chunks: number, entry: number): number {
  return INDEX_HEADER_BYTES + tableBytes(pageBits, chunks) + entry * ENTRY_BYTES;
}

/** Writes a header at the start of `into`. */
export function encodeIndexHeader(header: IndexHeader, into: Uint8Array, crc32c: Checksum): void {
  const view = new DataView(into.buffer, into.byteOffset, INDEX_HEADER_BYTES);
  view.setBigUint64(MAGIC_AT, MAGIC, true);
  view.setUint32(VERSION_AT, header.kinds ? VERSION_KINDS : VERSION, true);
  view.setUint32(PAGE_BITS_AT, header.pageBits, true);
  view.setBigUint64(LOG_ID_AT, header.logId, true);
  view.setBigUint64(BASE_AT, BigInt(header.base), true);
  view.setBigUint64(FIRST_AT, BigInt(header.first), true);
  view.setUint32(COUNT_AT, header.count, true);
  view.setUint32(IDENTITY_AT, header.identity, true);
  view.setUint32(SEED_AT, header.seed, true);
  view.setUint32(TABLE_CRC_AT, header.tableCrc, true);
  view.setUint32(CHUNKS_AT, header.chunks, true);
  view.setUint32(CRC_AT, crc32c(into.subarray(0, CRC_AT)), true);
}

/**
 * Reads the header of the run of the segment at `base`, in a file of `fileBytes` bytes. Throws
 * LogError: `damaged` if it does not hold or belongs to another file, `version` if another format
 * version wrote it.
 */
export function decodeIndexHeader(
  bytes: Uint8Array,
  expected: { base: Position; logId: bigint; fileBytes: number },
  crc32c: Checksum,
): IndexHeader {
  const name = indexName(expected.base);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < INDEX_HEADER_BYTES || view.getBigUint64(MAGIC_AT, true) !== MAGIC)
    throw new LogError('damaged', `${name} does not begin like an index run`);
  if (view.getUint32(CRC_AT, true) !== crc32c(bytes.subarray(0, CRC_AT)))
    throw new LogError('damaged', `the header of ${name} does not match its checksum`);
  const version = view.getUint32(VERSION_AT, true);
  if (version !== VERSION && version !== VERSION_KINDS)
    throw new LogError('version', `${name} has version ${version}, this program reads 1 and 2`);
  const header: IndexHeader = {
    pageBits: view.getUint32(PAGE_BITS_AT, true),
    logId: view.getBigUint64(LOG_ID_AT, true),
    base: Number(view.getBigUint64(BASE_AT, true)),
    first: Number(view.getBigUint64(FIRST_AT, true)),
    count: view.getUint32(COUNT_AT, true),
    identity: view.getUint32(IDENTITY_AT, true),
    seed: view.getUint32(SEED_AT, true),
    tableCrc: view.getUint32(TABLE_CRC_AT, true),
    chunks: view.getUint32(CHUNKS_AT, true),
    kinds: version === VERSION_KINDS,
  };
  const { pageBits, count, chunks } = header;
  if (header.logId !== expected.logId)
    throw new LogError('damaged', `${name} belongs to another log`);
  if (header.base !== expected.base)
    throw new LogError('damaged', `${name} is the run of the segment at ${header.base}`);
  // Before anything of that size is read: a file that was cut short, or something behind its end.
  if (pageBits !== pageBitsFor(count) || expected.fileBytes !== entryAt(pageBits, chunks, count))
    throw new LogError(
      'damaged',
      `${name} has ${expected.fileBytes} bytes, its header tells of ${count} entries`,
    );
  return header;
}

/** Entries that one checksum covers: `from` up to, not including, `to`. */
export interface Chunk {
  page: number;
  from: number;
  to: number;
}

/** Page table and chunk table over their bytes as they stand in the file. */
export class Table {
  readonly bytes: Uint8Array;
  readonly pageBits: number;
  readonly chunks: number;
  readonly #view: DataView;
  readonly #pages: number;

  constructor(pageBits: number, chunks: number, bytes: Uint8Array) {
    this.bytes = bytes;
    this.pageBits = pageBits;
    this.chunks = chunks;
    this.#pages = 2 ** pageBits;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, tableBytes(pageBits, chunks));
  }

  /** Lays out pages that begin at these entries; the last element is the number of entries. */
  static of(starts: Uint32Array, bytes: (chunks: number) => Uint8Array): Table {
    let chunks = 0;
    for (let page = 0; page + 1 < starts.length; page++)
      chunks += chunksOf(starts[page + 1]! - starts[page]!);
    const table = new Table(Math.log2(starts.length - 1), chunks, bytes(chunks));
    for (let page = 0, row = 0; page < starts.length; page++) {
      const length = page + 1 < starts.length ? starts[page + 1]! - starts[page]! : 0;
      table.#view.setUint32(page * ROW_BYTES, starts[page]!, true);
      if (length > CHUNK_ENTRIES || page + 1 === starts.length)
        table.#view.setUint32(page * ROW_BYTES + 4, row, true);
      row += chunksOf(length);
    }
    return table;
  }

  /** Whether pages and chunks follow each other as they must, up to `count` entries. */
  holds(count: number): boolean {
    let row = 0;
    for (let page = 0; page < this.#pages; page++) {
      const length = this.start(page + 1) - this.start(page);
      if (length < 0) return false;
      if (length > CHUNK_ENTRIES && this.#second(page) !== row) return false;
      row += chunksOf(length);
    }
    const ends = this.start(this.#pages) === count && this.#second(this.#pages) === row;
    return this.start(0) === 0 && row === this.chunks && ends;
  }

  /** Index of the first entry of a page; of the page behind the last one: entries in all. */
  start(page: number): number {
    return this.#view.getUint32(page * ROW_BYTES, true);
  }

  #second(page: number): number {
    return this.#view.getUint32(page * ROW_BYTES + 4, true);
  }

  /** The chunk that holds an entry of a page that is not empty. */
  chunk(page: number, entry: number): Chunk {
    const start = this.start(page);
    const end = this.start(page + 1);
    if (end - start <= CHUNK_ENTRIES) return { page, from: start, to: end };
    const from = entry - ((entry - start) % CHUNK_ENTRIES);
    return { page, from, to: Math.min(end, from + CHUNK_ENTRIES) };
  }

  /**
   * The chunks in file order from the one that begins with `entry`, which stands in `page` or behind
   * it: as many as have at most `entriesMax` entries together, but one at least; none at the end.
   */
  chunksFrom(page: number, entry: number, entriesMax: number): Chunk[] {
    const chunks: Chunk[] = [];
    let at = entry;
    for (let next = page; next < this.#pages; ) {
      if (this.start(next + 1) <= at) {
        next++;
        continue;
      }
      const chunk = this.chunk(next, at);
      if (chunks.length > 0 && chunk.to - entry > entriesMax) break;
      chunks.push(chunk);
      at = chunk.to;
    }
    return chunks;
  }

  crc(chunk: Chunk): number {
    return this.#view.getUint32(this.#crcAt(chunk), true);
  }

  setCrc(chunk: Chunk, crc: number): void {
    this.#view.setUint32(this.#crcAt(chunk), crc, true);
  }

  #crcAt({ page, from }: Chunk): number {
    const start = this.start(page);
    if (this.start(page + 1) - start <= CHUNK_ENTRIES) return page * ROW_BYTES + 4;
    const row = this.#second(page) + (from - start) / CHUNK_ENTRIES;
    return (this.#pages + 1) * ROW_BYTES + row * CHUNK_BYTES;
  }
}

// Rows of the chunk table that a page of so many entries needs.
function chunksOf(entries: number): number {
  return entries <= CHUNK_ENTRIES ? 0 : Math.ceil(entries / CHUNK_ENTRIES);
}
