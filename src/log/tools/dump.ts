// The records of a log in words: one entry for each, in order, for people and programs that look
// into a log. Judges nothing and changes nothing.

import type { RecordScanner } from '../../core/ports/codec.ts';
import type { FilesToRead } from '../files/files.ts';
import type { Visitor } from '../scan/scan.ts';
import { versionOf } from '../segments/segment.ts';
import { details, type RecordEntry, type RecordOptions, recordEntry } from './dump-records.ts';
import { isThere, type Look, lookThrough } from './look.ts';
import { problemOf, type ToolSegment, walkSegments } from './segment-walk.ts';

/** 64-bit numbers are decimal strings; sizes and offsets are in bytes. */
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

export type { RecordEntry } from './dump-records.ts';

export type DumpEntry = SegmentEntry | RecordEntry | GapEntry | MovedEntry;

export interface DumpOptions extends RecordOptions {
  /** A segment's file name, or its place in the log: 0 is the oldest. All of them without it. */
  segment?: string;
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
            version: versionOf(header),
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
