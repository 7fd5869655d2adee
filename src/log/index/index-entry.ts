// One entry of a run as it stands in the file: where a record of messages is, and whose it is.
// index-file.ts draws it with the rest.

import type { EntrySource, Found, Position } from '../../core/ports/basics.ts';

export const ENTRY_BYTES = 28;

/** What entries of a run are told relative to; `kinds`: whether they name one, else all are 0. */
export interface Origin {
  first: number;
  base: Position;
  kinds: boolean;
}

const ATTEMPTS_AT = 24;
const KIND_AT = 26;
const ATTEMPTS_MAX = 0xffff;

/** Writes entry `i` of a source at an offset of a view. */
export function encodeEntry(
  view: DataView,
  at: number,
  source: EntrySource,
  i: number,
  { first, base }: Origin,
): void {
  view.setUint32(at, source.lines.bucketLow(i), true);
  view.setUint32(at + 4, source.lines.bucketHigh(i), true);
  view.setUint32(at + 8, source.sequence(i) - first, true);
  view.setUint32(at + 12, source.position(i) - base, true);
  view.setUint32(at + 16, source.messages(i), true);
  view.setUint32(at + 20, source.bodyBytes(i), true);
  view.setUint32(at + ATTEMPTS_AT, Math.min(source.attempts(i), ATTEMPTS_MAX), true);
  view.setUint8(at + KIND_AT, source.lines.kind(i));
}

/** Whether the entry at an offset of a view is of this bucket's line of a kind. */
export function isOf(
  view: DataView,
  at: number,
  low: number,
  high: number,
  kind: number,
  { kinds }: Origin,
): boolean {
  if (view.getUint32(at, true) !== low || view.getUint32(at + 4, true) !== high) return false;
  return kind === (kinds ? view.getUint8(at + KIND_AT) : 0);
}

/** The sequence behind its last message, less that of the run's first, of the entry at an offset. */
export function endOf(view: DataView, at: number): number {
  return view.getUint32(at + 8, true) + view.getUint32(at + 16, true);
}

/** The entry at an offset of a view. */
export function decodeEntry(view: DataView, at: number, { first, base, kinds }: Origin): Found {
  return {
    sequence: first + view.getUint32(at + 8, true),
    position: base + view.getUint32(at + 12, true),
    messages: view.getUint32(at + 16, true),
    bodyBytes: view.getUint32(at + 20, true),
    attempts: kinds
      ? view.getUint16(at + ATTEMPTS_AT, true)
      : view.getUint32(at + ATTEMPTS_AT, true),
    kind: kinds ? view.getUint8(at + KIND_AT) : 0,
  };
}
