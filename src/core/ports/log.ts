// The log as whoever composes a broker hands it over: port by port, so that each can be replaced
// without the others. log/file-log.ts implements all of them over segment files.

import type { Journal } from './journal.ts';
import type { RecordReader } from './reader.ts';
import type { SegmentIndex } from './segment-index.ts';
import type { SegmentSpace } from './segments.ts';
import type { Upkeep } from './upkeep.ts';

export interface LogPorts {
  readonly journal: Journal;
  readonly space: SegmentSpace;
  readonly reader: RecordReader;
  readonly index: SegmentIndex;
  readonly upkeep: Upkeep;
}

/** Numbers of a log, for reports; nothing is decided by them. */
export interface LogStatus {
  /** Whether there is no space for what should be written. */
  readonly full: boolean;
  /** Bytes that segments and files held ready take on disk. */
  readonly diskBytes: number;
  /** Files held ready for further segments. */
  readonly spares: number;
  /** Bytes of indexes on disk. */
  readonly indexBytes: number;
  /** Reads from disk for records that had left memory, and their bytes, since the start. */
  readonly coldReads: { reads: number; bytes: number };
}
