// Reads the log back at start and decides what its end is: clean, a torn tail that was never acked
// (cut off), or damage to acked data (refused, nothing changed). FORMAT.md says why this is safe.
//
//   bad spot in a segment      valid record of a later batch behind it      verdict
//   none, ends with LAST       next segment is there                        go on with the next
//   none, ends with LAST       next segment is missing                      missing
//   any                        in the same segment, with proof              damaged
//   any                        in any later segment, with proof             damaged
//   any                        nowhere                                      torn: cut here, and
//                                                                           what is later goes too
//   any, in a compacted one    -                                            damaged: it was synced
//                                                                           before it had its name

import {
  RECORD_TRIM,
  SEGMENT_DATA_AT,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION_PLACED,
} from '../../../assembly/layout.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import type { Resume } from '../../core/ports/journal.ts';
import type { SegmentEntries } from '../../core/records/due.ts';
import { sequenceOf, TYPE } from '../../core/records/rows.ts';
import { COPIED, HOW_TO_REPAIR, LogError } from '../files/errors.ts';
import type { Files } from '../files/files.ts';
import { list, open, settle } from '../files/promises.ts';
import type { KnownSegment } from '../index/checkpoint.ts';
import { readFully, type Scannable, type Walk, walk } from '../scan/scan.ts';
import {
  baseOf,
  decodeHeader,
  endOf,
  identityOf,
  isTemporary,
  keyOf,
  type SegmentHeader,
} from '../segments/segment.ts';
import { readIds } from './ids.ts';
import { makeEnd, removeSegment, settleNames } from './log-end.ts';
import { Progress, type Tell } from './progress.ts';
import type { Sink } from './sink.ts';
import { damaged, proveTorn } from './torn.ts';

/** What is known beforehand, which spares recovery the reading of most segments. */
export interface Shortcuts {
  syncedTo: Position | undefined; // as LogOptions say it
  /** Position before which nothing is needed, as far as is known. */
  start: Position;
  /** What is known of a complete segment; undefined: it has to be read. Of `idsUntilMs` 0 its ids
   * need not be. */
  known(segment: FoundSegment): Promise<KnownSegment | undefined>;
  /** Bytes of the records of ids in a segment, all of which are on disk beside the log; undefined:
   * they have to be read. */
  idBytes(segment: FoundSegment): number | undefined;
  /** Ms since 1970. */
  wallMs(): number;
  /** Writes the entries of a segment that was read to disk. */
  index(segment: FoundSegment, source: SegmentEntries): Promise<void>;
}

export interface FoundSegment extends Scannable {
  header: SegmentHeader;
  /** Of a compacted segment this may be more than its size. */
  fileBytes: number;
  /** Tells it from one that had its name before (segment.ts). */
  identity: number;
  /** Position at which the next segment begins. */
  end: Position;
}

/** The files of a log directory, opened and checked against each other. */
export interface Inventory {
  /** The newest segments that follow each other without a gap, oldest first. */
  segments: FoundSegment[];
  /** Segments that the log said it does not need, and those before a gap: given back later than
   * newer ones, or what is missing is lost. */
  older: FoundSegment[];
  /** Segments that a compacted one stands for; to be removed when that one was read. */
  superseded: FoundSegment[];
  /** Files being made or given back when the last broker stopped. */
  leftovers: string[];
  foreign: string[];
}

export interface Recovered {
  /** Segments with records, the one to go on in last. */
  segments: FoundSegment[];
  /** An empty segment behind it, if it was already made. */
  next: FoundSegment | undefined;
  resume: Resume;
  /** Segments that were about to be given back; not read, to be removed. */
  unneeded: FoundSegment[];
  logId: bigint;
  /** Bytes of un-acked records that were cut off. */
  cutBytes: number;
  records: number;
}

