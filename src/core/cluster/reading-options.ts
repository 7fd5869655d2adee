// What Reading is given, and what it brings about.

import type { Failure, Position } from '../ports/basics.ts';
import type { ReplicatedStream, StreamMessage } from '../ports/stream.ts';
import type { CountedBatch, CountingOptions, Place, Verdict } from './counting.ts';
import type { SegmentPlace } from './segment-places.ts';

/** What a node knows of itself when it begins to read. */
export interface Saved {
  /** Where its log ends: every batch before that is on its disk, and none behind it. */
  readonly end: Position;
  /** A place at `end` or before it, where one is known; without one all of the stream is read. */
  readonly place: Place | undefined;
  readonly segments: readonly SegmentPlace[];
}

export interface ReadingEvents {
  /** Takes batches that count, or the first few; those that are in the log already are to be
   * compared with it. `done` is given how many. */
  apply(batches: readonly CountedBatch[], done: (failure: Failure, count: number) => void): void;
  heard(verdict: Verdict & { is: 'counts' }, message: StreamMessage): void;
  /** Everything that was there when reading began is applied. */
  joined(): void;
  rebuild(why: string): void;
  stop(code: number, why: string): void;
}

export interface ReadingOptions extends CountingOptions {
  readonly stream: Pick<ReplicatedStream, 'follow' | 'state'>;
  readonly events: ReadingEvents;
  readonly clockMs: () => number;
  /** Where a log begins that has no batch. */
  readonly beginning: Position;
  /** Batches that may wait to be applied, in bytes; one more is taken. */
  readonly queueBytes: number;
}
