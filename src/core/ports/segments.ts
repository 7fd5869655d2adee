// Segments: the files that the log consists of, and whether there is room for another one.

import type { Position } from './basics.ts';

/**
 * A log is a row of segments, each from its base to the base of the next. The last one is open, and
 * the one behind it is made ahead of time. No method throws except `roll`.
 */
export interface SegmentSpace {
  /** Size in bytes of segments that are made from now on, header included. */
  readonly segmentBytes: number;
  /** Whether the segment behind the open one is there, durably: the writer may go on to it. */
  nextReady(): boolean;
  /**
   * Whether messages may go on to it, too: a further one can be had behind it. Where it cannot, the
   * next one is kept for what consumers cause.
   */
  mayGrow(): boolean;
  /** Why that is not so and will not be for now ("no space left"), or undefined while it may come. */
  blocked(): string | undefined;
  /**
   * From now on segments are made that may hold records of types 7 to 10 (layout.ts), and the next
   * one becomes one, durably. Whether the next one is there and is such a one; else it is told when
   * that changes. To be asked before the open segment is completed for the sake of such a record.
   */
  raise(): boolean;
  /** The open segment is complete; the one at `base` is open now. Throws LogError `missing` if the
   * next one is not there or has another base: ask `nextReady` first. */
  roll(base: Position): void;
  /** Bases of the segments on disk, oldest first, the open one last; never empty. */
  bases(): readonly Position[];
  /** Bytes of the file of the segment based at `base`; 0 if there is none. */
  fileBytes(base: Position): number;
}
