// Reads a log for the offline tools: like recovery, but it takes whatever is there, goes on behind
// every bad spot, and never changes a byte. It finds; verify.ts judges.

import { RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { BACK, BODY_BYTES, EPOCH } from '../../core/records/rows.ts';
import { LogError } from '../files/errors.ts';
import type { FilesToRead } from '../files/files.ts';
import { list, open, settle } from '../files/promises.ts';
import {
  type From,
  headers,
  readFully,
  type Scannable,
  type Visitor,
  type Walk,
  walk,
} from '../scan/scan.ts';
import { findKey } from '../segments/log-key.ts';
import {
  baseOf,
  decodeHeader,
  endOf,
  isTemporary,
  keyOf,
  type SegmentHeader,
} from '../segments/segment.ts';

/** Something wrong with a file as a whole. */
export interface FileProblem {
  code: 'damaged' | 'version' | 'io';
  text: string;
}

export interface ToolSegment extends Scannable {
  /** Undefined if it does not hold; then base and size are those of the file. */
  header: SegmentHeader | undefined;
  /** Position at which the next segment begins. */
  end: Position;
  fileBytes: number;
  /** Its first bytes as they are, as far as they could be read: what look.ts knows it by. */
  head?: Uint8Array;
  /** Its name was listed, but led nowhere when it was opened. */
  gone?: boolean;
  problems: FileProblem[];
  /** It belongs elsewhere, or its format is unknown: its records are not looked at. */
  skip: boolean;
}

export interface ToolInventory {
  segments: ToolSegment[];
  /** Undefined if no header says it. */
  logId: bigint | undefined;
  /** Half-made files, and segments that a compacted one stands for. */
  leftovers: string[];
  foreign: string[];
}

/** Opens every segment file, noting what is wrong instead of refusing it. Throws what `list` says. */
export async function openForTools(files: FilesToRead): Promise<ToolInventory> {
  const inventory: ToolInventory = { segments: [], logId: undefined, leftovers: [], foreign: [] };
  for (const name of (await list(files)).sort()) {
    const base = baseOf(name);
    if (base !== undefined) inventory.segments.push(await openOne(files, name, base));
    else if (isTemporary(name)) inventory.leftovers.push(name);
    else inventory.foreign.push(name);
  }
  const newest = inventory.segments.at(-1);
  if (
    newest !== undefined &&
    newest.fileBytes === 0 &&
    newest.handle >= 0 &&
    inventory.segments.length > 1
  ) {
    inventory.segments.pop();
    await settle((done) => files.close(newest.handle, done));
    inventory.leftovers.push(newest.name);
  }
  await dropSuperseded(files, inventory);
  await assignKeys(files, inventory);
  return inventory;
}

// Puts what a compacted segment stands for among the leftovers.
async function dropSuperseded(files: FilesToRead, inventory: ToolInventory): Promise<void> {
  const kept: ToolSegment[] = [];
  for (const segment of inventory.segments) {
    const by = kept.findLast(({ header }) => header !== undefined)?.header;
    const within = by?.end !== undefined && segment.base < by.end && segment.end <= by.end;
    if (!within || (segment.header !== undefined && segment.header.logId !== by.logId)) {
      kept.push(segment);
      continue;
    }
    inventory.leftovers.push(segment.name);
    if (segment.handle >= 0) await settle((done) => files.close(segment.handle, done));
  }
  inventory.segments = kept;
}

// Most headers decide which log it is; a segment whose header does not hold is read as if it
// belonged to it. Without any header the records tell the key.
async function assignKeys(files: FilesToRead, inventory: ToolInventory): Promise<void> {
  const { segments } = inventory;
  const counts = new Map<bigint, number>();
  for (const { header } of segments)
    if (header !== undefined) counts.set(header.logId, (counts.get(header.logId) ?? 0) + 1);
  const most = Math.max(...counts.values());
  const first = segments.find(({ header }) => counts.get(header?.logId ?? -1n) === most);
  let logId = first?.header?.logId;
  let key = logId === undefined ? 0 : keyOf(logId);
  if (first === undefined) {
    const readable = segments.filter(({ handle }) => handle >= 0);
    // What cannot be read is told when the segment itself is.
    const found = await findKey(files, readable).catch(() => undefined);
    if (found !== undefined) ({ key, logId } = found);
  }
  inventory.logId = logId;
  for (const segment of segments) {
    segment.key = key;
    if (segment.header === undefined || segment.header.logId === logId) continue;
    segment.skip = true;
    segment.problems.push({ code: 'damaged', text: `belongs to another log than ${first!.name}` });
  }
}

async function openOne(files: FilesToRead, name: string, base: number): Promise<ToolSegment> {
  const segment: ToolSegment = {
    name,
    base,
    bytes: 0,
    handle: -1,
    key: 0,
    header: undefined,
    end: base,
    fileBytes: 0,
    problems: [],
    skip: false,
  };
  try {
    const { handle, bytes } = await open(files, name);
    segment.handle = handle;
    segment.fileBytes = bytes;
    segment.bytes = bytes;
    segment.end = base + bytes;
    const head = new Uint8Array(SEGMENT_HEADER_BYTES);
    segment.head = head.subarray(0, await readFully(files, handle, head, 0));
    segment.header = decodeHeader(segment.head, name);
    segment.bytes = segment.header.bytes;
    segment.end = endOf(segment.header);
  } catch (error) {
    segment.problems.push(problemOf(error));
    segment.gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
    segment.skip = segment.handle < 0 || segment.problems[0]!.code === 'version';
    return segment;
  }
  if (segment.header.base !== base) {
    segment.skip = true;
    const text = `holds the segment of position ${segment.header.base}: it was renamed or copied`;
    segment.problems.push({ code: 'damaged', text });
  } else if (segment.fileBytes < segment.bytes) {
    const text = `has ${segment.fileBytes} bytes, its header says ${segment.bytes}: it was cut short`;
    segment.problems.push({ code: 'damaged', text });
  }
  return segment;
}

/** What an error says of a file; anything that is neither the log's nor the system's is thrown on. */
export function problemOf(error: unknown): FileProblem {
  const { message, code, syscall } = error as NodeJS.ErrnoException;
  if (syscall !== undefined) return { code: 'io', text: message };
  if (!(error instanceof LogError) || code === 'missing') throw error;
  return { code: code as FileProblem['code'], text: message };
}

/** Adds what an error says of a segment, once. */
export function noteProblem({ problems }: ToolSegment, error: unknown): void {
  const problem = problemOf(error);
  if (!problems.some(({ text }) => text === problem.text)) problems.push(problem);
}

/** Bytes that are no valid continuation of the log, or where it ends. */
export interface Gap {
  /** First byte that is not part of a valid record. */
  offset: number;
  /** Where the batch began that is incomplete here; `offset` if none is. */
  batch: number;
  /** Bytes of the record whose header holds at `offset`, but whose body does not; else 0. */
  begun: number;
  /** Offset of the next valid record, or the end of the segment if there is none. */
  end: number;
  /** Whether there is one. */
  goesOn: boolean;
  epoch: number;
}

export interface WalkEnd {
  /** The last batch said that the log goes on in the next segment. */
  last: boolean;
  epoch: number;
}

/**
 * Visits every valid record of a segment from `epoch` on; `gap` is called before what follows it is
 * visited, and once at the end unless the segment was closed by its last batch.
 */
export async function walkSegments(
  files: FilesToRead,
  codec: RecordScanner,
  segment: ToolSegment,
  epoch: number,
  visitor: Visitor,
  gap: (gap: Gap) => void,
): Promise<WalkEnd> {
  let highest = epoch;
  let from: From | undefined;
  for (;;) {
    const state = await walk(files, codec, segment, highest, visitor, from);
    highest = state.epoch;
    if (state.last) return { last: true, epoch: highest };
    const found: Gap = {
      offset: state.stopped,
      batch: state.committed,
      begun: 0,
      end: segment.bytes,
      goesOn: false,
      epoch: highest,
    };
    from = undefined;
    for await (const offset of headers(files, codec, segment, state.stopped)) {
      if (codec.rows[EPOCH]! < highest) continue; // left over from an older life of the broker
      if (offset === state.stopped) {
        const whole = RECORD_HEADER_BYTES + Math.ceil(codec.rows[BODY_BYTES]! / 8) * 8;
        found.begun = Math.min(whole, segment.bytes - offset);
        continue;
      }
      found.end = offset;
      found.goesOn = true;
      from = { offset, batch: offset - codec.rows[BACK]! };
      break;
    }
    // In a log in service what was missing may have been written since.
    let unread: unknown;
    const isMoving =
      found.goesOn &&
      (await goesOnAt(files, codec, segment, highest, state).catch((error) => {
        unread = error;
        return false;
      }));
    if (isMoving) {
      from = { offset: state.stopped, batch: state.committed };
      continue;
    }
    gap(found);
    if (unread !== undefined) throw unread;
    if (from === undefined) return { last: false, epoch: highest };
  }
}

const GLANCE_BYTES = 64 * 1024;
const NOBODY: Visitor = { record: () => {}, commit: () => {}, chunkBytes: () => GLANCE_BYTES };

/** Whether a record that continues the log stands where a walk stopped. */
export async function goesOnAt(
  files: FilesToRead,
  codec: RecordScanner,
  segment: ToolSegment,
  epoch: number,
  { stopped, committed }: Pick<Walk, 'stopped' | 'committed'>,
): Promise<boolean> {
  const from = { offset: stopped, batch: committed };
  const { records } = await walk(files, codec, segment, epoch, NOBODY, from);
  return records > 0;
}
