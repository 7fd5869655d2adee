// What group commit is given: the ports that it writes through, times, and bounds.

import type { Following } from '../following/following.ts';
import type { DiskAreas, InboundFrames, RecordMover, RecordWriter } from '../ports/codec.ts';
import type { Journal } from '../ports/journal.ts';
import type { SegmentSpace } from '../ports/segments.ts';
import type { Batch } from './batch.ts';

/** What happens to the world after a commit; implemented by the broker. */
export interface CommitEvents {
  /** Rows of records that are durable now. `base` is where their segment starts. */
  durable(batch: Batch): void;
  /** There is room again for producers that had to wait. */
  roomAgain(): void;
  /** The log failed; nothing may be acked any more. */
  failed(failure: Error): void;
}

export interface CommitOptions {
  codec: RecordWriter &
    RecordMover &
    Pick<InboundFrames, 'rows' | 'setLimit'> &
    Pick<DiskAreas, 'coldBytes' | 'memory'>;
  journal: Journal;
  space: SegmentSpace;
  events: CommitEvents;
  /** Told of batches, where somebody follows messages. */
  following?: Following;
  /** Wall clock in ms since 1970, for the time in commit records; display only. */
  wallMs: () => number;
  /** Monotonic time in ms, as fine as it is to be had; measures only. */
  clockMs: () => number;
  /** The broker's time in ms, as fine as it is to be had: what is decided goes by it. */
  nowMs: () => number;
  /** Whether an append that is done is synced (mode commit), so that the next batch proves it. */
  strict: boolean;
  reserveBytes: number;
  messageBytesMax: number;
  /** Records of messages after which a segment is complete, about: each has an entry in memory. */
  entriesMax: number;
  /** Marks of a kind that wait one by one; beyond it they are kept by sequence. */
  marksMax: number;
  ackCommitMs: number;
  proofMs: number;
  /** Whether the index of what was written lags behind: no further segment may be begun. */
  lag: () => 'none' | 'wait' | 'refuse';
}
