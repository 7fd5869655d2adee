// The records of a log in words: one entry for each, in order, for people and programs that look
// into a log. Judges nothing and changes nothing.

import {
  FLAG_LAST,
  FLAG_PROOF,
  MARK_ATTEMPTS_AT,
  MARK_BYTES,
  MARK_COUNT_AT,
  MARK_SEQUENCE_AT,
  MESSAGE_SIZE_BYTES,
  RECORD_COMMIT,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_RETURNED,
  RECORD_SETTLED,
  RECORD_START,
  RECORD_TRIM,
  SEGMENT_VERSION,
  SEGMENT_VERSION_COMPACTED,
} from '../../../assembly/layout.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import {
  ATTEMPTS,
  BACK,
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  EPOCH,
  FLAGS,
  OFFSET,
  sequenceOf,
  TYPE,
} from '../../core/records/rows.ts';
import type { FilesToRead } from '../files/files.ts';
import type { Visitor } from '../scan/scan.ts';
import { isThere, type Look, lookThrough } from './look.ts';
import { problemOf, type ToolSegment, walkSegments } from './segment-walk.ts';

/** 64-bit numbers are decimal strings; sizes and offsets are in bytes. */
export interface RecordEntry {
  type: 'messages' | 'settled' | 'returned' | 'commit' | 'start' | 'trim';
  segment: string;
  offset: number;
  position: string;
  flags: ('proof' | 'last')[];
  epoch: number;
  /** Log position of the first record of its batch. */
  batch: string;
  bodyBytes: number;
  /** Messages: bucket, first and last sequence, how many, and earlier deliveries of each. */
  bucket?: string;
  firstSequence?: string;
  lastSequence?: string;
  count?: number;
  attempts?: number;
  messages?: MessageEntry[];
  /** Settled and returned. */
  marks?: { sequence: string; count: number; attempts?: number }[];
  /** Commit and start: the next sequence to be given out; wall clock, ISO 8601. */
  nextSequence?: string;
  time?: string;
  /** Commit: records in the batch before it. */
  records?: number;
  /** Trim: nothing before this log position is needed. */
  needed?: string;
}

export interface MessageEntry {
  sequence: string;
  bytes: number;
  encoding: 'utf8' | 'base64';
  body: string;
}

export interface SegmentEntry {
  type: 'segment';
  segment: string;
  position: string;
  bytes: number;
  /** Absent if the header does not hold. */
  header?: {
    version: number;
    start: string;
    logId: string;
    created: string;
    epoch: number;
    /** Of a compacted segment: position at which the next one begins. */
    end?: string;
  };
  problems: string[];
}

/** Bytes between two records that are no valid record. */
export interface GapEntry {
  type: 'gap';
  segment: string;
  offset: number;
  position: string;
  bytes: number;
}

/**
 * The segment was compacted or given back while it was read: what follows is what took its place,
 * and may hold records again that were told before.
 */
export interface MovedEntry {
  type: 'moved';
  segment: string;
  position: string;
}

export type DumpEntry = SegmentEntry | RecordEntry | GapEntry | MovedEntry;

export interface DumpOptions {
  /** A segment's file name, or its place in the log: 0 is the oldest. All of them without it. */
  segment?: string;
  /** Only messages of this bucket. */
  bucket?: bigint;
  /** Adds the bodies of messages. */
  bodies?: boolean;
  /** Takes what there is; reading goes on when it settles. */
  write: (entries: DumpEntry[]) => Promise<void>;
}

/** What `dumpLog` could not do; all of it was told as entries, too. */
export interface Dumped {
  segments: number;
  unknownVersion: boolean;
  unreadable: boolean;
}

/** Walks the log. Throws what the system says about the directory, or what `write` throws. */
export async function dumpLog(
  files: FilesToRead,
  codec: RecordScanner,
  options: DumpOptions,
): Promise<Dumped> {
  const dumped: Dumped = { segments: 0, unknownVersion: false, unreadable: false };
  const read: ToolSegment[] = [];
  const told = new Set<ToolSegment>();
  const look: Look = {
    read: async (segment) => {
      const at = String(read.push(segment) - 1);
      const { segment: wanted } = options;
      if (wanted !== undefined && wanted !== segment.name && wanted !== at) return false;
      dumped.segments++;
      told.add(segment);
      await dumpSegment(files, codec, segment, options);
      if (!(await isThere(files, segment))) return false;
      const codes = segment.problems.map(({ code }) => code);
      dumped.unknownVersion ||= codes.includes('version');
      dumped.unreadable ||= codes.includes('io');
      return false; // what is begun meanwhile is not followed: it might be without end
    },
    backTo: async (base) => {
      const from = read.findIndex((segment) => segment.base >= base);
      const again = from < 0 ? [] : read.splice(from);
      const moved = again.filter((segment) => told.has(segment));
      if (moved.length > 0) await options.write(moved.map(movedEntry));
    },
  };
  await lookThrough(files, look, () => {});
  return dumped;
}

