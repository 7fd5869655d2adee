// Records read back: those that are not in the ring any more.

import type { Failure, Position } from './basics.ts';

/**
 * A record is named by its position and its size in bytes, header and body without padding. It is
 * had in two steps, `load` and then `resident`, as its place in memory may be taken by others: a
 * place holds until the caller returns.
 */
export interface RecordReader {
  /** Place of a record in the codec's memory, verified, or -1 if it is not there. */
  resident(position: Position, recordBytes: number): number;
  /**
   * Brings a record into memory. `done` comes later: neither it nor that of another call comes
   * within the call, as the caller may be packing a frame. With an error if the record cannot be
   * read or does not verify. Without one it was there, but may be gone again, or stand elsewhere in
   * the log by now.
   */
  load(position: Position, recordBytes: number, done: (failure: Failure) => void): void;
}
