// Which files of ids count, and of which segments they hold all ids: `ids.list`, written anew as a
// whole whenever that changes. What it does not name counts for nothing.
//
//   header   u64 magic, u32 version, u32 CRC of all behind it, u64 log id, u32 files, u32 segments,
//            u32 next number of a file, u32 1: all of it was synced, with the log
//   file     u32 number, u32 pages, u32 level, u32 sum (CRC of the CRCs of its pages),
//            f64 ids, f64 until when the last one counts, ms since 1970,
//            f64 position behind the last batch whose ids are in it, u32 identity of the segment
//            there, u32 CRC field of the commit record that ends there, or 0
//   segment  f64 base, f64 bytes of its records of ids, u32 identity, u32 1: all of its ids are in
//            these files, u32 their number, and the number of each, u32

import type { Checksum } from './index-file.ts';

export const ID_LIST_NAME = 'ids.list';
export const ID_LIST_TEMPORARY = 'ids.tmp';

const MAGIC = 0x5349444951514d54n; // "TMQQIDIS"
const VERSION = 1;
const HEADER_BYTES = 40;
const FILE_BYTES = 48;
const SEGMENT_BYTES = 28;
const CRC_FROM = 16;

/** What ends with a batch of the log. */
export interface ListedEnd {
  position: number;
  /** Of the segment that it is in. */
  identity: number;
  /** CRC field of the commit record that ends there; 0: the segment begins there. */
  crc: number;
}

export interface ListedRun {
  number: number;
  pages: number;
  level: number;
  sum: number;
  count: number;
  untilMs: number;
  upTo: ListedEnd;
}

export interface ListedSegment {
  base: number;
  idBytes: number;
  identity: number;
  complete: boolean;
  runs: number[];
}

export interface IdList {
  next: number;
  synced: boolean;
  runs: ListedRun[];
  segments: ListedSegment[];
}

/** The bytes of a list. */
export function encodeIdList(list: IdList, logId: bigint, crc32c: Checksum): Uint8Array {
  const named = list.segments.reduce((sum, { runs }) => sum + runs.length, 0);
  const size =
    HEADER_BYTES + list.runs.length * FILE_BYTES + list.segments.length * SEGMENT_BYTES + named * 4;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, MAGIC, true);
  view.setUint32(8, VERSION, true);
  view.setBigUint64(16, logId, true);
  view.setUint32(24, list.runs.length, true);
  view.setUint32(28, list.segments.length, true);
  view.setUint32(32, list.next, true);
  view.setUint32(36, list.synced ? 1 : 0, true);
  let at = HEADER_BYTES;
  const u32 = (...values: number[]) => {
    for (const value of values) {
      view.setUint32(at, value, true);
      at += 4;
    }
  };
  const f64 = (...values: number[]) => {
    for (const value of values) {
      view.setFloat64(at, value, true);
      at += 8;
    }
  };
  for (const { number, pages, level, sum, count, untilMs, upTo } of list.runs) {
    u32(number, pages, level, sum);
    f64(count, untilMs, upTo.position);
    u32(upTo.identity, upTo.crc);
  }
  for (const { base, idBytes, identity, complete, runs } of list.segments) {
    f64(base, idBytes);
    u32(identity, complete ? 1 : 0, runs.length, ...runs);
  }
  view.setUint32(12, crc32c(bytes.subarray(CRC_FROM)), true);
  return bytes;
}

/** Reads a list; undefined if it is damaged, of another version, or of another log. */
export function decodeIdList(
  bytes: Uint8Array,
  logId: bigint,
  crc32c: Checksum,
): IdList | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getBigUint64(0, true) !== MAGIC || view.getUint32(8, true) !== VERSION) return undefined;
  if (view.getUint32(12, true) !== crc32c(bytes.subarray(CRC_FROM)) >>> 0) return undefined;
  if (view.getBigUint64(16, true) !== logId) return undefined;
  // From here on it is what was written.
  let at = HEADER_BYTES;
  const u32 = () => {
    at += 4;
    return view.getUint32(at - 4, true);
  };
  const f64 = () => {
    at += 8;
    return view.getFloat64(at - 8, true);
  };
  const list: IdList = {
    next: view.getUint32(32, true),
    synced: view.getUint32(36, true) === 1,
    runs: [],
    segments: [],
  };
  for (let i = view.getUint32(24, true); i > 0; i--) {
    const [number, pages, level, sum] = [u32(), u32(), u32(), u32()];
    const [count, untilMs, position] = [f64(), f64(), f64()];
    const upTo = { position, identity: u32(), crc: u32() };
    list.runs.push({ number, pages, level, sum, count, untilMs, upTo });
  }
  for (let i = view.getUint32(28, true); i > 0; i--) {
    const [base, idBytes] = [f64(), f64()];
    const [identity, complete] = [u32(), u32() === 1];
    const runs = Array.from({ length: u32() }, u32);
    list.segments.push({ base, idBytes, identity, complete, runs });
  }
  return list;
}
