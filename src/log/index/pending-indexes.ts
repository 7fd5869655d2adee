// Indexes that could not be written, most likely for want of space: they are searched in memory
// until they can be, so that consumers get what waits although the disk is full.

import type { EntrySource, Found } from '../../core/ports/basics.ts';
import type { IndexQuery } from '../../core/ports/segment-index.ts';
import type { Indexed } from './indexed.ts';

interface Held {
  segment: Indexed;
  source: EntrySource;
}

// Entries that are kept at most; what is beyond has to be found on disk or not at all.
const ENTRIES_MAX = 4 * 1024 * 1024;
// Places in files begin here (indexes.ts).
const PLACE_MAX = 2 ** 32;

/** Whether a place to go on from is one in an index that was held in memory. */
export function isPendingPlace(at: number): boolean {
  return at < PLACE_MAX;
}

export class PendingIndexes {
  readonly #held = new Map<number, Held>();
  #entries = 0;

  /** Takes the index of a segment; false if it is too large. */
  add(segment: Indexed, source: EntrySource): boolean {
    this.drop(segment.base);
    if (this.#entries + source.count > ENTRIES_MAX) return false;
    this.#held.set(segment.base, { segment, source });
    this.#entries += source.count;
    return true;
  }

  /** The index of the segment based there is on disk, or not needed. */
  drop(base: number): void {
    this.#entries -= this.#held.get(base)?.source.count ?? 0;
    this.#held.delete(base);
  }

  /** The one that waits longest. */
  oldest(): Held | undefined {
    const [first] = this.#held.values();
    return first;
  }

  #of({ base, identity }: Indexed): EntrySource | undefined {
    const held = this.#held.get(base);
    return held?.segment.identity === identity ? held.source : undefined;
  }

  /** The same as a search in the segment's file (indexes.ts); undefined: it is not held. */
  find(
    segment: Indexed,
    query: Omit<IndexQuery, 'base'>,
    most: number,
  ): { found: Found[]; next: number | undefined } | undefined {
    const source = this.#of(segment);
    if (source === undefined) return undefined;
    const { lines } = source;
    const { kind, sequence, at } = query;
    const [low, high] = [query.low >>> 0, query.high >>> 0];
    const found: Found[] = [];
    for (let i = isPendingPlace(at) ? at : 0; i < source.count; i++) {
      if (lines.bucketLow(i) !== low || lines.bucketHigh(i) !== high) continue;
      if (lines.kind(i) !== kind) continue;
      if (source.sequence(i) + source.messages(i) <= sequence) continue;
      if (found.length === most) return { found, next: i };
      found.push(entry(source, i));
    }
    return { found, next: undefined };
  }

  /** Hands on all entries in order; false: the segment is not held. */
  visit(segment: Indexed, record: (low: number, high: number, found: Found) => void): boolean {
    const source = this.#of(segment);
    if (source === undefined) return false;
    const { lines } = source;
    for (let i = 0; i < source.count; i++)
      record(lines.bucketLow(i), lines.bucketHigh(i), entry(source, i));
    return true;
  }
}

function entry(source: EntrySource, i: number): Found {
  return {
    sequence: source.sequence(i),
    position: source.position(i),
    messages: source.messages(i),
    bodyBytes: source.bodyBytes(i),
    attempts: source.attempts(i),
    kind: source.lines.kind(i),
  };
}
