// The messages that a finished survey left live, in runs: for the tools that count (stat.ts) and
// that save (repair.ts).

import {
  MESSAGE_SIZE_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_PLACED,
} from '../../../assembly/layout.ts';
import { SequenceSet } from '../../core/collections/sequence-set.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { idsIn, type RecordedIds } from '../../core/records/ids.ts';
import {
  type Deferral,
  type Head,
  headBytesOf,
  holdsMessages,
  kindOf,
  readHead,
} from '../../core/records/placed.ts';
import {
  ATTEMPTS,
  BACK,
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  OFFSET,
  sequenceOf,
  TYPE,
} from '../../core/records/rows.ts';
import type { FilesToRead } from '../files/files.ts';
import { type ToolSegment, walkSegments } from './segment-walk.ts';
import type { Survey } from './survey.ts';

/** Neighbouring live messages of one record. */
export interface LiveRun {
  segment: ToolSegment;
  /** Position of its record, and of the batch that it belongs to. */
  position: Position;
  batch: Position;
  bucket: bigint;
  sequence: number;
  attempts: number;
  /** Of a placed record. */
  placed?: PlacedRun;
  /** Where each message's size and bytes stand in `chunk`, and where the last one ends. */
  offsets: number[];
  chunk: Uint8Array;
}

/** Ids of messages of a bucket that were published. */
export type BucketIds = RecordedIds & { low: number; high: number };

/** Messages of a placed record. */
export interface PlacedRun {
  kind: number;
  head: Head;
  /** Which message of the record is the first of the run. */
  first: number;
  /** Where the record's body stands in `chunk`, behind its header. */
  body: number;
  bodyBytes: number;
}

/**
 * The second pass: hands on what a finished survey left live, in the order of the log, each message
 * once. `chunk` is called when what was handed on may be used up; the pass goes on when it settles.
 */
export class LivePass {
  readonly #survey: Survey;
  readonly #taken = new SequenceSet();
  readonly #ids: BucketIds[] = [];
  /** Messages that were passed over because they are settled or not needed. */
  settled = 0;
  /** Records whose checksum holds over a body that cannot be: no accident of the disk. */
  readonly impossible: { segment: string; text: string }[] = [];

  constructor(survey: Survey) {
    this.#survey = survey;
  }