/** Opens the segments and checks names, headers and order. Throws LogError; changes nothing. */
export async function takeInventory(files: Files): Promise<Inventory> {
  const none = { leftovers: [], foreign: [] };
  const inventory: Inventory = { segments: [], older: [], superseded: [], ...none };
  const names = (await list(files)).sort();
  const bases = names.filter((name) => baseOf(name) !== undefined);
  for (const name of names) {
    if (isTemporary(name)) inventory.leftovers.push(name);
    else if (baseOf(name) === undefined) inventory.foreign.push(name);
  }
  for (const name of bases) {
    const { handle, bytes } = await open(files, name);
    const head = new Uint8Array(SEGMENT_HEADER_BYTES);
    const got = await readFully(files, handle, head, 0);
    if (bytes === 0 && name === bases.at(-1) && bases.length > 1) {
      await settle((done) => files.close(handle, done));
      inventory.leftovers.push(name);
      continue;
    }
    const header = headerOf(head.subarray(0, got), name);
    const { base, logId } = header;
    const key = keyOf(logId);
    const end = endOf(header);
    const identity = identityOf(head);
    const found = { name, base, bytes: header.bytes, end, handle, key, header, identity };
    inventory.segments.push({ ...found, fileBytes: bytes });
    if (header.base !== baseOf(name))
      throw new LogError(
        'damaged',
        `${name} holds the segment of position ${header.base}: it was renamed or copied. Give it back its name`,
      );
    if (bytes < header.bytes)
      throw new LogError(
        'damaged',
        `${name} has ${bytes} bytes, its header says ${header.bytes}: it was cut short. Restore it from a copy, or, ${HOW_TO_REPAIR}. ${COPIED}`,
      );
  }
  arrange(inventory);
  return inventory;
}

function headerOf(head: Uint8Array, name: string): SegmentHeader {
  try {
    return decodeHeader(head, name);
  } catch (error) {
    const { code, message } = error as LogError;
    if (code !== 'damaged') throw error;
    const text = `${message}. Nothing was changed. Restore it from a copy, or, ${HOW_TO_REPAIR}`;
    throw new LogError('damaged', text, { cause: error });
  }
}

// Sorts out what is no part of the log. What a compacted segment stands for is in it. Segments are
// given back oldest first, but a read under way or a crash may leave an older one behind: it goes
// if a header says that it is not needed, as marks about its messages may be gone by then. And what
// stands before a gap is no part of the log if the log says so, which is known once it is read.
function arrange(inventory: Inventory): void {
  const [first] = inventory.segments;
  const kept: FoundSegment[] = [];
  let start = 0;
  for (const segment of inventory.segments) {
    if (segment.header.logId !== first!.header.logId)
      throw new LogError(
        'damaged',
        `${segment.name} belongs to another log than ${first!.name}: remove what does not belong here`,
      );
    start = Math.max(start, segment.header.start);
    const before = kept.at(-1);
    if (before === undefined || segment.base >= before.end) kept.push(segment);
    else if (before.header.end !== undefined && segment.end <= before.end)
      inventory.superseded.push(segment);
    else throw new LogError('damaged', `${segment.name} overlaps the segment before it`);
  }
  let oldest = 0;
  for (let at = 1; at < kept.length; at++) {
    const { end } = kept[at - 1]!;
    if (kept[at]!.base > end || end <= start) oldest = at;
  }
  inventory.older = kept.splice(0, oldest);
  inventory.segments = kept;
}

// The newest are read in any case: they show where the log ends, and what may not be on disk.
const READ_ALWAYS = 4;
const NOT_READ: Walk = {
  committed: SEGMENT_DATA_AT,
  stopped: SEGMENT_DATA_AT,
  last: true,
  provedTo: -1,
  epoch: 0,
  sequence: -1,
  records: 0,
};

/**
 * Reads the log into `sink`, as far as `shortcuts` does not know it already, repairs its tail and
 * says where to go on. Before anything is served, what only the page cache may hold is written
 * again and synced. Throws LogError.
 */
