// What an index or a checkpoint is made from, for tests to which it does not matter.

import type { EntrySource } from '../../src/core/ports/basics.ts';
import type { NumbersSource } from '../../src/core/ports/upkeep.ts';

/** No message is in a segment. */
export const NO_ENTRIES: EntrySource = {
  count: 0,
  lines: { bucketLow: () => 0, bucketHigh: () => 0, kind: () => 0 },
  sequence: () => 0,
  position: () => 0,
  messages: () => 0,
  bodyBytes: () => 0,
  attempts: () => 0,
};

const none = { pages: () => [] };

/** No message was moved or deferred. */
export const NO_NUMBERS: NumbersSource = {
  waiting: none,
  placed: none,
  dead: none,
  settings: none,
  turns: none,
  levels: none,
};
