// One segment file: its name, and its header as layout.ts draws it.
//
//   00000000000000000000.log   the log's first segment
//   00000000000067108864.log   the one after 64 MiB: the name is the position of its first byte
//   next.tmp                   being made
//   compact.tmp                what a compaction writes, until it takes the place of a segment
//   spare-67108864.tmp         given back, to be used again
//   fill-7.tmp                 becoming a spare: not all of it is on disk yet

import {
  SEGMENT_BASE_AT,
  SEGMENT_CRC_AT,
  SEGMENT_DATA_AT,
  SEGMENT_END_AT,
  SEGMENT_EPOCH_AT,
  SEGMENT_HEADER_BYTES,
  SEGMENT_LOG_ID_AT,
  SEGMENT_MAGIC_AT,
  SEGMENT_MAGIC_HIGH,
  SEGMENT_MAGIC_LOW,
  SEGMENT_SIZE_AT,
  SEGMENT_START_AT,
  SEGMENT_TIME_AT,
  SEGMENT_VERSION,
  SEGMENT_VERSION_AT,
  SEGMENT_VERSION_COMPACTED,
  SEGMENT_VERSION_PLACED,
} from '../../../assembly/layout.ts';
import { crc32c } from '../../codec/crc32c.ts';
import type { Position } from '../../core/ports/basics.ts';
import { LogError } from '../files/errors.ts';

/** Name of the log's folder while a repair writes it. */
export const INCOMPLETE_FOLDER = 'log.incomplete';

/** The same while it is fetched from other nodes: what is left of one is thrown away. */
export const BUILDING_FOLDER = 'log.building';

const NAME = /^(\d{20})\.log$/;
const FILL = /^fill-\d+\.tmp$/;

export interface SegmentHeader {
  /** Position of the segment's first byte. */
  base: number;
  /** Size of the file in bytes. */
  bytes: number;
  /** Oldest position the log needed when the header was written. */
  start: number;
  logId: bigint;
  timeMs: number;
  epoch: number;
  /** SEGMENT_VERSION_PLACED if it may hold records of types 7 to 10; absent: it holds none. */
  version?: number;
  /**
   * Only of a compacted segment: position at which the next segment begins. The file is smaller
   * than the stretch of the log that it stands for.
   */
  end?: Position;
}

/** Position at which the segment behind this one begins. */
export function endOf(header: SegmentHeader): Position {
  return header.end ?? header.base + header.bytes;
}

export function segmentName(base: number): string {
  return `${String(base).padStart(20, '0')}.log`;
}

/** Base position that a file name states, or undefined if it is no segment's name. */
export function baseOf(name: string): number | undefined {
  const base = Number(NAME.exec(name)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(base) ? base : undefined; // no position is beyond 2^53
}

/** Name of a file that is being made into a segment. */
export const NEXT_NAME = 'next.tmp';

/** Name of a compacted segment until it takes the place of the first one that it replaces. */
export const COMPACT_NAME = 'compact.tmp';

/** Name of a file that is being filled, to become the spare of the same number. */
export function fillName(number: number): string {
  return `fill-${number}.tmp`;
}

/** Name of the file of the segment based at `base` after it was given back. */
export function spareName(base: number): string {
  return `spare-${base}.tmp`;
}

/** The number in the name of a file held ready; of another name NaN. */
export function numberIn(name: string): number {
  return Number(/^spare-(\d+)\.tmp$/.exec(name)?.[1] ?? Number.NaN);
}

/** Whether a name is that of a file held ready for further segments. */
export function isSpare(name: string): boolean {
  return /^spare-\d+\.tmp$/.test(name);
}

/** Whether a file of that name holds nothing when the broker starts. */
export function isTemporary(name: string): boolean {
  return name === NEXT_NAME || name === COMPACT_NAME || FILL.test(name) || isSpare(name);
}

/** Key of a log's records, as 32 bits (layout.ts, record). */
export function keyOf(logId: bigint): number {
  return Number((logId ^ (logId >> 32n)) & 0xffffffffn);
}

/** Tells a segment from another one that had its name before: the checksum of its header. */
export function identityOf(head: Uint8Array): number {
  return new DataView(head.buffer, head.byteOffset).getUint32(SEGMENT_CRC_AT, true);
}

/** The version that a header states. */
export function versionOf({ version, end }: Pick<SegmentHeader, 'version' | 'end'>): number {
  return version ?? (end === undefined ? SEGMENT_VERSION : SEGMENT_VERSION_COMPACTED);
}

/** The first SEGMENT_DATA_AT bytes of a segment; of a compacted one if the header has an `end`. */
export function encodeHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_DATA_AT);
  const view = new DataView(bytes.buffer);
  view.setUint32(SEGMENT_MAGIC_AT, SEGMENT_MAGIC_LOW, true);
  view.setUint32(SEGMENT_MAGIC_AT + 4, SEGMENT_MAGIC_HIGH, true);
  view.setUint32(SEGMENT_VERSION_AT, versionOf(header), true);
  view.setUint32(SEGMENT_SIZE_AT, header.bytes, true);
  view.setBigUint64(SEGMENT_BASE_AT, BigInt(header.base), true);
  view.setBigUint64(SEGMENT_START_AT, BigInt(header.start), true);
  view.setBigUint64(SEGMENT_LOG_ID_AT, header.logId, true);
  view.setBigUint64(SEGMENT_TIME_AT, BigInt(header.timeMs), true);
  view.setUint32(SEGMENT_EPOCH_AT, header.epoch, true);
  view.setBigUint64(SEGMENT_END_AT, BigInt(header.end ?? 0), true);
  view.setUint32(SEGMENT_CRC_AT, crc32c(bytes.subarray(0, SEGMENT_CRC_AT)), true);
  return bytes;
}