export async function recover(
  files: Files,
  codec: RecordScanner,
  inventory: Inventory,
  sink: Sink,
  progress: Tell,
  shortcuts?: Shortcuts,
): Promise<Recovered> {
  const { segments, older, superseded } = inventory;
  const walks: Walk[] = [];
  let [epoch, sequence, records] = [0, 1, 0];
  let start = shortcuts?.start ?? 0;
  let tail = 0;
  let state: Walk | undefined;
  const told = new Progress(segments, progress);
  const visitor = told.watch({
    record: (rows, at, chunk, bytes) => {
      if (rows[at + TYPE] === RECORD_TRIM) start = Math.max(start, sequenceOf(rows, at));
      sink.record(rows, at, chunk, bytes);
    },
    commit: () => sink.commit(),
  });
  for (tail = 0; tail < segments.length; tail++) {
    const segment = segments[tail]!;
    start = Math.max(start, segment.header.start);
    const known =
      tail < segments.length - READ_ALWAYS ? await shortcuts?.known(segment) : undefined;
    if (known !== undefined) {
      const idBytes = shortcuts?.idBytes(segment);
      sink.known({ ...known, idBytes });
      if (known.idsUntilMs > 0 && idBytes === undefined) {
        await readIds(files, codec, segment, sink);
        await sink.shrinkIds?.(segment.end, shortcuts?.wallMs() ?? 0);
      }
      // Not the highest epoch of its records, but none behind it has a lower one.
      epoch = Math.max(epoch, segment.header.epoch);
      sequence = Math.max(sequence, known.end);
      walks.push(NOT_READ);
      told.next();
      continue;
    }
    const knowsIds = shortcuts?.idBytes(segment) !== undefined;
    sink.segment(segment.base, segment.header.end !== undefined, knowsIds);
    state = await walk(files, codec, segment, epoch, visitor);
    walks.push(state);
    sink.drop();
    epoch = state.epoch;
    if (state.sequence >= 0) sequence = state.sequence;
    records += state.records;
    told.next();
    if (!state.last) break;
    if (shortcuts === undefined || tail + 1 === segments.length) continue;
    await sink.sealed((source) => shortcuts.index(segment, source));
    // What is in the last two may not be on disk yet.
    if (tail < segments.length - 2) await sink.shrinkIds?.(segment.end, shortcuts.wallMs());
  }
  if (state === undefined) throw new LogError('missing', 'the log has no segments');
  if (tail === segments.length) {
    const { name } = segments[tail - 1]!;
    throw new LogError(
      'missing',
      `the log goes on after ${name}, but that segment is missing. Put it back, or, ${HOW_TO_REPAIR}. ${COPIED}`,
    );
  }
  progress({ phase: 'repairing' });
  const segment = segments[tail]!;
  const later = segments.slice(tail + 1);
  if (segment.header.end !== undefined)
    throw damaged(segment, state, 'the segment is compacted, which was synced before it was used');
  const torn = await proveTorn(files, codec, segment, state, later, shortcuts?.syncedTo);
  // After that: what says that older segments were given back may stand behind the damage.
  checkStart(segments[0]!, older.at(-1), start);
  const keep = torn.later === 0 ? later.slice(0, 1) : [];
  await settleNames(files, superseded);
  for (const odd of later.slice(keep.length).reverse()) await removeSegment(files, odd);
  await makeEnd(files, codec, segments.slice(0, tail + 1), walks, torn.end);
  // Also the older ones: a broker that ran with a weaker sync mode may have left them unsynced.
  const kept = [...segments.slice(0, tail + 1), ...keep];
  for (const found of kept) await settle((done) => files.sync(found.handle, done));
  for (const found of segments) epoch = Math.max(epoch, found.header.epoch);
  return {
    segments: segments.slice(0, tail + 1),
    next: keep[0],
    unneeded: older,
    resume: resumeIn(segment, state.committed, epoch + 1, sequence),
    logId: segment.header.logId,
    cutBytes: torn.end - state.committed + torn.later,
    records,
  };
}

function resumeIn(found: FoundSegment, offset: number, epoch: number, sequence: number): Resume {
  const { base, bytes, header } = found;
  const resume: Resume = { base, offset, segmentBytes: bytes, epoch, sequence };
  return header.version === SEGMENT_VERSION_PLACED ? { ...resume, places: true } : resume;
}

function checkStart(oldest: FoundSegment, before: FoundSegment | undefined, start: Position): void {
  if (oldest.base <= start) return;
  const from = before === undefined ? start : Math.max(start, before.end);
  throw new LogError(
    'missing',
    `the log has no positions ${from} to ${oldest.base - 1}: the segments before ${oldest.name} are missing. Put them back, or, ${HOW_TO_REPAIR}. ${COPIED}`,
  );
}
