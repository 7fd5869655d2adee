// What records say of times, and how fine these are: the entry (due.ts) of a placed record, by its
// head, and of a mark that defers messages.

import { DUE_READY, type DueEntry } from './due.ts';
import { type Deferral, type Head, kindOf } from './placed.ts';
import { BODY_BYTES, BUCKET_HIGH, BUCKET_LOW, COUNT, sequenceOf } from './rows.ts';

const U32_MASK = 0xffffffffn;
// Due times are multiples of it, so that those of neighbours are the same more often.
const GRAIN_MS = 8;

/** The due time of what is to wait so many ms from `wallMs` on, in ms since 1970: never less. */
export function dueAfter(wallMs: number, ms: number): number {
  return Math.ceil((wallMs + ms) / GRAIN_MS) * GRAIN_MS;
}

/** What a mark says of a time, in `into`; false: nothing. */
export function dueOfDeferral(deferral: Deferral, into: DueEntry): boolean {
  if (deferral.dueMs === 0) return false;
  into.when = deferral.dueMs;
  into.low = Number(deferral.bucket & U32_MASK);
  into.high = Number(deferral.bucket >> 32n);
  into.sequence = deferral.sequence;
  into.position = 0;
  into.turn = deferral.turn;
  into.count = deferral.count;
  into.bodyBytes = 0;
  into.kind = deferral.kind;
  into.what = DUE_READY;
  return true;
}

/** What the head says of a time of the placed record in the row that starts at word `at` and stands
 * at `position`, in `into`; false: nothing. */
export function dueOfPlaced(
  words: Uint32Array,
  at: number,
  position: number,
  head: Head,
  into: DueEntry,
): boolean {
  if (head.dueMs === 0) return false;
  into.when = head.dueMs;
  into.low = words[at + BUCKET_LOW]!;
  into.high = words[at + BUCKET_HIGH]!;
  into.sequence = sequenceOf(words, at);
  into.position = position;
  into.turn = head.turn;
  into.count = words[at + COUNT]!;
  into.bodyBytes = words[at + BODY_BYTES]!;
  into.kind = kindOf(words, at);
  into.what = DUE_READY;
  return true;
}