/** Whether a header matches its checksum, whatever it says. */
export function headerMatches(bytes: Uint8Array): boolean {
  if (bytes.length < SEGMENT_HEADER_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return view.getUint32(SEGMENT_CRC_AT, true) === crc32c(bytes.subarray(0, SEGMENT_CRC_AT));
}

/**
 * Reads a header. Throws LogError: `version` for a format this program does not know (told apart
 * from damage by magic and version alone), `damaged` for anything else that does not hold.
 */
export function decodeHeader(bytes: Uint8Array, name: string): SegmentHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (
    bytes.length < SEGMENT_HEADER_BYTES ||
    view.getUint32(SEGMENT_MAGIC_AT, true) !== SEGMENT_MAGIC_LOW ||
    view.getUint32(SEGMENT_MAGIC_AT + 4, true) !== SEGMENT_MAGIC_HIGH
  )
    throw new LogError('damaged', `${name} does not begin like a segment of a ThrustMQ log`);
  const version = view.getUint32(SEGMENT_VERSION_AT, true);
  const holds = headerMatches(bytes);
  const known = version >= SEGMENT_VERSION && version <= SEGMENT_VERSION_PLACED;
  if (!known && (holds || version < 256))
    throw new LogError(
      'version',
      `${name} has format version ${version}; this program reads versions ${SEGMENT_VERSION} to ${SEGMENT_VERSION_PLACED}. Nothing was changed. Use the release that wrote it`,
    );
  if (!holds) throw new LogError('damaged', `the header of ${name} does not match its checksum`);
  const header: SegmentHeader = {
    base: Number(view.getBigUint64(SEGMENT_BASE_AT, true)),
    bytes: view.getUint32(SEGMENT_SIZE_AT, true),
    start: Number(view.getBigUint64(SEGMENT_START_AT, true)),
    logId: view.getBigUint64(SEGMENT_LOG_ID_AT, true),
    timeMs: Number(view.getBigUint64(SEGMENT_TIME_AT, true)),
    epoch: view.getUint32(SEGMENT_EPOCH_AT, true),
  };
  const end = Number(view.getBigUint64(SEGMENT_END_AT, true));
  if (version === SEGMENT_VERSION_PLACED) header.version = version;
  const ordinary = version === SEGMENT_VERSION_PLACED && end === 0;
  if (version === SEGMENT_VERSION || ordinary) return header;
  header.end = end;
  if (header.end < header.base + header.bytes)
    throw new LogError('damaged', `${name} is larger than the stretch of the log it stands for`);
  return header;
}
