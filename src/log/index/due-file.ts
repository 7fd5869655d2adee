// Due times on disk: the file that says which messages of a complete segment wait for a time, in
// the order of those times. It is a cache like the run beside it, made from the segment and never
// synced, so no page of it is believed before its checksum held. Here are its name and its layout;
// `due-writer` makes one, `due-pages` and `due-index` keep and read them.
//
//   00000000000067108864.due   due times of the segment whose first byte has position 67108864
//   due.tmp                    being written
//
// Little-endian, CRC32C. Pages of 4096 bytes; page 0 is the header, the others hold 102 entries
// each, the last one what is left. Each page says where it belongs, so that one of another file,
// or at another place, is not taken for what was asked for.
//
//   every page
//     at  0   4    CRC         of bytes 4 ... 4095
//         4   2    ENTRIES     in this page; 0 in the header
//         6   2    zero
//         8   4    PAGE        its number, from 0
//        12   4    IDENTITY    the segment's, from whoever knows it: another one says "stale"
//   header, from 16 on; zeros follow
//        16   8    MAGIC       the text "TMQTIMES"
//        24   4    VERSION     1
//        28   4    COUNT       entries
//        32   8    LOG_ID      of the log
//        40   8    BASE        position of the segment; equals the file name
//        48   8    LAST        WHEN of the last entry; 0 if there is none
//   entry, 40 bytes, by WHEN, then SEQUENCE, then as the log has them
//         0   6    WHEN        ms since 1970
//         6   8    BUCKET
//        14   6    SEQUENCE    of the first message
//        20   6    POSITION    of the record, a hint
//        26   4    TURN        that the entry is about
//        30   4    COUNT       messages
//        34   4    BODY_BYTES  of the record
//        38   1    KIND        of the line
//        39   1    WHAT        1 ready, 2 expires

import type { DueEntry } from '../../core/records/due.ts';
import { LogError } from '../files/errors.ts';
import type { Checksum } from './index-file.ts';

export const DUE_PAGE_BYTES = 4096;
export const DUE_HEAD_BYTES = 16;
export const DUE_ENTRY_BYTES = 40;
/** Entries of a full page. */
export const DUE_PAGE_ENTRIES = Math.floor((DUE_PAGE_BYTES - DUE_HEAD_BYTES) / DUE_ENTRY_BYTES);
/** Name of the file that is being made. */
export const DUE_TEMPORARY = 'due.tmp';

const NAME = /^(\d{20})\.due$/;
const MAGIC = 0x53454d4954514d54n; // "TMQTIMES"
const VERSION = 1;
const U32 = 2 ** 32;

const CRC_AT = 0;
const ENTRIES_AT = 4;
const PAGE_AT = 8;
const PAGE_IDENTITY_AT = 12;

const MAGIC_AT = 16;
const VERSION_AT = 24;
const COUNT_AT = 28;
const LOG_ID_AT = 32;
const BASE_AT = 40;
const LAST_AT = 48;

const ENTRY_WHEN = 0;
const ENTRY_BUCKET = 6;
const ENTRY_SEQUENCE = 14;
const ENTRY_POSITION = 20;
const ENTRY_TURN = 26;
const ENTRY_COUNT = 30;
const ENTRY_BODY_BYTES = 34;
const ENTRY_KIND = 38;
const ENTRY_WHAT = 39;

export interface DueHeader {
  logId: bigint;
  base: number;
  identity: number;
  count: number;
  /** WHEN of the last entry; 0 if there is none. */
  last: number;
}

export function dueName(base: number): string {
  return `${String(base).padStart(20, '0')}.due`;
}

