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

/** Looks along the line for `most` parts at most. */
export function lookahead(buckets: Buckets<unknown>, slot: number, most: number): Lookahead {
  const share = buckets.subscription(slot);
  const { entries } = buckets;
  const sought: Run[] = [];
  const returned = [...(share?.requeued.slices ?? []), ...(share?.suspects?.slices ?? [])];
  for (const run of share?.sought?.items ?? []) {
    const end = run.sequence + run.count;
    const indexed = Math.max(run.sequence, Math.min(end, entries.firstSequence));
    if (indexed > run.sequence)
      sought.push({ sequence: run.sequence, count: indexed - run.sequence });
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
  const parts = [...returned.sort(bySequence), ...ahead].slice(0, most);
  const older = buckets.headOf(slot).isOlder ? next : undefined;
  return { parts: parts.map((part) => ({ ...part })), sought, older };
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

/** Copies of the first parts of the line that are in entries; looks at `most` entries at most. */
export function inEntries(buckets: Buckets<unknown>, slot: number, most: number): Slice[] {
  const { entries } = buckets;
  const { entry: head, taken } = buckets.headOf(slot);
  const found: Found[] = [];
  for (let entry = head; entry !== 0 && found.length < most; entry = entries.next(entry))
    found.push(recordAt(buckets, entry));
  return buckets.indexed.slicesOf(slot, found, (found[0]?.sequence ?? 0) + taken);
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
