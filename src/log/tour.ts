// Reads a log for the offline tools: like recovery, but it takes whatever is there, goes on behind
// every bad spot, and never changes a byte. It finds; verify.ts judges.

import { RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import type { Codec } from '../core/ports.ts';
import { BACK, BODY_BYTES, EPOCH } from '../core/rows.ts';
import { LogError } from './errors.ts';
import type { Files } from './files.ts';
import { list, open } from './promises.ts';
import { type From, headers, readFully, type Scannable, type Visitor, walk } from './scan.ts';
import { baseOf, decodeHeader, isTemporary, keyOf, type SegmentHeader } from './segment.ts';

/** Something wrong with a file as a whole. */
export interface FileProblem {
  code: 'damaged' | 'version' | 'io';
  text: string;
}

export interface ToolSegment extends Scannable {
  /** Undefined if it does not hold; then base and size are those of the file. */
  header: SegmentHeader | undefined;
  fileBytes: number;
  problems: FileProblem[];
  /** It belongs elsewhere, or its format is unknown: its records are not looked at. */
  skip: boolean;
}

export interface ToolInventory {
  segments: ToolSegment[];
  leftovers: string[];
  foreign: string[];
}

/** Opens every segment file, noting what is wrong instead of refusing it. Throws what `list` says. */
export async function openForTools(files: Files): Promise<ToolInventory> {
  const inventory: ToolInventory = { segments: [], leftovers: [], foreign: [] };
  for (const name of (await list(files)).sort()) {
    const base = baseOf(name);
    if (base !== undefined) inventory.segments.push(await openOne(files, name, base));
    else if (isTemporary(name)) inventory.leftovers.push(name);
    else inventory.foreign.push(name);
  }
  const newest = inventory.segments.at(-1);
  if (newest !== undefined && newest.fileBytes === 0 && inventory.segments.length > 1) {
    inventory.segments.pop();
    inventory.leftovers.push(newest.name);
  }
  const first = inventory.segments.find(({ header }) => header !== undefined);
  // A segment whose header does not hold is read as if it belonged to the others.
  for (const segment of inventory.segments) segment.key = keyOf(first?.header?.logId ?? 0n);
  for (const segment of inventory.segments) {
    if (segment.header === undefined || segment.header.logId === first?.header?.logId) continue;
    segment.skip = true;
    segment.problems.push({ code: 'damaged', text: `belongs to another log than ${first?.name}` });
  }
  return inventory;
}

async function openOne(files: Files, name: string, base: number): Promise<ToolSegment> {
  const segment: ToolSegment = {
    name,
    base,
    bytes: 0,
    handle: -1,
    key: 0,
    header: undefined,
    fileBytes: 0,
    problems: [],
    skip: false,
  };
  try {
    const { handle, bytes } = await open(files, name);
    segment.handle = handle;
    segment.fileBytes = bytes;
    segment.bytes = bytes;
    const head = new Uint8Array(SEGMENT_HEADER_BYTES);
    const got = await readFully(files, handle, head, 0);
    segment.header = decodeHeader(head.subarray(0, got), name);
    segment.bytes = segment.header.bytes;
  } catch (error) {
    segment.problems.push(problemOf(error));
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

export interface TourEnd {
  /** The last batch said that the log goes on in the next segment. */
  last: boolean;
  epoch: number;
}

/**
 * Visits every valid record of a segment from `epoch` on; `gap` is called before what follows it is
 * visited, and once at the end unless the segment was closed by its last batch.
 */
export async function tour(
  files: Files,
  codec: Codec,
  segment: ToolSegment,
  epoch: number,
  visitor: Visitor,
  gap: (gap: Gap) => void,
): Promise<TourEnd> {
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
    gap(found);
    if (from === undefined) return { last: false, epoch: highest };
  }
}
