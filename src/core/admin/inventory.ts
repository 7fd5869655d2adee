// Pages of buckets in an order, without ever looking at all of them in one turn: one pass over the
// slots in slices, keeping the best rows behind the cursor. Counts move while it walks, so a page
// is a view of a living thing: a bucket whose place changes between pages may be seen twice or not.

import type { BucketSort } from '../../contract/commands.ts';
import type { Broker } from '../broker.ts';
import { oldestReady } from '../buckets/lookahead.ts';
import { Heap } from '../collections/heap.ts';

/** Slots looked at in one turn; fewer where ids must be written out to be compared. */
const SLICE = 4096;
const SLICE_PREFIX = 1024;

export interface PageQuery {
  sort: BucketSort;
  limit: number;
  cursor: Place | undefined;
  prefix: string | undefined;
  /** Of the lines (layout.ts). */
  kind: number;
}

/** A bucket's place in an order. */
export interface Place {
  value: number;
  high: number;
  low: number;
}

interface Candidate extends Place {
  slot: number;
}

/** Text to continue a page with. */
export function cursorText(sort: BucketSort, { value, high, low }: Place): string {
  return `${sort}:${value}:${high}:${low}`;
}

/** Reads it back; undefined if it is no such text, or of another order. */
export function parseCursor(sort: BucketSort, text: string): Place | undefined {
  const [name, ...rest] = text.split(':');
  const numbers = rest.map(Number);
  if (name !== sort || rest.length !== 3 || rest.includes('') || numbers.some(Number.isNaN))
    return undefined;
  return { value: numbers[0]!, high: numbers[1]!, low: numbers[2]! };
}

// Largest first, then by id, smallest first.
function compare(a: Place, b: Place): number {
  return b.value - a.value || a.high - b.high || a.low - b.low;
}

// What a page will hold, the worst on top, so that most slots cost one comparison.
class Best extends Heap<Candidate> {
  protected override before(a: Candidate, b: Candidate): boolean {
    return compare(a, b) > 0;
  }
}

/**
 * Finds the `limit` buckets that follow the cursor; `soon` is asked for each further slice, and
 * `done` gets the slots in order and the place of the last one if there may be more.
 */
export function pageOf(
  broker: Broker,
  query: PageQuery,
  soon: (call: () => void) => void,
  done: (slots: number[], next: Place | undefined) => void,
): void {
  const { buckets } = broker;
  const { sort, limit, cursor, prefix, kind } = query;
  const best = new Best();
  let more = false;
  const value = (slot: number): number => {
    if (sort === 'backlog') return buckets.readyOf(slot) + buckets.unackedOf(slot);
    if (sort === 'age') return -(oldestReady(buckets, slot) || Number.MAX_SAFE_INTEGER);
    if (sort === 'rate') return buckets.rates.publishedOf(slot) + buckets.rates.settledOf(slot);
    return 0;
  };
  const consider = (slot: number) => {
    if (!buckets.inUse(slot) || buckets.kindOf(slot) !== kind) return;
    if (prefix !== undefined && !buckets.idOf(slot).startsWith(prefix)) return;
    const ordered = value(slot);
    // Most slots are done with here, at the price of a number or two.
    if (cursor !== undefined && ordered > cursor.value) return;
    if (best.size === limit && ordered < best.peek()!.value) {
      more = true;
      return;
    }
    const { low, high } = buckets.placeOf(slot);
    const candidate = { slot, low, high, value: ordered };
    if (cursor !== undefined && compare(candidate, cursor) <= 0) return;
    if (best.size < limit) {
      best.push(candidate);
      return;
    }
    more = true;
    if (compare(candidate, best.peek()!) < 0) best.replace(candidate);
  };
  const slice = prefix === undefined ? SLICE : SLICE_PREFIX;
  const walk = (from: number) => {
    const to = Math.min(from + slice, buckets.slotsEnd);
    for (let slot = from; slot < to; slot++) consider(slot);
    if (to < buckets.slotsEnd) {
      soon(() => walk(to));
      return;
    }
    const rows = [...best.items].sort(compare);
    const last = rows.at(-1);
    // Some may be gone by now, and their slots stand for others.
    const there = rows.filter(({ slot, low, high }) => buckets.find(low, high, kind) === slot);
    done(
      there.map(({ slot }) => slot),
      more ? last : undefined,
    );
  };
  walk(1);
}
