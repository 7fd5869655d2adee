// Ids of messages in their windows that have left memory: looked up where they went, which may take
// until the disk was read.

import type { Failure, Position } from './basics.ts';

/**
 * What is known of an id: it is new, or was published and its window is not over; or that is known
 * when it was looked up, which is under way; or it cannot be looked up.
 */
export type Known = 'new' | 'known' | 'unsure' | 'failed';

/** What part of the ids of a segment is among those that leave memory. */
export interface LeavingPart {
  /** The segment's base. */
  base: Position;
  /** What of it is not among them has left memory before. */
  complete: boolean;
  /** Bytes of its records of ids. */
  idBytes: number;
}

/** Ids that leave memory. They must not change until they have. */
export interface LeavingIds {
  count: number;
  /** Their slots (collections/id-page.ts) by the first word of the id, a piece at a time. */
  inOrder(): Iterable<Uint32Array>;
  parts: readonly LeavingPart[];
  /** Position behind the batch that the last of them became durable with. */
  upTo: Position;
}

export interface OlderIds {
  /** Ids that are kept, of which some may be over. */
  readonly count: number;
  /** Memory that it takes to find them, and what that may be at most. */
  readonly bytes: number;
  bytesMax: number;
  /** Whether more of them can leave memory. */
  readonly takes: boolean;
  /** Called when something was looked up: who is unsure may ask again. */
  told: () => void;
  /**
   * Whether the id whose words stand at `at` was published less than `ms` ago, and in its window.
   * If nobody is sure it is looked up, as far as there is memory for that: ask again when told.
   */
  find(ids: Uint32Array, at: number, nowMs: number, ms: number): Known;
  /** Takes ids over; after a failure it has none of them. What is over at `nowMs` is left out. */
  take(leaving: LeavingIds, nowMs: number, done: (failure: Failure) => void): void;
  /** Forgets what is over. */
  sweep(nowMs: number): void;
}
