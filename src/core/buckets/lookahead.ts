// Looks along a bucket's line without taking anything: what comes next, and how old it is.

import type { Found } from '../ports/basics.ts';
import type { Buckets } from './buckets.ts';
import type { Slice } from './slice.ts';

// Entries looked at for one that is not settled: only those from before a start may be.
const ENTRIES_MAX = 64;

/**
 * Copies of what comes next in the line, as far as it was read already; `older`: the sequence from
 * which runs must be searched before the line goes on in entries, undefined where they need not.
 */
export function lookahead(
  buckets: Buckets<unknown>,
  slot: number,
  most: number,
): { parts: Slice[]; older: number | undefined } {
  const share = buckets.subscription(slot);
  const returned = [...(share?.requeued.slices ?? [])].sort((a, b) => a.sequence - b.sequence);
  const ahead = share?.ahead.slice(share.aheadAt) ?? [];
  const last = ahead.at(-1);
  const next = last === undefined ? buckets.placeOf(slot).next : last.sequence + last.count;
  const parts = [...returned, ...ahead].slice(0, most).map((part) => ({ ...part }));
  return { parts, older: buckets.headOf(slot).isOlder ? next : undefined };
}

/** Copies of the first parts of the line that are in entries; looks at `most` entries at most. */
export function inEntries(buckets: Buckets<unknown>, slot: number, most: number): Slice[] {
  const { entries } = buckets;
  const { entry: head, taken } = buckets.headOf(slot);
  const found: Found[] = [];
  for (let entry = head; entry !== 0 && found.length < most; entry = entries.next(entry)) {
    const [position, sequence] = [entries.position(entry), entries.sequence(entry)];
    const [messages, bodyBytes] = [entries.count(entry), entries.bodyBytes(entry)];
    found.push({ position, sequence, messages, bodyBytes, attempts: entries.attempts(entry) });
  }
  return buckets.indexed.slicesOf(slot, found, (found[0]?.sequence ?? 0) + taken);
}

/** What comes next, if that is known without a lookup and without moving on in the line. */
export function nextInLine(buckets: Buckets<unknown>, slot: number): Readonly<Slice> | undefined {
  const share = buckets.subscription(slot);
  const known = share?.requeued.peek() ?? share?.ahead[share.aheadAt];
  if (known !== undefined || buckets.headOf(slot).isOlder) return known;
  return inEntries(buckets, slot, ENTRIES_MAX)[0];
}

/** Sequence before which none of the bucket's ready messages stands; 0: nothing is ready. */
export function oldestReady(buckets: Buckets<unknown>, slot: number): number {
  const share = buckets.subscription(slot);
  const known = share?.requeued.peek() ?? share?.ahead[share.aheadAt];
  if (known !== undefined) return known.sequence;
  const { entry, taken, isOlder } = buckets.headOf(slot);
  if (isOlder) return Math.max(1, buckets.placeOf(slot).next);
  return entry === 0 ? 0 : buckets.entries.sequence(entry) + taken;
}
