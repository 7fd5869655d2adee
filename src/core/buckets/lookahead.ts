// Looks along a bucket's line without taking anything: what comes next, and how old it is.

import type { Found } from '../ports/basics.ts';
import type { Buckets } from './buckets.ts';
import { soughtNext } from './seeking.ts';
import type { Slice } from './slice.ts';
import type { Run } from './sought.ts';

// Entries looked at for one that is not settled: only those from before a start may be.
const ENTRIES_MAX = 64;

/** What comes next in a line, as far as that is known without looking into indexes. */
export interface Lookahead {
  /** Copies of parts, in order. */
  parts: Slice[];
  /** What stands before the line in indexes and must be looked up, too: at most `most` runs. */
  sought: Run[];
  /** The sequence from which runs must be searched before the line goes on in entries. */
  older: number | undefined;
}

/** Looks along the line, from the sequence `from` on, for `most` parts at most. */
export function lookahead(
  buckets: Buckets<unknown>,
  slot: number,
  most: number,
  from = 0,
): Lookahead {
  const share = buckets.subscription(slot);
  const { entries } = buckets;
  const sought: Run[] = [];
  const returned = [...(share?.requeued.slices ?? []), ...(share?.suspects?.slices ?? [])];
  for (const run of share?.sought?.items ?? []) {
    const end = run.sequence + run.count;
    const begin = Math.max(run.sequence, from);
    const indexed = Math.max(begin, Math.min(end, entries.firstSequence));
    if (indexed > begin) sought.push({ sequence: begin, count: indexed - begin });
    for (let at = indexed; at < end; ) {
      const record = recordAt(buckets, entries.at(at));
      returned.push(...partsOf(buckets, slot, [record], { sequence: at, count: end - at }));
      at = record.sequence + record.messages;
    }
  }
  sought.sort(bySequence).splice(most);
  const ahead = share?.ahead.slice(share.aheadAt) ?? [];
  const last = ahead.at(-1);
  const next = last === undefined ? buckets.placeOf(slot).next : last.sequence + last.count;
  const parts = behind([...returned.sort(bySequence), ...ahead], from).slice(0, most);
  const older = buckets.headOf(slot).isOlder ? Math.max(next, from) : undefined;
  return { parts, sought, older };
}

/** Copies of what is in the parts from a sequence on. */
function behind(parts: readonly Slice[], from: number): Slice[] {
  const copies = parts.map((part) => ({ ...part }));
  for (const part of copies) {
    const cut = Math.max(0, Math.min(part.count, from - part.sequence));
    part.sequence += cut;
    part.first += cut;
    part.count -= cut;
  }
  return copies.filter(({ count }) => count > 0);
}

/** What is ready of a run, in a bucket's records that were found. */
export function partsOf(
  buckets: Buckets<unknown>,
  slot: number,
  records: readonly Found[],
  { sequence, count }: Run,
): Slice[] {
  const end = sequence + count;
  const parts = buckets.indexed.slicesOf(slot, records, sequence);
  for (const part of parts) part.count = Math.min(part.count, end - part.sequence);
  return parts.filter((part) => part.count > 0);
}

function recordAt({ entries }: Buckets<unknown>, entry: number): Found {
  return {
    position: entries.position(entry),
    sequence: entries.sequence(entry),
    messages: entries.count(entry),
    bodyBytes: entries.bodyBytes(entry),
    attempts: entries.attempts(entry),
    kind: entries.kind(entry),
  };
}

function bySequence(a: { sequence: number }, b: { sequence: number }): number {
  return a.sequence - b.sequence;
}

/**
 * Copies of the first parts of the line that are in entries, from the sequence `from` on; looks at
 * `most` entries at most.
 */
export function inEntries(
  buckets: Buckets<unknown>,
  slot: number,
  most: number,
  from = 0,
): Slice[] {
  const { entries } = buckets;
  const { entry: head, taken } = buckets.headOf(slot);
  const first = head === 0 ? 0 : entries.sequence(head) + taken;
  const found: Found[] = [];
  let entry = entryAt(buckets, slot, head, from);
  for (; entry !== 0 && found.length < most; entry = entries.next(entry))
    if (entries.sequence(entry) + entries.count(entry) > from) found.push(recordAt(buckets, entry));
  return buckets.indexed.slicesOf(slot, found, Math.max(first, from));
}

// Somewhere in the line, not behind a sequence: at it, if what is there is of this line. A line may
// be long, and whoever looks at it page by page is not to walk along all of it for each.
function entryAt(buckets: Buckets<unknown>, slot: number, head: number, from: number): number {
  const { entries } = buckets;
  if (head === 0 || from <= entries.sequence(head)) return head;
  const entry = entries.at(from - 1);
  const { low, high, kind } = buckets.placeOf(slot);
  const isOwn = entries.bucketLow(entry) === low && entries.bucketHigh(entry) === high;
  return entry > head && isOwn && entries.kind(entry) === kind ? entry : head;
}

/** What comes next, if that is known without a lookup and without moving on in the line. */
export function nextInLine(buckets: Buckets<unknown>, slot: number): Readonly<Slice> | undefined {
  const share = buckets.subscription(slot);
  if (share?.sought !== undefined && buckets.indexed.soughtNext(share) > 0) return undefined;
  const known = share?.requeued.peek() ?? share?.ahead[share.aheadAt];
  if (known !== undefined || buckets.headOf(slot).isOlder) return known;
  return inEntries(buckets, slot, ENTRIES_MAX)[0];
}

/** Sequence before which none of the bucket's ready messages stands; 0: nothing is ready. */
export function oldestReady(buckets: Buckets<unknown>, slot: number): number {
  if (buckets.readyOf(slot) <= 0 && buckets.isCounted(slot)) return 0;
  const suspect = buckets.subscription(slot)?.suspects?.first()?.sequence ?? 0;
  const rest = oldestInLine(buckets, slot);
  return suspect > 0 && rest > 0 ? Math.min(suspect, rest) : suspect + rest;
}

function oldestInLine(buckets: Buckets<unknown>, slot: number): number {
  const share = buckets.subscription(slot);
  const sought = share === undefined ? 0 : soughtNext(share);
  if (sought > 0) return sought;
  const known = share?.requeued.peek() ?? share?.ahead[share.aheadAt];
  if (known !== undefined) return known.sequence;
  const { entry, taken, isOlder } = buckets.headOf(slot);
  if (isOlder) return Math.max(1, buckets.placeOf(slot).next);
  return entry === 0 ? 0 : buckets.entries.sequence(entry) + taken;
}
