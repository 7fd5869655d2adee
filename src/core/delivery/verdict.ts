// What each byte that a consumer answers a message with means: all 256 of them, in one table.

import {
  ACK_DONE,
  ACK_REJECTED,
  ACK_RELEASED,
  ACK_RETRY,
  ACK_RETRY_EXPONENT_MAX,
  ACK_RETRY_FREE,
  ACK_WORKING,
} from '../../../assembly/layout.ts';

/** What becomes of a message: it is gone for good. */
export const DONE = 0;
/** What becomes of a message: it is ready again, when its rule says so, one attempt later. */
export const FAILED = 1;
/** What becomes of a message: it is ready again at once, and no attempt is charged. */
export const RELEASED = 2;
/** What becomes of a message: it is dead. */
export const REJECTED = 3;
// From here on, two rows of verdicts that name a time: the same number is the same verdict.
const FAILED_FOR = 0x40;
const RELEASED_FOR = 0x60;

/** Not a word about any message: its consumer is still working. */
export const WORKING = 0xff;

/** Meaning by ack byte. All that have none of their own mean failed. */
export const VERDICTS: Uint8Array = new Uint8Array(256).fill(FAILED);
VERDICTS[ACK_DONE] = DONE;
VERDICTS[ACK_REJECTED] = REJECTED;
VERDICTS[ACK_RELEASED] = RELEASED;
for (let e = 0; e <= ACK_RETRY_EXPONENT_MAX; e++) {
  VERDICTS[ACK_RETRY + e] = FAILED_FOR + e;
  VERDICTS[ACK_RETRY_FREE + e] = RELEASED_FOR + e;
}
VERDICTS[ACK_WORKING] = WORKING;

/** Whether a verdict other than DONE says that no attempt is charged. */
export function isFree(verdict: number): boolean {
  return verdict === RELEASED || verdict >= RELEASED_FOR;
}

/** The time that a verdict names, in ms; undefined: it leaves that to the rule, or names none. */
export function delayOf(verdict: number): number | undefined {
  return verdict < FAILED_FOR ? undefined : 2 ** (verdict & ACK_RETRY_EXPONENT_MAX);
}

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
