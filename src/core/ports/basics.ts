// What several ports speak of: places in the log, how an operation on it ended, and its records.

/**
 * Bytes from the beginning of the log, which never starts again at 0. Whole, at least 0, exact up
 * to 2^53.
 */
export type Position = number;

/** How an operation on the log ended: undefined if it succeeded, or why it failed. */
export type Failure = Error | undefined;

/** In which lines the messages of records stand; `i` as in EntrySource. */
export interface EntryLines {
  /** The halves of the bucket's id, unsigned 32 bits. */
  bucketLow(i: number): number;
  bucketHigh(i: number): number;
  /** Kind of the line (layout.ts). */
  kind(i: number): number;
}

/** Records in the order of the log, for the index of their segment; `i` counts from 0. */
export interface EntrySource {
  readonly count: number;
  readonly lines: EntryLines;
  /** Sequence number of the first message. */
  sequence(i: number): number;
  position(i: number): Position;
  messages(i: number): number;
  /** Bytes of the body, without padding. */
  bodyBytes(i: number): number;
  /** Deliveries of its messages that ended without an ack, as the record says; 65,535 at most. */
  attempts(i: number): number;
}

/** A record of messages as an index names it; the fields are those of EntrySource. */
export interface Found {
  sequence: number;
  position: Position;
  messages: number;
  bodyBytes: number;
  attempts: number;
  kind: number;
}

/** Numbers of neighbouring messages, 4096 of them; a number alone: all have the same. */
export type NumberPage = number | Uint8Array | Uint16Array | Uint32Array;
