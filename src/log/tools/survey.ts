// What a log says as a whole, bad spots or not: which messages are settled, how often they were
// delivered, where it ends. The first pass of the tools that count (stat.ts) and that save
// (repair.ts); live-pass.ts is the second. Memory is about a bit for each settled message.
//
// A batch counts if its commit record is found, or anything of a later batch: then the commit may
// be what was lost, and what it closed was acked. Only the one it ends in does not (FORMAT.md).

import {
  MESSAGE_SIZE_BYTES,
  RECORD_COMMIT,
  RECORD_DEFERRED,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_PRODUCERS,
  RECORD_RETURNED,
  RECORD_SETTLED,
  RECORD_START,
  RECORD_TRIM,
} from '../../../assembly/layout.ts';
import { AttemptCounts, SequenceSet } from '../../core/collections/sequence-set.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { marksIn } from '../../core/records/marks.ts';
import {
  type Deferral,
  deferralsIn,
  headBytesOf,
  holdsMessages,
  readHead,
  settlesFrom,
} from '../../core/records/placed.ts';
import {
  BACK,
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  EPOCH,
  OFFSET,
  sequenceOf,
  TYPE,
} from '../../core/records/rows.ts';
import type { FilesToRead } from '../files/files.ts';
import type { Look, Looked } from './look.ts';
import type { ToolSegment } from './segment-walk.ts';
import { type Findings, type Suspect, Verifier, type VerifyReport } from './verify.ts';

/** Messages of a batch whose commit record was not found. */
export interface OpenBatch {
  segment: ToolSegment;
  /** Position at which it begins. */
  position: Position;
  messages: number;
  /** Sequences of those that are there: from (inclusive) to (exclusive); equal if none are. */
  fromSequence: number;
  toSequence: number;
  /** Records of it that are there. */
  records: number;
}

const SUMS = [
  'torn',
  'nextSequence',
  'payloadBytes',
  'bodyBytesMax',
  'firstEpoch',
  'lastEpoch',
  'starts',
  'firstMs',
  'lastMs',
] as const;

const NONE = { messages: 0, fromSequence: 0, toSequence: 0, records: 0 };
// What was known before a segment was read.
interface Before {
  base: Position;
  sums: Pick<Survey, (typeof SUMS)[number]>;
  open: OpenBatch | undefined;
  marks: Mark[];
  trim: Position;
}

type Mark = { type: number; sequence: number; count: number; attempts: number } & Partial<Deferral>;

/** The first pass. `read` the segments oldest first, then `finish`. */
export class Survey {
  readonly settled = new SequenceSet();
  readonly attempts = new AttemptCounts();
  /** What was deferred, in the order of the log. */
  readonly deferrals: Deferral[] = [];
  /** Batches without a commit record that may have been acked, by position. */
  readonly doubtful = new Map<Position, OpenBatch>();
  /** The batch that the log ends in, which was never acked. */
  torn: OpenBatch | undefined;
  /** Nothing before this position is needed. */
  start: Position = 0;
  nextSequence = 1;
  payloadBytes = 0;
  /** Largest body of a record of messages, in bytes. */
  bodyBytesMax = 0;
  /** Epochs seen; both 0 if none was. */
  firstEpoch = 0;
  lastEpoch = 0;
  /** Starts of a broker. */
  starts = 0;
  /** Wall clock of the first and last record that says one, ms since 1970. */
  firstMs: bigint | undefined;
  lastMs: bigint | undefined;
  /** By segment: the sequences that can be in it, from (inclusive) to (exclusive), if known. */
  readonly sequences = new Map<ToolSegment, { from: number; to: number }>();
  readonly #verifier = new Verifier();
  #open: OpenBatch | undefined;
  #marks: Mark[] = [];
  #trim = 0;
  readonly #before: Before[] = [];
  readonly partial = new Set<Position>(); // batches of which a record is lost, but not the last

