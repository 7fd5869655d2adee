// Hands the entries of complete segments over to the indexes on disk, and releases them: memory
// holds entries of the newest segments only. One segment at a time, oldest first, off the hot path.
// What a segment says of times goes to disk right behind its index.

import type { Buckets } from '../buckets/buckets.ts';
import type { Failure, Position } from '../ports/basics.ts';
import type { SegmentIndex } from '../ports/segment-index.ts';
import type { DueLog } from '../records/due.ts';
import { DueEntries } from '../records/due.ts';
import type { Retention } from './retention.ts';

/** Due times of the segments whose entries are in memory. */
export interface DueTimesInMemory {
  /** What a segment says of times; it may be nothing. */
  entriesOf(base: Position): DueEntries | undefined;
  /** They are on disk now. */
  indexed(base: Position): void;
}

export interface IndexingOptions {
  buckets: Buckets<unknown>;
  retention: Retention;
  index: SegmentIndex;
  dueLog: Pick<DueLog, 'expects' | 'write'>;
  dueTimes: DueTimesInMemory;
  /** A segment's entries are released: lookups may go on that waited for that. */
  indexed: () => void;
  failed: (base: Position, failure: Error) => void;
  /** Asks for `step` to be called, because there is more to release. */
  soon: () => void;
  /** Entries released in one turn. */
  releaseMax?: number | undefined;
}

// Segments whose entries may be in memory.
const SEGMENTS_MAX = 3;
// Entries released in one turn.
const RELEASE_MAX = 512;
const RETRY_MS = 1000;
const NO_DUE_TIMES = new DueEntries();

export class Indexing {
  readonly #options: IndexingOptions;
  // Segments whose entries are in memory, oldest first: where their entries begin.
  readonly #segments: { base: Position; from: number }[] = [];
  #writing = false;
  #hasIndex = false; // the first one; its due times are to follow
  #retriedMs = 0;
  #failed = false;
  #releaseTo = 0;

  constructor(options: IndexingOptions) {
    this.#options = options;
  }

  /** Segments whose entries are in memory; the open one is one of them. */
  get segments(): number {
    return this.#segments.length;
  }

  /** Whether memory has no room for another segment's entries: until an index is written, or, if
   * that fails, until further notice. */
  get lag(): 'none' | 'wait' | 'refuse' {
    if (this.#segments.length < SEGMENTS_MAX) return 'none';
    return this.#failed ? 'refuse' : 'wait';
  }

  /** What waits in segments from here on is in entries, what is before it in indexes. */
  get memoryFrom(): Position {
    return this.#segments[0]?.base ?? 0;
  }

  /** Whether entries of a segment are partly released: neither memory nor the index is complete. */
  get releasing(): boolean {
    return this.#releaseTo > 0;
  }

  /** Whether nothing is being written or released. */
  get rests(): boolean {
    return !this.#writing && this.#releaseTo === 0;
  }

  /** Entries added from now on are of the segment based at `base`; the one before is complete. */
  open(base: Position, from = this.#options.buckets.entries.end): void {
    this.#segments.push({ base, from });
    this.#write();
  }

  #write(): void {
    const { buckets, retention, index } = this.#options;
    const [first, second] = this.#segments;
    if (this.#writing || this.#releaseTo > 0 || first === undefined || second === undefined) return;
    const { base } = first;
    const isLive = retention.isLive(base);
    if (!isLive && !this.#expectsDueTimes(base)) {
      // Everything in it is settled: there will be nothing to be found, and it may be gone already.
      this.#release(second.from);
      this.#options.soon();
      return;
    }
    this.#writing = true;
    if (!isLive || this.#hasIndex) {
      this.#writeDueTimes(base, second.from);
      return;
    }
    const source = buckets.entries.source(first.from, second.from);
    index.index(base, source, (failure) => {
      this.#hasIndex = failure === undefined;
      if (failure === undefined && this.#expectsDueTimes(base))
        this.#writeDueTimes(base, second.from);
      else this.#written(base, second.from, failure);
    });
  }

  // Its marks speak of older segments, so they count although all of its own messages are settled.
  #expectsDueTimes(base: Position): boolean {
    const { retention, dueLog } = this.#options;
    return retention.has(base) && dueLog.expects(base);
  }

  #writeDueTimes(base: Position, to: number): void {
    const { dueLog, dueTimes } = this.#options;
    const entries = dueTimes.entriesOf(base);
    dueLog.write(base, entries ?? NO_DUE_TIMES, (failure) => {
      // It may have been given back meanwhile.
      if (failure === undefined && dueTimes.entriesOf(base) !== undefined) dueTimes.indexed(base);
      this.#written(base, to, failure);
    });
  }

  #written(base: Position, to: number, failure: Failure): void {
    const { retention, failed } = this.#options;
    this.#writing = false;
    if (failure !== undefined && (retention.isLive(base) || this.#expectsDueTimes(base))) {
      this.#failed = true;
      failed(base, failure);
      return;
    }
    this.#release(to);
    this.step();
  }

  #release(to: number): void {
    this.#failed = false;
    this.#hasIndex = false;
    this.#releaseTo = to;
  }

  /** Releases some of what is to be released. */
  step(): void {
    const { buckets, indexed, soon, releaseMax = RELEASE_MAX } = this.#options;
    if (this.#releaseTo === 0) return;
    if (!buckets.indexed.release(this.#releaseTo, releaseMax)) {
      soon();
      return;
    }
    this.#releaseTo = 0;
    this.#segments.shift();
    this.#write();
    indexed();
  }

  /** Tries again what failed. */
  retry(): void {
    if (this.#failed) this.#write();
  }

  /** When what failed is tried again. */
  get dueMs(): number {
    return this.#failed ? this.#retriedMs + RETRY_MS : Number.POSITIVE_INFINITY;
  }

  /** Time passes: what failed is tried again, a second after the last time. */
  advance(nowMs: number): void {
    if (nowMs - this.#retriedMs < RETRY_MS) return;
    this.#retriedMs = nowMs;
    this.retry();
  }
}
