// A slice of a record: neighbours in it that are delivered, wait or come back together.

import type { Position } from '../ports/basics.ts';

/** Part of a delivery: a run of messages of one record. */
export interface Slice {
  /** Of the bucket whose messages they are. */
  slot: number;
  position: Position;
  sequence: number;
  /** Index of the run's first message in the record. */
  first: number;
  count: number;
  /** Of the record, as is `bodyBytes`. */
  messages: number;
  bodyBytes: number;
  attempts: number;
  /** How far apart from others it is given out: 0 not at all (suspects.ts). */
  level: number;
}

/** A part of nothing. */
export function emptySlice(): Slice {
  const nothing = { slot: 0, position: 0, sequence: 0, first: 0, count: 0 };
  return { ...nothing, messages: 0, bodyBytes: 0, attempts: 0, level: 0 };
}
