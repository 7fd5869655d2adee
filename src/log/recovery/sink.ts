// Who takes what recovery reads.

import type { Position } from '../../core/ports/basics.ts';
import type { OlderIds } from '../../core/ports/older-ids.ts';
import type { SegmentEntries } from '../../core/records/due.ts';
import type { Checkpoint, KnownSegment } from '../index/checkpoint.ts';
import type { ReadRecord, VisitRecords } from '../read-cache/read-record.ts';
import type { Visitor } from '../scan/scan.ts';

/** Takes the records of the log in order; core/segments/state-builder.ts. */
export interface Sink extends Visitor {
  /** A segment begins whose records follow; `sparse`: it is compacted, sequences are missing;
   * `knowsIds`: all of its ids are on disk beside the log. */
  segment(base: Position, sparse: boolean, knowsIds?: boolean): void;
  /** Where ids of messages go that leave memory. */
  olderIds?(ids: OlderIds): void;
  /** The segments before the one at `base` are complete and on disk: ids of theirs that are too many
   * for memory may leave it. */
  shrinkIds?(base: Position, nowMs: number): Promise<void>;
  /** A segment that need not be read. */
  known(segment: KnownSegment & { idBytes?: number | undefined }): void;
  /** The last segment is complete and another one follows: `index` writes its entries to disk. */
  sealed(index: (source: SegmentEntries) => Promise<void>): Promise<void>;
  /** What was seen since the last commit never happened. */
  drop(): void;
  /** What a checkpoint says of messages, before anything else. */
  restore(checkpoint: Checkpoint): void;
  /** All of it was seen; `visit` gives the records of a segment that was indexed, `read` one. */
  finish(visit: VisitRecords, read: ReadRecord): Promise<void>;
}