  /** Reads the next segment; gives whether the log says that it goes on behind it. */
  read(files: FilesToRead, codec: RecordScanner, segment: ToolSegment): Promise<boolean> {
    const { base, header, skip } = segment;
    this.#save(base);
    if (!skip) this.start = Math.max(this.start, header?.start ?? 0);
    return this.#verifier.read(files, codec, segment, {
      record: (rows, at, chunk, bytes) => this.#record(segment, rows, at, chunk, bytes),
      commit: () => this.#count(),
    });
  }

  #save(base: Position): void {
    const sums = Object.fromEntries(SUMS.map((name) => [name, this[name]])) as Before['sums'];
    const open = this.#open && { ...this.#open };
    this.#before.push({ base, sums, open, marks: [...this.#marks], trim: this.#trim });
  }

  /** What look.ts does with this survey. */
  look(files: FilesToRead, codec: RecordScanner): Look {
    return {
      read: (segment) => this.read(files, codec, segment),
      backTo: (base) => this.#backTo(base),
      pass: (segment) => {
        this.#save(segment.base);
        this.#verifier.pass(segment);
      },
      doubt: () => this.#verifier.doubt(files, codec),
    };
  }

  // Counts begin again there; marks and what is needed hold wherever they were read.
  #backTo(base: Position): void {
    this.#verifier.backTo(base);
    const at = this.#before.findIndex((before) => before.base >= base);
    const before = this.#before[at];
    if (before === undefined) return;
    this.#before.splice(at);
    Object.assign(this, before.sums);
    this.#open = before.open;
    this.#marks = before.marks;
    this.#trim = before.trim;
    for (const position of this.doubtful.keys())
      if (position >= base) this.doubtful.delete(position);
    for (const segment of this.sequences.keys())
      if (segment.base >= base) this.sequences.delete(segment);
  }

  /**
   * Bytes that something stood in once, and that are needed: behind them are valid records, or
   * their file's end is gone.
   */
  lost(): Suspect[] {
    return this.#verifier.suspects.filter(
      ({ segment, goesOn, toSequence, proved }) =>
        segment.end > this.start &&
        (goesOn || proved || toSequence !== undefined || segment.fileBytes < segment.bytes),
    );
  }

  /** Whether all of a segment is as it was written. */
  isIntact = ({ base }: ToolSegment): boolean =>
    !this.#verifier.suspects.some(({ segment }) => segment.base === base);

  /** Gives what `log verify` says. */
  report(looked: Looked): VerifyReport {
    this.#end();
    return this.#verifier.reportOf(looked);
  }

  /** The same of segments that nobody changes. */
  finish(): Findings {
    this.#end();
    return this.#verifier.report();
  }

  #end(): void {
    const open = this.#open;
    if (open !== undefined) {
      // The file's end is gone, and what stood there may have been the commit.
      const short = open.segment.fileBytes < open.segment.bytes;
      if (short) this.#doubt(open);
      else this.torn = open;
    }
  }

  #record(
    segment: ToolSegment,
    rows: Uint32Array,
    at: number,
    chunk: Position,
    bytes: Uint8Array,
  ): void {
    const type = rows[at + TYPE]!;
    const batch = chunk + rows[at + OFFSET]! - rows[at + BACK]!;
    if (this.#open !== undefined && this.#open.position !== batch) this.#doubt(this.#open);
    this.#open ??= { segment, position: batch, ...NONE };
    this.#noteEpoch(rows[at + EPOCH]!, type);
    const count = rows[at + COUNT]!;
    const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
    if (holdsMessages(type)) {
      this.#noteMessages(this.#open, sequenceOf(rows, at), count, rows[at + BODY_BYTES]!);
      const around = headBytesOf(rows, at) + count * MESSAGE_SIZE_BYTES;
      this.payloadBytes += rows[at + BODY_BYTES]! - around;
      if (settlesFrom(rows, at)) {
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const { from } = readHead(view, body);
        this.#marks.push({ type: RECORD_SETTLED, sequence: from, count, attempts: 0 });
      }
    } else if (type === RECORD_SETTLED || type === RECORD_RETURNED) {
      this.#stage(type, bytes, body, count);
    } else if (type === RECORD_DEFERRED) {
      for (const each of deferralsIn(bytes, body, count)) this.#marks.push({ type, ...each });
    } else if (type === RECORD_PRODUCERS || type === RECORD_IDS) {
      // Numbers and hashes: no message is found or lost by them.
    } else if (type === RECORD_TRIM) {
      this.#trim = Math.max(this.#trim, sequenceOf(rows, at));
    } else {
      // A commit or a start: a scan hands on no other type.
      if (type === RECORD_COMMIT && count !== this.#open.records) this.partial.add(batch);
      this.#noteSequences(segment, sequenceOf(rows, at), 0);
      this.#noteTime((BigInt(rows[at + BUCKET_HIGH]!) << 32n) | BigInt(rows[at + BUCKET_LOW]!));
    }
    this.#open.records++;
  }

  #noteEpoch(epoch: number, type: number): void {
    if (this.firstEpoch === 0) this.firstEpoch = epoch;
    this.lastEpoch = epoch;
    if (type === RECORD_START) this.starts++;
  }

  #noteMessages(open: OpenBatch, sequence: number, count: number, bodyBytes: number): void {
    if (open.messages === 0) open.fromSequence = sequence;
    open.messages += count;
    open.toSequence = sequence + count;
    this.bodyBytesMax = Math.max(this.bodyBytesMax, bodyBytes);
    this.#noteSequences(open.segment, sequence, count);
  }

  #noteSequences(segment: ToolSegment, sequence: number, count: number): void {
    const known = this.sequences.get(segment);
    if (known === undefined) this.sequences.set(segment, { from: sequence, to: sequence + count });
    else known.to = Math.max(known.to, sequence + count);
    this.nextSequence = Math.max(this.nextSequence, sequence + count);
  }

  #noteTime(ms: bigint): void {
    this.firstMs ??= ms;
    this.lastMs = ms;
  }

  #stage(type: number, bytes: Uint8Array, body: number, count: number): void {
    for (const mark of marksIn(bytes, body, count)) this.#marks.push({ type, ...mark });
  }

  #noteDeferral(deferral: Deferral): void {
    const { sequence, count, attempts } = deferral;
    this.deferrals.push(deferral);
    for (let at = sequence; at < sequence + count; at++)
      if (this.attempts.get(at) < attempts) this.attempts.set(at, 1, attempts);
  }

  // Something of a later batch is there, so this one was written as a whole once.
  #doubt(open: OpenBatch): void {
    this.doubtful.set(open.position, open);
    this.#count();
  }

  // What the open batch says holds.
  #count(): void {
    for (const mark of this.#marks) {
      const { type, sequence, count, attempts } = mark;
      if (type === RECORD_SETTLED) this.settled.add(sequence, count);
      else if (type === RECORD_RETURNED) this.attempts.set(sequence, count, attempts);
      else this.#noteDeferral(mark as Deferral);
    }
    this.start = Math.max(this.start, this.#trim);
    this.#marks = [];
    this.#trim = 0;
    this.#open = undefined;
  }
}
