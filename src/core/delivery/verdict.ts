// What each byte that a consumer answers a message with means: all 256 of them, in one table.

import { ACK_DONE, ACK_WORKING } from '../../../assembly/layout.ts';

/** What becomes of a message: it is gone for good. */
export const DONE = 0;
/** What becomes of a message: it is ready again, at its old place, one attempt later. */
export const FAILED = 1;

/** Not a word about any message: its consumer is still working. */
export const WORKING = 0xff;

/** DONE or FAILED, by ack byte; WORKING for the one that is none. */
export const VERDICTS: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === ACK_DONE ? DONE : FAILED,
);
VERDICTS[ACK_WORKING] = WORKING;

/** How many of the bytes answer a message. */
export function acksIn(bytes: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== ACK_WORKING) count++;
  return count;
}

/** Where the run of bytes that mean the same as the one at `from` ends, before `to` at most. */
export function sameUntil(bytes: Uint8Array, from: number, to: number): number {
  const byte = bytes[from]!;
  const verdict = VERDICTS[byte];
  let end = from + 1;
  // Most runs are of one byte: the table is asked for the others only.
  while (end < to && (bytes[end] === byte || VERDICTS[bytes[end]!] === verdict)) end++;
  return end;
}
