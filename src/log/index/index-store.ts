// What the log keeps on disk beside its segments, to find things in them without reading them: an
// index for each complete segment (indexes.ts), and a checkpoint of what they come to
// (checkpoint.ts). All of it is a cache: what is missing or wrong is made again from the segments.

import { RECORD_CRC_AT, RECORD_HEADER_BYTES, SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import type { EntrySource, Failure, Found } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import type { IndexQuery } from '../../core/ports/segment-index.ts';
import type { CheckpointSource } from '../../core/ports/upkeep.ts';
import { type Files, isNoSpace } from '../files/files.ts';
import { settle } from '../files/promises.ts';
import type { Throttle } from '../files/throttle.ts';
import { readFully } from '../scan/scan.ts';
import {
  type Checkpoint,
  type CheckpointState,
  encodeCheckpoint,
  type KnownSegment,
  readCheckpoint,
  writeCheckpoint,
} from './checkpoint.ts';
import { givenUp, isGivenUp } from './given-up.ts';
import type { Indexed } from './indexed.ts';
import { Indexes } from './indexes.ts';
import { isPendingPlace, PendingIndexes } from './pending-indexes.ts';
import { entriesOf } from './reindex.ts';

export interface IndexStoreOptions {
  /** The folder of the indexes. */
  files: Files;
  /** The folder of the segments. */
  segmentFiles: Files;
  logId: bigint;
  hashSeed: number;
  crc32c: (bytes: Uint8Array) => number;
  /** Calls back once, soon, after other work had its turn. */
  soon: (call: () => void) => void;
  /** How indexes are made beside what is published. */
  pace: Throttle;
  /** A codec of its own for reading segments beside the broker; made when it is first needed. */
  sideCodec: () => RecordScanner;
  note: (level: 'info' | 'warn' | 'error', text: string) => void;
  /** When a checkpoint is due; default CHECKPOINT_DUE. */
  checkpointDue?: CheckpointDue | undefined;
  /** Bytes of tables kept in memory (indexes.ts). */
  tableBytesMax?: number | undefined;
  /** An index found no space: some should be made, if there is any to give. */
  noSpace?: (() => void) | undefined;
}

/** How far the log grows before the next checkpoint is written: by whatever is more. */
export interface CheckpointDue {
  /** Bytes of log. */
  bytes: number;
  /** Times the size of the last checkpoint. */
  sizes: number;
}

const CHECKPOINT_DUE: CheckpointDue = { bytes: 256 * 1024 * 1024, sizes: 16 };

export class IndexStore {
  readonly #options: IndexStoreOptions;
  readonly runs: Indexes; // each of one state of a segment, whatever is being made of it
  // Segments whose index is being made again, and who waits for it.
  readonly #making = new Map<number, ((failure: Failure) => void)[]>();
  readonly #held = new PendingIndexes();
  #retrying = false;
  #saving = false;
  #savedAt = Number.NEGATIVE_INFINITY;
  #savedBytes = 0;
  #checkpoint: Checkpoint | undefined;
  #alone: Promise<void> = Promise.resolve();
  #closed = false;
  #onSaved: (() => void) | undefined;
  readonly #known = new Map<number, KnownSegment>();

  constructor(options: IndexStoreOptions) {
    const { files, logId, hashSeed, crc32c, soon, pace, tableBytesMax } = options;
    this.#options = options;
    this.runs = new Indexes({ files, logId, hashSeed, crc32c, soon, pace, tableBytesMax });
  }

  /** Bytes of indexes on disk. */
  get bytes(): number {
    return this.runs.bytes;
  }

  /**
   * Finds out what there is, given the segments on disk, oldest first. Gives the checkpoint if one
   * can be believed.
   */
  async open(segments: readonly Indexed[]): Promise<Checkpoint | undefined> {
    const { files, logId, crc32c, note } = this.#options;
    await settle((done) => this.runs.open(done));
    const bases = new Set(segments.map(({ base }) => base));
    for (const base of this.runs.bases) if (!bases.has(base)) this.runs.drop(base);
    const checkpoint = await readCheckpoint(files, logId, crc32c);
    // One of a log without complete segments says nothing.
    if (checkpoint === undefined || checkpoint.segments.length === 0) return undefined;
    if (!(await this.#precedes(checkpoint, segments))) {
      note('warn', 'the checkpoint does not fit the log and is not used: the log is read whole');
      return undefined;
    }
    this.#checkpoint = checkpoint;
    for (const known of checkpoint.segments) this.#known.set(known.base, known);
    return checkpoint;
  }

  // Whether the log goes on behind the checkpoint as it did when that was written. If somebody put
  // back an older copy of the log, it would say of messages yet to come that they are settled; also
  // if that copy has grown past the place since.
  async #precedes(checkpoint: Checkpoint, segments: readonly Indexed[]): Promise<boolean> {
    const last = checkpoint.segments.at(-1)!;
    const at = segments.findIndex(({ base }) => base === last.base);
    const behind = segments[at + 1];
    if (at < 0 || behind === undefined) return false;
    if (segments[at]!.identity !== last.identity) return false;
    const codec = this.#options.sideCodec();
    codec.setKey(behind.key);
    const head = codec.memory.subarray(0, RECORD_HEADER_BYTES);
    const got = await readFully(this.#options.segmentFiles, behind.handle, head, SEGMENT_DATA_AT);
    if (got < RECORD_HEADER_BYTES) return false;
    if (crcOf(head) !== checkpoint.behind) return false;
    return codec.seek(0, RECORD_HEADER_BYTES, behind.base + SEGMENT_DATA_AT) === 0;
  }

  /** What the checkpoint knows of a segment whose index is there, too. */
  async known(segment: Indexed): Promise<KnownSegment | undefined> {
    const known = this.#known.get(segment.base);
    if (this.#checkpoint === undefined || known?.identity !== segment.identity) return undefined;
    // Nobody will look for anything in a segment that holds nothing unsettled.
    return known.live === 0 || (await this.has(segment)) ? known : undefined;
  }

  /** Whether a segment has an index that seems usable. */
  has(segment: Indexed): Promise<boolean> {
    return new Promise((resolve) => this.runs.check(segment.base, segment.identity, resolve));
  }

  /** Makes sure that a segment has an index; `source` is what it should hold. */
  async make(segment: Indexed, source: EntrySource): Promise<void> {
    if (await this.has(segment)) return;
    await settle((done) => this.write(segment, source, done));
  }

  write(segment: Indexed, source: EntrySource, done: (failure: Failure) => void): void {
    this.runs.write(segment.base, segment.identity, source, (failure) => {
      if (failure !== undefined && isNoSpace(failure)) this.#options.noSpace?.();
      done(failure);
    });
  }

  // Writes an index that nobody else has the entries for: if it cannot be, they stay in memory.
  #writeOrHold(segment: Indexed, source: EntrySource, done: (failure: Failure) => void): void {
    this.write(segment, source, (failure) => {
      if (failure === undefined || isGivenUp(failure)) return done(failure);
      if (!this.#held.add(segment, source)) return done(failure);
      this.#options.note(
        'warn',
        `the index of ${segment.name} cannot be written: ${failure.message}. It stays in memory until it can be`,
      );
      done(undefined);
    });
  }

  /** Whether there is an index that could not be written. */
  get lacks(): boolean {
    return this.#held.oldest() !== undefined;
  }

  /** Tries again to write what could not be written; to be called about once a second. */
  retry(): void {
    const next = this.#held.oldest();
    if (next === undefined || this.#retrying || this.#closed) return;
    this.#retrying = true;
    this.write(next.segment, next.source, (failure) => {
      this.#retrying = false;
      if (failure !== undefined) return;
      if (this.#held.oldest() === next) this.#held.drop(next.segment.base);
      this.retry();
    });
  }

  /** Records of a bucket; an index that cannot be used is made again first (SegmentIndex). */
  find(
    segment: Indexed,
    query: Omit<IndexQuery, 'base'>,
    most: number,
    done: (failure: Failure, found: Found[], next: number | undefined) => void,
  ): void {
    const { base, identity } = segment;
    const again = () => this.find(segment, { ...query, at: 0 }, most, done);
    if (this.#waits(base, again, (failure) => done(failure, [], undefined))) return;
    const held = this.#held.find(segment, query, most);
    if (held !== undefined) {
      this.#options.soon(() => done(undefined, held.found, held.next));
      return;
    }
    // A place in what was held in memory means nothing in the file.
    const from = { ...query, at: isPendingPlace(query.at) ? 0 : query.at };
    this.runs.find(base, identity, from, most, (failure, found, next) => {
      // Once the log is closed, segments are not read any more either.
      if (failure === undefined || this.#closed) return done(failure, found, next);
      this.makeAgain(segment, failure, (makeFailure) => {
        if (makeFailure !== undefined) return done(makeFailure, [], undefined);
        // By sequence: the place was one in the index that is gone.
        const again = this.#held.find(segment, { ...query, at: 0 }, most);
        if (again !== undefined) done(undefined, again.found, again.next);
        else this.runs.find(base, identity, { ...query, at: 0 }, most, done);
      });
    });
  }

  /** Visits all records of a segment, in the order of its index, once nobody is making that. */
  visit(
    segment: Indexed,
    record: (low: number, high: number, found: Found) => void,
    done: (failure: Failure) => void,
  ): void {
    if (this.#waits(segment.base, () => this.visit(segment, record, done), done)) return;
    if (!this.#held.visit(segment, record))
      this.runs.visit(segment.base, segment.identity, record, done);
    else this.#options.soon(() => done(undefined));
  }

  // Whether the index is being made: then it goes on when that has ended.
  #waits(base: number, goOn: () => void, failed: (failure: Error) => void): boolean {
    const wait = (failure: Failure) => (failure === undefined ? goOn() : failed(failure));
    return this.#making.get(base)?.push(wait) !== undefined;
  }

  /** Makes an index again that is damaged, or waits while that is being done. */
  makeAgain(segment: Indexed, why: Error, done: (failure: Failure) => void): void {
    const waiting = this.#making.get(segment.base);
    if (waiting !== undefined) {
      waiting.push(done);
      return;
    }
    const waiters = [done];
    this.#making.set(segment.base, waiters);
    this.#options.note('warn', `the index of ${segment.name} is made again: ${why.message}`);
    const end = (failure: Failure) => this.#made(segment.base, waiters, failure);
    this.remake(segment).then(() => end(undefined), end);
  }

  /** Lends the codec for work beside the broker to one after the other. */
  alone<T>(work: (codec: RecordScanner) => Promise<T>): Promise<T> {
    const result = this.#alone.then(() => work(this.#options.sideCodec()));
    this.#alone = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  /**
   * Another segment stands at this place now, with these records: its index is written, and who
   * searches waits for that.
   */
  replace(segment: Indexed, source: EntrySource): void {
    const waiters: ((failure: Failure) => void)[] = [];
    this.#making.set(segment.base, waiters);
    this.#held.drop(segment.base);
    this.runs.giveUp(segment.base);
    // Who finds none makes it.
    this.#writeOrHold(segment, source, () => this.#made(segment.base, waiters, undefined));
  }

  // A segment that took the place meanwhile has waiters of its own.
  #made(base: number, waiters: ((failure: Failure) => void)[], failure: Failure): void {
    if (this.#making.get(base) === waiters) this.#making.delete(base);
    for (const waiter of waiters) waiter(failure);
  }

  /** Makes the index of a complete segment from its records. */
  async remake(segment: Indexed): Promise<void> {
    if (this.#closed) throw givenUp('the indexes are closed');
    const { segmentFiles, pace } = this.#options;
    const source = await this.alone((codec) => entriesOf(segmentFiles, codec, segment, pace));
    await settle((done) => this.#writeOrHold(segment, source, done));
  }

  /** The segment is gone, or another one stands at its place. */
  drop(base: number): void {
    this.#held.drop(base);
    this.runs.drop(base);
  }

  /**
   * Removes, for certain, the indexes of segments from `base` on: what they speak of was cut off,
   * and the same segment will hold something else. Throws what the system said.
   */
  async dropFrom(base: number): Promise<void> {
    const later = this.runs.bases.filter((each) => each >= base);
    if (later.length === 0) return;
    for (const each of later) await settle((done) => this.runs.drop(each, done));
    await settle((done) => this.#options.files.syncDirectory(done));
  }

  /**
   * Saves a checkpoint if it is due, or anyway if `now`, of the segments before `behind`.
   */
  save(
    behind: Indexed,
    now: boolean,
    state: () => CheckpointSource,
    identityOf: (base: number) => number | undefined,
    done: (failure: Failure) => void,
  ): void {
    const grown = behind.base - this.#savedAt;
    const { bytes: least, sizes } = this.#options.checkpointDue ?? CHECKPOINT_DUE;
    const due = now || grown >= Math.max(least, sizes * this.#savedBytes);
    if (!due || this.#saving || this.#closed) {
      this.#options.soon(() => done(undefined));
      return;
    }
    this.#saving = true;
    this.#savedAt = behind.base;
    const { note } = this.#options;
    this.#save(behind, state, identityOf).then(
      () => this.#saved(undefined, done),
      (failure: Error) => {
        note('warn', `the checkpoint cannot be written: ${failure.message}; a start takes longer`);
        this.#saved(failure, done);
      },
    );
  }

  #saved(failure: Failure, done: (failure: Failure) => void): void {
    this.#saving = false;
    done(failure);
    this.#onSaved?.();
  }

  async #save(
    behind: Indexed,
    state: () => CheckpointSource,
    identityOf: (base: number) => number | undefined,
  ): Promise<void> {
    const { files, segmentFiles, logId, crc32c } = this.#options;
    const head = new Uint8Array(RECORD_HEADER_BYTES);
    await readFully(segmentFiles, behind.handle, head, SEGMENT_DATA_AT);
    const source = state();
    const segments: KnownSegment[] = [];
    for (const [i, each] of source.segments.entries()) {
      const identity = identityOf(each.base);
      const end = source.segments[i + 1]?.first ?? source.end;
      if (identity !== undefined) segments.push({ ...each, end, identity });
    }
    const checkpoint: CheckpointState = { ...source, segments, behind: crcOf(head) };
    const bytes = encodeCheckpoint(checkpoint, logId, crc32c);
    this.#savedBytes = bytes.length;
    await settle((done) => writeCheckpoint(files, bytes, done));
  }

  /** Ends what is under way and closes the files; from the call on no index is made again. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#alone;
    await new Promise<void>((resolve) => {
      this.#onSaved = resolve;
      if (!this.#saving) resolve();
    });
    await new Promise<void>((resolve) => this.runs.close(resolve));
  }
}

function crcOf(head: Uint8Array): number {
  return new DataView(head.buffer, head.byteOffset).getUint32(RECORD_CRC_AT, true);
}
