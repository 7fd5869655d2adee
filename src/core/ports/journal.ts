// The journal: what makes bytes durable, in one order. All that is acked went through `append`.
// Another log takes the place of this port alone: indexes, what is read back and compaction stay
// those of the segments beside it.

import type { Failure, Position } from './basics.ts';

/**
 * `depth` appends in flight, nothing beside them. The bytes stand in the ring of the codec's
 * memory, at their offset in the open segment, and do not change from the call on, so they may be
 * read, sent elsewhere and written again before `done`. Whoever replaces this port lets the segment
 * files be written too, as records are read back from those.
 */
export interface Journal {
  /** How many appends it takes before the first of them is done, at this time: at least 1. They are
   * done in their order, and each is synced before the next one is written: a batch may say so. */
  readonly depth: number;
  /** From so many bytes on a batch is worth an append behind those that are in flight. */
  readonly aheadBytes: number;
  /**
   * Writes the `bytes` bytes that stand in the ring for `position` and makes them durable as the
   * sync mode says. They are one whole commit batch and lie in one segment. `done` comes later,
   * never within the call, and at most once. After a failure every further append fails: what
   * reached the disk is unknown until the log is recovered. Throws LogError `missing` if no segment
   * is open there.
   */
  append(position: Position, bytes: number, done: (failure: Failure) => void): void;
  /** Whether an append waits, for space or for whoever else has to confirm it: nothing more should
   * be accepted. It goes on by itself. */
  stalled(): boolean;
  /** Everything before this position is synced. Lags behind appends unless the mode is commit. */
  readonly syncedPosition: Position;
  /** Nothing before `position`, the base of a segment, is needed any more; a trim record that says
   * so is durable. Failures are not told: what stays on disk is trimmed by the next call. */
  trim(position: Position): void;
  /** Oldest position still on disk: the base of the oldest segment. */
  readonly startPosition: Position;
}

/** Where the log goes on after recovery. */
export interface Resume {
  /** Where the open segment begins. */
  base: Position;
  /** Bytes of the open segment that are written, a multiple of 8. */
  offset: number;
  /** Size of the open segment in bytes. */
  segmentBytes: number;
  /** Number of this start of the broker; higher than that of any record in the log. */
  epoch: number;
  /** Sequence number of the next message. */
  sequence: number;
  /** Whether the open segment may hold records of types 7 to 10; absent: no. */
  places?: boolean;
}
