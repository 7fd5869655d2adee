// Indexes: which records of a bucket a segment holds, without reading it.

import type { EntrySource, Failure, Found, Position } from './basics.ts';

/** One index for each complete segment. `done` comes later, never within the call. */
export interface SegmentIndex {
  /**
   * Writes the index of the segment based at `base`, which is complete, so that `find` knows its
   * records. `source` must not change before `done`. After a failure it may be tried again.
   */
  index(base: Position, source: EntrySource, done: (failure: Failure) => void): void;
  /**
   * Records of a bucket's line in an indexed segment that reach to `query.sequence` or beyond, oldest first,
   * at most `most`. `next` is the place to go on from; undefined: that is all. An index that is
   * damaged is made again from the segment first; an error says that this failed, too.
   */
  find(
    query: IndexQuery,
    most: number,
    done: (failure: Failure, found: Found[], next: number | undefined) => void,
  ): void;
  /** What `find` would give, where it is in memory, and maybe a `next` behind which there is nothing;
   * undefined: it has to be asked. */
  findNow(query: IndexQuery, most: number): FoundNow | undefined;
  /**
   * All records of an indexed segment, in the order of its index: first by a hash of the bucket and
   * the kind of its line, then by sequence; the bucket is given as the halves of its id. `record` is
   * called any number of times before `done`, also if that brings an error.
   */
  visit(
    base: Position,
    record: (low: number, high: number, found: Found) => void,
    done: (failure: Failure) => void,
  ): void;
  /**
   * Makes the index of an indexed segment again, or waits while that is being done, as `find` sees
   * no damage in what it does not come to. An error says that the segment does not yield one.
   */
  remake(base: Position, done: (failure: Failure) => void): void;
}

/** What was found without waiting, and the place to go on from; undefined: that is all. */
export interface FoundNow {
  found: Found[];
  next: number | undefined;
}

export interface IndexQuery {
  /** Base of the segment. */
  base: Position;
  /** The halves of the bucket's id, 32 bits each. */
  low: number;
  high: number;
  /** Of its line (layout.ts). */
  kind: number;
  /** Messages before it are not wanted. */
  sequence: number;
  /** 0, or the `next` of the call before this one. */
  at: number;
}