  /** What was deferred of the messages that were handed on, in the order of the log. */
  *deferrals(): Generator<Deferral> {
    for (const deferral of this.#survey.deferrals) {
      const { sequence: from, count: most } = deferral;
      for (const [sequence, count] of this.#taken.runs(from, from + most))
        yield { ...deferral, sequence, count };
    }
  }

  /** Ids that were passed since the last call, of messages none of which is lost. */
  ids(): BucketIds[] {
    return this.#ids.splice(0);
  }

  // Whoever publishes a message again that is lost must not be told that it is stored.
  #noteIds(
    segment: ToolSegment,
    rows: Uint32Array,
    at: number,
    base: Position,
    chunk: Uint8Array,
  ): void {
    const { start, torn, partial, doubtful } = this.#survey;
    const position = base + rows[at + OFFSET]!;
    const batch = position - rows[at + BACK]!;
    if (position < start || batch === torn?.position) return;
    if (partial.has(batch) || doubtful.has(batch)) return;
    // In a segment that was compacted their messages may be in other batches.
    const { header } = segment;
    if (header === undefined) return;
    if (header.end !== undefined && !this.#survey.isIntact(segment)) return;
    const ids = idsIn(rows, at, chunk, rows[at + OFFSET]! + RECORD_HEADER_BYTES);
    this.#ids.push({ ...ids, low: rows[at + BUCKET_LOW]!, high: rows[at + BUCKET_HIGH]! });
  }

  async read(
    files: FilesToRead,
    codec: RecordScanner,
    segment: ToolSegment,
    epoch: number,
    take: (run: LiveRun) => void,
    chunk?: () => Promise<void>,
  ): Promise<number> {
    const end = await walkSegments(
      files,
      codec,
      segment,
      epoch,
      {
        record: (rows, at, position, bytes) => {
          const type = rows[at + TYPE]!;
          if (holdsMessages(type)) this.#record(segment, rows, at, position, bytes, take);
          else if (type === RECORD_IDS) this.#noteIds(segment, rows, at, position, bytes);
        },
        commit: () => {},
        ...(chunk === undefined ? {} : { chunk }),
      },
      () => {},
    );
    return end.epoch;
  }

  #record(
    segment: ToolSegment,
    rows: Uint32Array,
    at: number,
    base: Position,
    chunk: Uint8Array,
    take: (run: LiveRun) => void,
  ): void {
    const { start, torn, attempts, settled } = this.#survey;
    const position = base + rows[at + OFFSET]!;
    const batch = position - rows[at + BACK]!;
    if (batch === torn?.position) return;
    const count = rows[at + COUNT]!;
    const first = sequenceOf(rows, at);
    const offsets = messageOffsets(rows, at, chunk);
    if (offsets === undefined) {
      const text = `the messages of the record at offset ${position - segment.base} do not fit in it: left out`;
      this.impossible.push({ segment: segment.name, text });
      return;
    }
    const placed = placedOf(rows, at, chunk);
    let run: LiveRun | undefined;
    for (let i = 0; i < count; i++) {
      const sequence = first + i;
      // A trim names a base of its writer's segments; one that a copy of the log has made of several
      // may stand for both sides of it, and where in it a record is says nothing then.
      const gone = segment.end <= start || settled.has(sequence);
      if (gone) this.settled++;
      if (gone || this.#taken.has(sequence)) {
        if (run !== undefined) take(run);
        run = undefined;
        continue;
      }
      this.#taken.add(sequence, 1);
      const delivered = attempts.get(sequence) || rows[at + ATTEMPTS]!;
      if (run !== undefined && run.attempts !== delivered) {
        take(run);
        run = undefined;
      }
      run ??= {
        segment,
        position,
        batch,
        bucket: (BigInt(rows[at + BUCKET_HIGH]!) << 32n) | BigInt(rows[at + BUCKET_LOW]!),
        sequence,
        ...(placed === undefined ? {} : { placed: { ...placed, first: i } }),
        attempts: delivered,
        offsets: [offsets[i]!],
        chunk,
      };
      run.offsets.push(offsets[i + 1]!);
    }
    if (run !== undefined) take(run);
  }
}

/** Messages in a run. */
export function countOf({ offsets }: LiveRun): number {
  return offsets.length - 1;
}

/** Payload bytes of a run, fields included. */
export function payloadOf({ offsets }: LiveRun): number {
  return offsets.at(-1)! - offsets[0]! - (offsets.length - 1) * MESSAGE_SIZE_BYTES;
}

function placedOf(
  rows: Uint32Array,
  at: number,
  chunk: Uint8Array,
): Omit<PlacedRun, 'first'> | undefined {
  if (rows[at + TYPE] !== RECORD_PLACED) return undefined;
  const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
  const head = readHead(new DataView(chunk.buffer, chunk.byteOffset), body);
  return { kind: kindOf(rows, at), head, body, bodyBytes: rows[at + BODY_BYTES]! };
}

// Where each message of a record begins, and where the last one ends; undefined if they do not fit.
function messageOffsets(rows: Uint32Array, at: number, chunk: Uint8Array): number[] | undefined {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
  const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
  const end = body + rows[at + BODY_BYTES]!;
  let to = body + headBytesOf(rows, at);
  const offsets = [to];
  for (let i = 0; i < rows[at + COUNT]!; i++) {
    if (to + MESSAGE_SIZE_BYTES > end) return undefined;
    to += MESSAGE_SIZE_BYTES + view.getUint32(to, true);
    if (to > end) return undefined;
    offsets.push(to);
  }
  return offsets;
}
