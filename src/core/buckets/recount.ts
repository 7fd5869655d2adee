// What buckets hold once the log was read: counted anew from the entries that are in memory, as
// what was released meanwhile is counted when it is found.

import type { BucketIndex } from './bucket-index.ts';
import {
  type BucketTable,
  COUNTED,
  countsAt,
  FLAGS,
  KIND_BITS,
  NEXT,
  numbersAt,
  OLDER,
  READY,
  UNCOUNTED,
  USED,
  wordsAt,
} from './bucket-table.ts';
import type { Entries } from './entries.ts';
import type { Unsettled } from './unsettled.ts';

export interface RecountParts {
  readonly table: BucketTable;
  readonly index: Pick<BucketIndex, 'find'>;
  readonly entries: Entries;
  readonly unsettled: Unsettled;
}

/** An entry that is at most so many messages away is walked to, not sought. */
const NEAR = 64;

/** `isPartial`: some messages are in indexes whose buckets are not known. */
export function recount(
  parts: RecountParts,
  delayed: { found(slot: number, sequence: number, messages: number): void },
  isPartial: boolean,
): void {
  const { table, index, entries, unsettled } = parts;
  for (const slot of table.slots()) {
    const { counts, numbers, words } = table.page(slot);
    counts[countsAt(slot) + READY] = 0;
    const at = wordsAt(slot) + FLAGS;
    const known = isPartial ? OLDER | UNCOUNTED : COUNTED;
    words[at] = (words[at]! & KIND_BITS) | USED | known;
    if (isPartial) numbers[numbersAt(slot) + NEXT] = 0;
  }
  for (const entry of entriesLeft(entries, unsettled)) {
    const [low, high] = [entries.bucketLow(entry), entries.bucketHigh(entry)];
    const slot = index.find(low, high, entries.kind(entry));
    if (slot === 0) continue;
    const [sequence, count] = [entries.sequence(entry), entries.count(entry)];
    table.page(slot).counts[countsAt(slot) + READY]! += unsettled.countOf(sequence, count);
    delayed.found(slot, sequence, count);
  }
}

// Entries with messages that are not settled. There may be a million others, and clients wait.
function* entriesLeft(entries: Entries, unsettled: Unsettled): Generator<number> {
  let left = 0;
  for (let entry = entries.from; entry < entries.end; ) {
    const sequence = entries.sequence(entry);
    if (left < sequence) left = unsettled.firstLeft(sequence);
    const isLeft = left < sequence + entries.count(entry);
    if (isLeft) yield entry;
    const isFar = !isLeft && left - sequence > NEAR;
    entry = isFar ? Math.max(entry + 1, entries.at(left)) : entry + 1;
  }
}
