// A window: a stretch of the log in memory, verified, and the reads that wait for it.

import { RECORD_HEADER_BYTES, RESULT_CONSUMED, SCAN_ROWS } from '../../../assembly/layout.ts';
import type { Failure, Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';

/** Windows begin and end at multiples of this in the log, or with their segment. */
export const UNIT = 64 * 1024;

export interface ReadWindow {
  position: Position;
  place: number;
  /** Room taken in the area. */
  bytes: number;
  /** Verified records stand from here to before `valid`, as offsets in the window. */
  from: number;
  valid: number;
  /** Where it goes on: units from here on are others'. */
  end: Position;
  loading: boolean;
  /** It is long: somebody reads in order. */
  inOrder: boolean;
  /** Read before anybody asked for it, and not used yet. */
  ahead: boolean;
  /** Its records were moved while it was read. */
  stale: boolean;
  waiters: WaitingRead[];
}

/** Somebody who wants a record. */
export interface WaitingRead {
  position: Position;
  recordBytes: number;
  done: (failure: Failure) => void;
  /** A window of units did not hold it: it is read for itself. */
  alone: boolean;
}

/** Where the unit of a position begins. */
export function unitAt(position: Position): Position {
  return position - (position % UNIT);
}

/** Place of a record in memory, or -1 if the window does not hold all of it, verified. */
export function placeIn(window: ReadWindow, position: Position, recordBytes: number): number {
  const offset = position - window.position;
  const within = offset >= window.from && offset + recordBytes <= window.valid;
  return within && !window.loading ? window.place + offset : -1;
}

/** Finds where the first record in `bytes` of a window begins, and how far records follow it. */
export function verify(window: ReadWindow, bytes: number, codec: RecordScanner): void {
  const { place, position } = window;
  const start = bytes < RECORD_HEADER_BYTES ? bytes : codec.seek(place, bytes, position);
  window.from = start;
  window.valid = start;
  if (start >= bytes) return;
  for (;;) {
    const { valid } = window;
    const status = codec.scan(place + valid, bytes - valid, position + valid);
    window.valid += codec.result[RESULT_CONSUMED]!;
    if (status !== SCAN_ROWS) return;
  }
}
