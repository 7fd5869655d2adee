// The index port over the segments as they are now: finds which one stands for a position, keeps
// its file open while that is asked for, and asks again when it was compacted meanwhile.

import type { EntrySource, Failure, Found, Position } from '../core/ports/basics.ts';
import type { FoundNow, IndexQuery, SegmentIndex } from '../core/ports/segment-index.ts';
import { LogError } from './files/errors.ts';
import type { Files } from './files/files.ts';
import { settle } from './files/promises.ts';
import type { IdRuns } from './index/id-runs.ts';
import type { IndexStore } from './index/index-store.ts';
import type { Indexed } from './index/indexed.ts';
import type { SegmentDueTimes } from './segment-due-times.ts';
import { keyOf, segmentName } from './segments/segment.ts';
import type { Segments } from './segments/segments.ts';

export interface IndexedParts {
  segments: Segments;
  store: IndexStore;
  due: SegmentDueTimes;
  ids: IdRuns;
  logId: bigint;
}

export class IndexedSegments implements SegmentIndex {
  readonly #segments: Segments;
  readonly #store: IndexStore;
  readonly due: SegmentDueTimes;
  readonly #ids: IdRuns;
  readonly #logId: bigint;

  /** `files`: those of the segments. */
  constructor(files: Files, { segments, store, due, ids, logId }: IndexedParts) {
    this.#segments = segments;
    this.#store = store;
    this.due = due;
    due.over(segments, store, (base) => this.of(base));
    this.#ids = ids;
    const start = () => segments.list[0]!.base;
    ids.over({ files, start, at: (position) => segments.covering(position) });
    this.#logId = logId;
  }

  index(base: Position, source: EntrySource, done: (failure: Failure) => void): void {
    this.#store.write(this.of(base), source, done);
  }

  find(
    query: IndexQuery,
    most: number,
    done: (failure: Failure, found: Found[], next: number | undefined) => void,
  ): void {
    const segment = this.of(query.base);
    // In a segment that stands for several, a place in one of them means nothing.
    const at = segment.base === query.base ? query.at : 0;
    // Its file stays open, as its index may have to be made again from it.
    const held = this.#segments.hold(query.base);
    this.#store.find(segment, { ...query, at }, most, (failure, found, next) => {
      const now = this.#segments.find(segment.base);
      if (now === undefined || now.identity === segment.identity) done(failure, found, next);
      else this.find({ ...query, at: 0 }, most, done); // compacted meanwhile: no place holds
      this.#segments.readDone(held);
    });
  }

  findNow(query: IndexQuery, most: number): FoundNow | undefined {
    const segment = this.#segments.covering(query.base);
    if (segment === undefined) return undefined;
    // In a segment that stands for several, a place in one of them means nothing.
    const at = segment.base === query.base ? query.at : 0;
    return this.#store.runs.findNow(segment.base, segment.identity, query, at, most);
  }

  /** Visits all records of an indexed segment, in the order of its index. */
  visit(
    base: Position,
    record: (low: number, high: number, found: Found) => void,
    done: (failure: Failure) => void,
  ): void {
    this.#store.visit(this.of(base), record, done);
  }

  /** Makes an index again that seems damaged (SegmentIndex). */
  remake(base: Position, done: (failure: Failure) => void): void {
    const segment = this.of(base);
    const held = this.#segments.hold(base);
    this.#store.makeAgain(segment, new Error('it could not be read'), (failure) => {
      const now = this.#segments.find(segment.base);
      // Compacted meanwhile: that brought an index of its own.
      done(now === undefined || now.identity === segment.identity ? failure : undefined);
      this.#segments.readDone(held);
    });
  }

  /**
   * Hands on all records of a segment, once all were read: an index that turns out damaged is made
   * again first.
   */
  async readAll(base: Position, record: (found: Found) => void): Promise<void> {
    let all: Found[] = [];
    const visit = () => {
      all = [];
      return settle((done) => this.visit(base, (_low, _high, found) => all.push(found), done));
    };
    await visit().catch(async () => {
      await this.#store.remake(this.of(base));
      await visit();
    });
    for (const found of all) record(found);
  }

  /** A segment is gone. */
  drop(base: Position): void {
    this.#store.drop(base);
    this.due.drop(base);
  }

  /** Bytes of indexes on disk. */
  get bytes(): number {
    return this.#store.bytes;
  }

  /** Whether something could not be written that `retry` may write. */
  get lacks(): boolean {
    return this.#store.lacks || this.due.lacks;
  }

  /** Tries again what could not be written; to be called about once a second. */
  retry(): void {
    this.#store.retry();
    this.due.retry();
  }

  /** Ends what is under way and closes the files. */
  async close(): Promise<void> {
    await this.#ids.close();
    await this.due.close();
    await this.#store.close();
  }

  /** The segment that stands for what was at `base`. Throws LogError if there is none. */
  of(base: Position): Indexed {
    const segment = this.#segments.covering(base);
    if (segment === undefined) throw new LogError('missing', `no segment stands for ${base}`);
    const { base: at, bytes, handle, identity } = segment;
    return { name: segmentName(at), base: at, bytes, handle, key: keyOf(this.#logId), identity };
  }
}
