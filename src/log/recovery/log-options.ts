// What a log needs to be opened, and what it tells its broker.

import type { Position } from '../../core/ports/basics.ts';
import type { DiskAreas, MessageIds, RecordScanner } from '../../core/ports/codec.ts';
import type { Foreground } from '../../core/ports/foreground.ts';
import type { Files } from '../files/files.ts';
import type { Delays } from '../files/throttle.ts';
import type { CheckpointDue } from '../index/index-store.ts';
import type { Place } from '../segments/watch.ts';
import type { SyncMode } from '../segments/writer.ts';
import type { Tell } from './progress.ts';

export interface LogOptions extends Delays {
  files: Files;
  /** The folder of indexes and checkpoint. */
  indexFiles: Files;
  /** What must stay where it is beside the files, outermost first (watch.ts). */
  places?: readonly Place[];
  codec: RecordScanner & DiskAreas & Pick<MessageIds, 'setSecret'>;
  /** A codec of its own for reading segments beside the broker; made when it is first needed. */
  sideCodec: () => RecordScanner;
  /** CRC32C of any bytes. */
  crc32c: (bytes: Uint8Array) => number;
  /** 32 bits that clients cannot know. */
  hashSeed: number;
  mode: SyncMode;
  /** Whom work beside the broker gives way to. */
  foreground: Foreground;
  segmentBytes: number;
  /** Disk space held ready beyond the next segment; 0 for none. */
  spareBytes: number;
  /** Bytes of memory for what is read back from disk (read-cache.ts). */
  coldBytesMax?: number | undefined;
  /** Bytes of memory for tables of indexes (indexes.ts). */
  tableBytesMax?: number | undefined;
  /** When a checkpoint is due, if not as by default (index-store.ts). */
  checkpointDue?: CheckpointDue | undefined;
  /** What in the data folder speaks of an earlier log (earlier.ts). */
  traces?: readonly string[];
  /** Of a log that is made new: random, or that of the log which this is a copy of. */
  newLogId: bigint;
  /**
   * One of several copies, which follows what another one's owner writes (following/follower.ts).
   * Its LOG_ID is `newLogId`, segments are of `segmentBytes`, and all that are made may hold records
   * of types 7 to 10, as nobody knows what follows.
   */
  isCopy?: boolean;
  /**
   * Of a copy that wrote batches together: what is before was synced. What is damaged behind it
   * is cut off with all that follows, as a torn end is: it can be had again. Absent: a record that
   * says so proves what is before it to have been synced.
   */
  syncedTo?: Position | undefined;
  /**
   * Where a log that is made new begins, if it takes the place of another one; 0 without it.
   * `start`: the oldest position that it needs, if segments before this one come from elsewhere.
   */
  newStart?: { base: Position; epoch: number; start?: Position };
  /** Monotonic ms with fractions, for measuring. */
  now: () => number;
  wallMs: () => number;
  /** Calls back once, a short time later. */
  later: (call: () => void) => void;
  /** A line for the operator. */
  note: (level: 'info' | 'warn' | 'error', text: string) => void;
  progress: Tell;
}

/** What the log tells the broker while it lives. */
export interface LogEvents {
  segmentChanged(): void;
  failed(failure: Error): void;
  wrote(bytes: number, writeMs: number, syncMs: number): void;
}
