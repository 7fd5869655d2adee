// Reads the log back at start and decides what its end is: clean, a torn tail that was never acked
// (cut off), or damage to acked data (refused, nothing changed). FORMAT.md says why this is safe.
//
//   bad spot in a segment      valid record of a later batch behind it      verdict
//   none, ends with LAST       next segment is there                        go on with the next
//   none, ends with LAST       next segment is missing                      missing
//   any                        in the same segment, with proof              damaged
//   any                        in any later segment                         damaged
//   any                        nowhere                                      torn: cut here

import { SEGMENT_DATA_AT, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import type { Resume } from '../core/commit.ts';
import type { Codec, Position } from '../core/ports.ts';
import { RECORD_TRIM } from '../../assembly/layout.ts';
import { sequenceOf, TYPE } from '../core/rows.ts';
import { LogError } from './errors.ts';
import type { Files } from './files.ts';
import { list, open, settle, write } from './promises.ts';
import { lookBeyond, readFully, type Scannable, type Visitor, walk, type Walk } from './scan.ts';
import { baseOf, decodeHeader, type SegmentHeader } from './segment.ts';

/** Takes the records of the log in order; core/replay.ts. */
export interface Sink extends Visitor {
  segment(base: Position): void;
  /** What was seen since the last commit never happened. */
  drop(): void;
}

export interface FoundSegment extends Scannable {
  header: SegmentHeader;
}

/** The files of a log directory, opened and checked against each other. */
export interface Inventory {
  segments: FoundSegment[];
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
  logId: bigint;
  /** Bytes of un-acked records that were cut off. */
  cutBytes: number;
  records: number;
}

/** Opens the segments and checks names, headers and order. Throws LogError; changes nothing. */
export async function takeInventory(files: Files): Promise<Inventory> {
  const inventory: Inventory = { segments: [], leftovers: [], foreign: [] };
  const names = (await list(files)).sort();
  const bases = names.filter((name) => baseOf(name) !== undefined);
  for (const name of names) {
    if (name.endsWith('.tmp')) inventory.leftovers.push(name);
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
    const header = decodeHeader(head.subarray(0, got), name);
    inventory.segments.push({ name, base: header.base, bytes: header.bytes, handle, header });
    if (header.base !== baseOf(name))
      throw new LogError('damaged', `${name} holds the segment of position ${header.base}: it was renamed or copied. Give it back its name`);
    if (bytes < header.bytes)
      throw new LogError('damaged', `${name} has ${bytes} bytes, its header says ${header.bytes}: it was cut short`);
  }
  checkOrder(inventory.segments);
  return inventory;
}

function checkOrder(segments: FoundSegment[]): void {
  const [first] = segments;
  if (first === undefined) return;
  let end = first.base;
  for (const segment of segments) {
    if (segment.header.logId !== first.header.logId)
      throw new LogError('damaged', `${segment.name} belongs to another log than ${first.name}: remove what does not belong here`);
    if (segment.base > end)
      throw new LogError('missing', `the log has no positions ${end} to ${segment.base - 1}: the segment before ${segment.name} is missing. Put it back, or run: thrustmq log repair`);
    if (segment.base < end)
      throw new LogError('damaged', `${segment.name} overlaps the segment before it`);
    end = segment.base + segment.bytes;
  }
}

/**
 * Reads the whole log into `sink`, repairs its tail and says where to go on. Before anything is
 * served, what only the page cache may hold is written again and synced. Throws LogError.
 */
export async function recover(
  files: Files,
  codec: Codec,
  inventory: Inventory,
  sink: Sink,
  progress: (done: number, total: number) => void,
): Promise<Recovered> {
  const { segments } = inventory;
  let epoch = 0;
  let sequence = 1;
  let records = 0;
  let start = 0;
  let tail = 0;
  let state: Walk | undefined;
  const visitor: Visitor = {
    record: (rows, at, chunk, bytes) => {
      if (rows[at + TYPE] === RECORD_TRIM) start = Math.max(start, sequenceOf(rows, at));
      sink.record(rows, at, chunk, bytes);
    },
    commit: () => sink.commit(),
  };
  for (tail = 0; tail < segments.length; tail++) {
    const segment = segments[tail]!;
    start = Math.max(start, segment.header.start);
    sink.segment(segment.base);
    state = await walk(files, codec, segment, epoch, visitor);
    sink.drop();
    epoch = state.epoch;
    if (state.sequence >= 0) sequence = state.sequence;
    records += state.records;
    progress(tail + 1, segments.length);
    if (!state.last) break;
  }
  if (state === undefined) throw new LogError('missing', 'the log has no segments');
  if (tail === segments.length) {
    const { name } = segments[tail - 1]!;
    throw new LogError('missing', `the log goes on after ${name}, but that segment is missing. Put it back, or run: thrustmq log repair`);
  }
  checkStart(segments[0]!, start);
  const segment = segments[tail]!;
  const cutBytes = await cutTail(files, codec, segment, state, segments.slice(tail + 1));
  // Also the older ones: a broker that ran with a weaker sync mode may have left them unsynced.
  for (const found of segments) await settle((done) => files.sync(found.handle, done));
  for (const found of segments) epoch = Math.max(epoch, found.header.epoch);
  const { base, bytes } = segment;
  return {
    segments: segments.slice(0, tail + 1),
    next: segments[tail + 1],
    resume: { base, offset: state.committed, segmentBytes: bytes, epoch: epoch + 1, sequence },
    logId: segment.header.logId,
    cutBytes,
    records,
  };
}

function checkStart(oldest: FoundSegment, start: Position): void {
  if (oldest.base <= start) return;
  throw new LogError('missing', `the log has no positions ${start} to ${oldest.base - 1}: the segments before ${oldest.name} are missing. Put them back, or run: thrustmq log repair`);
}

// Proves that what follows the last complete batch was never acked, and makes an end of it.
async function cutTail(
  files: Files,
  codec: Codec,
  segment: FoundSegment,
  state: Walk,
  later: FoundSegment[],
): Promise<number> {
  const bad = state.stopped;
  const beyond = await lookBeyond(files, codec, segment, state.committed, bad, state.epoch);
  if (beyond.proof >= 0) throw damaged(segment, state, `the record at offset ${beyond.proof} behind it was written after it had been synced`);
  for (const next of later) {
    const found = await lookBeyond(files, codec, next, SEGMENT_DATA_AT, 0, state.epoch);
    if (found.records) throw damaged(segment, state, `${next.name} behind it holds records`);
  }
  if (later.length > 1) throw new LogError('damaged', `${later.length} empty segments follow ${segment.name}, where one is possible: remove what does not belong here`);
  const proved = Math.max(state.provedTo, SEGMENT_DATA_AT);
  await rewrite(files, codec, segment, proved, state.committed);
  const cut = beyond.records ? segment.bytes - state.committed : 0;
  if (cut > 0) await zero(files, segment, state.committed);
  return cut === 0 ? 0 : Math.max(bad - state.committed, 8);
}

function damaged(segment: FoundSegment, state: Walk, proof: string): LogError {
  return new LogError(
    'damaged',
    `${segment.name} is damaged at offset ${state.stopped} (log position ${segment.base + state.stopped}, after sequence ${state.sequence}): the bytes there are not what was written and acked; ${proof}. Nothing was changed. Restore the file from a copy, or run: thrustmq log verify, then thrustmq log repair`,
  );
}

// After a failed sync the system may show bytes that are not on disk and call them clean; writing
// them again makes them dirty, so that the sync that follows means something.
async function rewrite(
  files: Files,
  codec: Codec,
  segment: FoundSegment,
  from: number,
  to: number,
): Promise<void> {
  for (let at = from; at < to; ) {
    const bytes = codec.memory.subarray(0, Math.min(to - at, 8 * 1024 * 1024));
    const got = await readFully(files, segment.handle, bytes, at);
    if (got === 0) throw new LogError('io', `${segment.name} ended while it was read`);
    await write(files, segment.handle, bytes.subarray(0, got), at);
    at += got;
  }
}

async function zero(files: Files, segment: FoundSegment, from: number): Promise<void> {
  const zeros = new Uint8Array(1024 * 1024);
  for (let at = from; at < segment.bytes; at += zeros.length) {
    const bytes = zeros.subarray(0, Math.min(zeros.length, segment.bytes - at));
    await write(files, segment.handle, bytes, at);
  }
}