function movedEntry({ name, base }: ToolSegment): MovedEntry {
  return { type: 'moved', segment: name, position: String(base) };
}

async function dumpSegment(
  files: FilesToRead,
  codec: RecordScanner,
  segment: ToolSegment,
  options: DumpOptions,
): Promise<void> {
  const { name, base } = segment;
  let entries: DumpEntry[] = options.bucket === undefined ? [segmentEntry(segment)] : [];
  const flush = async () => {
    let ready = entries;
    entries = [];
    // What is no record in a file that became another segment's is no gap in the log.
    if (ready.some(({ type }) => type === 'gap') && !(await isThere(files, segment)))
      ready = ready.filter(({ type }) => type !== 'gap');
    if (ready.length > 0) await options.write(ready);
  };
  const visitor: Visitor = {
    record: (rows, at, chunk, bytes) => {
      const entry = recordEntry(segment, rows, at, chunk, bytes, options);
      if (entry !== undefined) entries.push(entry);
    },
    commit: () => {},
    chunk: flush,
  };
  if (!segment.skip) {
    const before = segment.problems.length;
    try {
      await walkSegments(files, codec, segment, 0, visitor, ({ offset, end, goesOn }) => {
        if (!goesOn || options.bucket !== undefined) return;
        const position = String(base + offset);
        entries.push({ type: 'gap', segment: name, offset, position, bytes: end - offset });
      });
    } catch (error) {
      segment.problems.push(problemOf(error));
    }
    if (segment.problems.length > before && (await isThere(files, segment)))
      entries.push(segmentEntry(segment));
  }
  await flush();
}

function segmentEntry({ name, base, bytes, header, problems }: ToolSegment): SegmentEntry {
  return {
    type: 'segment',
    segment: name,
    position: String(base),
    bytes,
    ...(header === undefined
      ? {}
      : {
          header: {
            version: header.end === undefined ? SEGMENT_VERSION : SEGMENT_VERSION_COMPACTED,
            start: String(header.start),
            logId: header.logId.toString(16).padStart(16, '0'),
            created: new Date(header.timeMs).toISOString(),
            epoch: header.epoch,
            ...(header.end === undefined ? {} : { end: String(header.end) }),
          },
        }),
    problems: problems.map(({ text }) => text),
  };
}

const TYPES: Record<number, RecordEntry['type']> = {
  [RECORD_MESSAGES]: 'messages',
  [RECORD_SETTLED]: 'settled',
  [RECORD_RETURNED]: 'returned',
  [RECORD_COMMIT]: 'commit',
  [RECORD_START]: 'start',
  [RECORD_TRIM]: 'trim',
};

function recordEntry(
  segment: ToolSegment,
  rows: Uint32Array,
  at: number,
  chunk: number,
  bytes: Uint8Array,
  { bucket, bodies }: DumpOptions,
): RecordEntry | undefined {
  const type = TYPES[rows[at + TYPE]!]!;
  const named = (BigInt(rows[at + BUCKET_HIGH]!) << 32n) | BigInt(rows[at + BUCKET_LOW]!);
  if (bucket !== undefined && (type !== 'messages' || named !== bucket)) return undefined;
  const position = chunk + rows[at + OFFSET]!;
  const flags = rows[at + FLAGS]!;
  const entry: RecordEntry = {
    type,
    segment: segment.name,
    offset: position - segment.base,
    position: String(position),
    flags: [
      ...((flags & FLAG_PROOF) === 0 ? [] : (['proof'] as const)),
      ...((flags & FLAG_LAST) === 0 ? [] : (['last'] as const)),
    ],
    epoch: rows[at + EPOCH]!,
    batch: String(position - rows[at + BACK]!),
    bodyBytes: rows[at + BODY_BYTES]!,
  };
  const sequence = sequenceOf(rows, at);
  const count = rows[at + COUNT]!;
  const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
  if (type === 'messages') {
    entry.bucket = String(named);
    entry.firstSequence = String(sequence);
    entry.lastSequence = String(sequence + count - 1);
    entry.count = count;
    entry.attempts = rows[at + ATTEMPTS]!;
    if (bodies) entry.messages = messagesOf(bytes, body, count, sequence);
  } else if (type === 'settled' || type === 'returned') {
    entry.count = count;
    entry.marks = marksOf(bytes, body, count, type === 'returned');
  } else if (type === 'trim') {
    entry.needed = String(sequence);
  } else {
    entry.nextSequence = String(sequence);
    entry.time = timeOf(named);
    if (type === 'commit') entry.records = count;
  }
  return entry;
}

