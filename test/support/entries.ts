// What an index is made from, for tests to which it does not matter.

import type { EntrySource } from '../../src/core/ports/basics.ts';

/** No message is in a segment. */
export const NO_ENTRIES: EntrySource = {
  count: 0,
  bucketLow: () => 0,
  bucketHigh: () => 0,
  sequence: () => 0,
  position: () => 0,
  messages: () => 0,
  bodyBytes: () => 0,
  attempts: () => 0,
};
