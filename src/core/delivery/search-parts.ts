// What the search for sources needs of the broker, and of the log.

import type { Buckets } from '../buckets/buckets.ts';
import type { SourceRing } from '../buckets/source-ring.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Position } from '../ports/basics.ts';
import type { Notices } from '../ports/notices.ts';
import type { SegmentIndex } from '../ports/segment-index.ts';
import type { Retention } from '../segments/retention.ts';

/** Those to which sources are given. */
export interface SearchedFor {
  /** Whether somebody consumes a virtual bucket. */
  readonly isServed: boolean;
  /** Whether consumers wait and nothing is known that could be given to them. */
  starves(ring: SourceRing): boolean;
  /** A bucket joins its ring, if it may have something to give: gives whether it did. */
  touch(slot: number, ring: SourceRing): boolean;
}

export interface SourceSearchParts {
  readonly buckets: Buckets<unknown>;
  readonly retention: Retention;
  readonly notices: Notices;
  readonly counters: Pick<Counters, 'deliveredMessages'>;
  readonly closing: boolean;
  readonly dispatcher: { readonly virtual: SearchedFor };
  flushSoon(): void;
  dispatch(slot: number): void;
}

export interface SourceSearchOptions {
  index: Pick<SegmentIndex, 'visit' | 'find' | 'remake'>;
  /** From where on what waits is in entries, of buckets that are known. */
  memoryFrom: () => Position;
  /** Sources that wait for their first turn at most. */
  most: number;
}