// A record may hold any number; only some of them are dates.
function timeOf(ms: bigint): string {
  const date = new Date(Number(ms));
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString();
}

function messagesOf(bytes: Uint8Array, at: number, count: number, first: number): MessageEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, i) => {
    const size = view.getUint32(at, true);
    const body = bytes.subarray(at + MESSAGE_SIZE_BYTES, at + MESSAGE_SIZE_BYTES + size);
    at += MESSAGE_SIZE_BYTES + size;
    return { sequence: String(first + i), bytes: size, ...textOf(body) };
  });
}

function textOf(body: Uint8Array): Pick<MessageEntry, 'encoding' | 'body'> {
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return { encoding: 'utf8', body: decoder.decode(body) };
  } catch {
    let binary = '';
    for (const byte of body) binary += String.fromCharCode(byte);
    return { encoding: 'base64', body: btoa(binary) };
  }
}

function marksOf(
  bytes: Uint8Array,
  at: number,
  count: number,
  attempts: boolean,
): { sequence: string; count: number; attempts?: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, count * MARK_BYTES);
  return Array.from({ length: count }, (_, i) => ({
    sequence: String(view.getBigUint64(i * MARK_BYTES + MARK_SEQUENCE_AT, true)),
    count: view.getUint32(i * MARK_BYTES + MARK_COUNT_AT, true),
    ...(attempts ? { attempts: view.getUint32(i * MARK_BYTES + MARK_ATTEMPTS_AT, true) } : {}),
  }));
}

/** An entry as one line for people; messages follow on lines of their own. */
export function lineOf(entry: DumpEntry): string {
  const { segment } = entry;
  if (entry.type === 'segment') return segmentLine(entry);
  if (entry.type === 'gap')
    return `${entry.position} gap: ${entry.bytes} bytes at offset ${entry.offset} of ${segment} are no valid record`;
  if (entry.type === 'moved')
    return `# ${segment} was compacted or given back while it was read: what took its place follows`;
  const { position, type, flags, epoch, batch, bodyBytes } = entry;
  const head = `${position} ${type} [${flags.join(' ')}] epoch ${epoch} batch ${batch}`;
  const lines = [`${head} ${details(entry)}, ${bodyBytes} bytes`];
  for (const { sequence, encoding, body } of entry.messages ?? [])
    lines.push(`  ${sequence} ${encoding === 'utf8' ? JSON.stringify(body) : `base64 ${body}`}`);
  return lines.join('\n');
}

function segmentLine({ segment, position, bytes, header, problems }: SegmentEntry): string {
  const made =
    header === undefined
      ? 'no valid header'
      : `log ${header.logId}, epoch ${header.epoch}, created ${header.created}, needed from ${header.start}`;
  const until = header?.end === undefined ? '' : `, compacted, stands for all up to ${header.end}`;
  return [`# ${segment}: position ${position}, ${bytes} bytes, ${made}${until}`, ...problems].join(
    '\n# ',
  );
}

function details(entry: RecordEntry): string {
  if (entry.type === 'messages')
    return `bucket ${entry.bucket} sequences ${entry.firstSequence}-${entry.lastSequence} attempts ${entry.attempts}`;
  if (entry.marks !== undefined) {
    const marks = entry.marks.map(({ sequence, count, attempts }) => {
      const last = BigInt(sequence) + BigInt(count) - 1n;
      return `${sequence}-${last}${attempts === undefined ? '' : ` attempts ${attempts}`}`;
    });
    return `sequences ${marks.join(', ')}`;
  }
  if (entry.type === 'trim') return `needed from ${entry.needed}`;
  const records = entry.type === 'commit' ? ` records ${entry.records}` : '';
  return `next ${entry.nextSequence}${records} time ${entry.time}`;
}