/** Base of the segment that a file name states, or undefined if it is no such name. */
export function dueBaseOf(name: string): number | undefined {
  const base = Number(NAME.exec(name)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(base) ? base : undefined;
}

/** Pages of a file with so many entries, the header included. */
export function duePages(count: number): number {
  return 1 + Math.ceil(count / DUE_PAGE_ENTRIES);
}

/** Offset in its page of an entry. */
export function dueEntryAt(entry: number): number {
  return DUE_HEAD_BYTES + (entry % DUE_PAGE_ENTRIES) * DUE_ENTRY_BYTES;
}

function setU48(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint16(at + 4, value / U32, true);
}

function u48(view: DataView, at: number): number {
  return view.getUint16(at + 4, true) * U32 + view.getUint32(at, true);
}

export function encodeDueEntry(entry: DueEntry, view: DataView, at: number): void {
  setU48(view, at + ENTRY_WHEN, entry.when);
  view.setUint32(at + ENTRY_BUCKET, entry.low, true);
  view.setUint32(at + ENTRY_BUCKET + 4, entry.high, true);
  setU48(view, at + ENTRY_SEQUENCE, entry.sequence);
  setU48(view, at + ENTRY_POSITION, entry.position);
  view.setUint32(at + ENTRY_TURN, entry.turn, true);
  view.setUint32(at + ENTRY_COUNT, entry.count, true);
  view.setUint32(at + ENTRY_BODY_BYTES, entry.bodyBytes, true);
  view.setUint8(at + ENTRY_KIND, entry.kind);
  view.setUint8(at + ENTRY_WHAT, entry.what);
}

export function decodeDueEntry(view: DataView, at: number, into: DueEntry): void {
  into.when = u48(view, at + ENTRY_WHEN);
  into.low = view.getUint32(at + ENTRY_BUCKET, true);
  into.high = view.getUint32(at + ENTRY_BUCKET + 4, true);
  into.sequence = u48(view, at + ENTRY_SEQUENCE);
  into.position = u48(view, at + ENTRY_POSITION);
  into.turn = view.getUint32(at + ENTRY_TURN, true);
  into.count = view.getUint32(at + ENTRY_COUNT, true);
  into.bodyBytes = view.getUint32(at + ENTRY_BODY_BYTES, true);
  into.kind = view.getUint8(at + ENTRY_KIND);
  into.what = view.getUint8(at + ENTRY_WHAT);
}

/** Whether the entry at an offset is before this time and sequence. */
export function isBefore(view: DataView, at: number, when: number, sequence: number): boolean {
  const other = u48(view, at + ENTRY_WHEN);
  return other < when || (other === when && u48(view, at + ENTRY_SEQUENCE) < sequence);
}

/** Writes the head of a page whose entries stand; zeros must be behind them. */
export function sealDuePage(
  page: Uint8Array,
  entries: number,
  number: number,
  identity: number,
  crc32c: Checksum,
): void {
  const view = new DataView(page.buffer, page.byteOffset, DUE_PAGE_BYTES);
  view.setUint16(ENTRIES_AT, entries, true);
  view.setUint32(PAGE_AT, number, true);
  view.setUint32(PAGE_IDENTITY_AT, identity, true);
  view.setUint32(CRC_AT, crc32c(page.subarray(ENTRIES_AT)), true);
}

// Whether a page is whole, and the one that was asked for.
function isPage(page: Uint8Array, number: number, crc32c: Checksum): boolean {
  if (page.length !== DUE_PAGE_BYTES) return false;
  const view = new DataView(page.buffer, page.byteOffset, DUE_PAGE_BYTES);
  return (
    view.getUint32(PAGE_AT, true) === number &&
    view.getUint32(CRC_AT, true) === crc32c(page.subarray(ENTRIES_AT))
  );
}

/** What is wrong with a page of entries, or undefined. */
export function faultOfDuePage(
  page: Uint8Array,
  number: number,
  { base, identity, count }: DueHeader,
  crc32c: Checksum,
): LogError | undefined {
  const what = `page ${number} of ${dueName(base)}`;
  if (!isPage(page, number, crc32c))
    return new LogError('damaged', `${what} does not match its checksum; make it again`);
  const view = new DataView(page.buffer, page.byteOffset, DUE_PAGE_BYTES);
  const wanted = Math.min(DUE_PAGE_ENTRIES, count - (number - 1) * DUE_PAGE_ENTRIES);
  const here = view.getUint16(ENTRIES_AT, true) === wanted;
  return here && view.getUint32(PAGE_IDENTITY_AT, true) === identity
    ? undefined
    : new LogError('missing', `${what} is of another state of the segment; make it again`);
}

/** Writes the header page into the first 4096 bytes of `into`, which are zeros. */
export function encodeDueHeader(header: DueHeader, into: Uint8Array, crc32c: Checksum): void {
  const view = new DataView(into.buffer, into.byteOffset, DUE_PAGE_BYTES);
  view.setBigUint64(MAGIC_AT, MAGIC, true);
  view.setUint32(VERSION_AT, VERSION, true);
  view.setUint32(COUNT_AT, header.count, true);
  view.setBigUint64(LOG_ID_AT, header.logId, true);
  view.setBigUint64(BASE_AT, BigInt(header.base), true);
  view.setBigUint64(LAST_AT, BigInt(header.last), true);
  sealDuePage(into.subarray(0, DUE_PAGE_BYTES), 0, 0, header.identity, crc32c);
}

/**
 * Reads the header page of the file of a segment, which has `fileBytes` bytes. Throws LogError:
 * `damaged` if it does not hold, `version` if another format version wrote it, `missing` if it is
 * of another log, of another segment or of another state of this one.
 */
export function decodeDueHeader(
  page: Uint8Array,
  expected: { base: number; logId: bigint; identity: number; fileBytes: number },
  crc32c: Checksum,
): DueHeader {
  const name = dueName(expected.base);
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  if (page.length < DUE_PAGE_BYTES || view.getBigUint64(MAGIC_AT, true) !== MAGIC)
    throw new LogError('damaged', `${name} does not begin like a file of due times`);
  if (!isPage(page, 0, crc32c))
    throw new LogError('damaged', `the header of ${name} does not match its checksum`);
  const version = view.getUint32(VERSION_AT, true);
  if (version !== VERSION)
    throw new LogError('version', `${name} has version ${version}, this program reads ${VERSION}`);
  const header: DueHeader = {
    logId: view.getBigUint64(LOG_ID_AT, true),
    base: Number(view.getBigUint64(BASE_AT, true)),
    identity: view.getUint32(PAGE_IDENTITY_AT, true),
    count: view.getUint32(COUNT_AT, true),
    last: Number(view.getBigUint64(LAST_AT, true)),
  };
  if (header.logId !== expected.logId)
    throw new LogError('missing', `${name} belongs to another log`);
  if (header.base !== expected.base)
    throw new LogError('missing', `${name} is the one of the segment at ${header.base}`);
  if (header.identity !== expected.identity >>> 0)
    throw new LogError('missing', `${name} is of another state of the segment`);
  if (expected.fileBytes !== duePages(header.count) * DUE_PAGE_BYTES)
    throw new LogError(
      'damaged',
      `${name} has ${expected.fileBytes} bytes, its header tells of ${header.count} entries`,
    );
  return header;
}
