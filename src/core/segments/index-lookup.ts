// Finds what waits for a bucket in the indexes of older segments: from the segment where its line
// goes on to the last one before those whose entries are in memory.

import type { Buckets } from '../buckets/buckets.ts';
import type { Subscription } from '../buckets/subscription.ts';
import type { Failure, Found, Position } from '../ports/basics.ts';
import type { IndexQuery, SegmentIndex } from '../ports/segment-index.ts';
import type { Retention } from './retention.ts';

export interface LookupOptions {
  buckets: Buckets<unknown>;
  retention: Retention;
  index: SegmentIndex;
  /** From where on entries are in memory. */
  memoryFrom: () => Position;
  /** Whether entries are being released that count as in memory still: nothing is passed over. */
  releasing: () => boolean;
  /** There is something to deliver, or nothing is left to be found. */
  ended: (slot: number) => void;
  failed: (slot: number, base: Position, failure: Error) => void;
}

// Records found at a time: for one bucket, and for all that are watched together, about.
const RECORDS_MAX = 256;
const RECORDS_MIN = 16;
const RECORDS_TOGETHER = 256 * 1024;
// Indexes in memory that are looked into in one turn, for one bucket.
const LOOKS_MAX = 16;
// Behind the newest one.
const NO_SEGMENT = { base: Number.POSITIVE_INFINITY, live: 1 };

export class IndexLookup {
  readonly #options: LookupOptions;
  readonly #glance: IndexQuery = { base: 0, low: 0, high: 0, kind: 0, sequence: 0, at: 0 };

  constructor(options: LookupOptions) {
    this.#options = options;
  }

  /** Looks up what comes next in the bucket's line, if that is due; at once, where indexes are in
   * memory. */
  start(slot: number): void {
    const { buckets, index, releasing } = this.#options;
    if (!buckets.indexed.lookupDue(slot)) return;
    const share = buckets.subscription(slot)!;
    const sequence = buckets.indexed.soughtNext(share);
    if (sequence > 0) {
      this.#seek(slot, share, sequence);
      return;
    }
    for (let looks = 0; ; looks++) {
      const at = this.#place(slot, share);
      if (at === undefined) {
        if (!releasing()) buckets.indexed.exhausted(slot);
        return;
      }
      share.isStale = false;
      const { low, high, kind, next } = buckets.placeOf(slot);
      const query = { base: at.base, low, high, kind, sequence: next, at: at.at };
      const now = looks < LOOKS_MAX ? index.findNow(query, this.#most) : undefined;
      if (now === undefined) {
        share.loading = true;
        this.#find(slot, share, query);
        return;
      }
      if (this.#found(slot, share, at.base, undefined, now.found, now.next) > 0) return;
    }
  }

  /**
   * Looks up what comes next in the line of a bucket that nobody consumes, as far as indexes are in
   * memory: whether it is known then, until it is taken, with nothing that has to be made for that.
   */
  glance(slot: number): boolean {
    const { buckets, index, memoryFrom, releasing, retention } = this.#options;
    const { segments } = retention;
    const query = this.#glance;
    const place = buckets.placeOf(slot);
    const bound = memoryFrom();
    query.low = place.low;
    query.high = place.high;
    query.kind = place.kind;
    query.sequence = place.next;
    let at = retention.indexOf(place.next);
    for (let looks = 0; looks < LOOKS_MAX; at++) {
      const { base, live } = segments[at] ?? NO_SEGMENT;
      if (live === 0) continue;
      if (base >= bound) {
        if (!releasing()) buckets.indexed.exhausted(slot);
        return false;
      }
      query.base = base;
      const now = index.findNow(query, 1);
      if (now === undefined) return false;
      const next = now.found[0];
      if (next !== undefined) return buckets.front.knows(slot, next);
      looks++;
    }
    return false;
  }

  // What is ready again before the place where the line goes on: in its own segment only.
  #seek(slot: number, share: Subscription<unknown>, sequence: number): void {
    const { buckets, retention, index, memoryFrom, ended, failed } = this.#options;
    const segment = retention.segments[retention.indexOf(sequence)];
    // Its entry is released, but others of its segment are not yet: then comes another call.
    if (segment === undefined || segment.base >= memoryFrom()) return;
    const { base } = segment;
    const { low, high, kind } = buckets.placeOf(slot);
    const query = { base, low, high, kind, sequence, at: 0 };
    share.loading = true;
    index.find(query, this.#most, (failure, found, next) => {
      if (failure !== undefined) failed(slot, base, failure);
      share.loading = false;
      // What came meanwhile and stands before it was not looked for.
      const isFirst = buckets.indexed.soughtNext(share) >= sequence;
      if (retention.has(base) && isFirst) {
        const last = found.at(-1);
        const behind = retention.segments[retention.indexFrom(base + 1)];
        const isAll = failure !== undefined || next === undefined || last === undefined;
        const end = isAll ? (behind?.first ?? sequence + 1) : last.sequence + last.messages;
        buckets.indexed.foundSought(slot, found, Math.max(end, sequence + 1));
      }
      ended(slot);
    });
  }

  // Records found at a time.
  get #most(): number {
    const fair = Math.floor(RECORDS_TOGETHER / Math.max(1, this.#options.buckets.watched));
    return Math.max(RECORDS_MIN, Math.min(RECORDS_MAX, fair));
  }

  // Where to look next; undefined: nowhere, the rest is in memory.
  #place(slot: number, share: Subscription<unknown>): { base: Position; at: number } | undefined {
    const { buckets, retention, memoryFrom } = this.#options;
    const bound = memoryFrom();
    const { segments } = retention;
    const { cursor } = share;
    let index =
      cursor === undefined
        ? retention.indexOf(buckets.placeOf(slot).next)
        : retention.indexFrom(cursor.base);
    while (index < segments.length && segments[index]!.live === 0) index++;
    const segment = segments[index];
    if (segment === undefined || segment.base >= bound) return undefined;
    return { base: segment.base, at: cursor?.base === segment.base ? cursor.at : 0 };
  }

  #find(slot: number, share: Subscription<unknown>, query: IndexQuery): void {
    const { index, ended, failed } = this.#options;
    const { base } = query;
    index.find(query, this.#most, (failure, found, next) => {
      if (failure !== undefined) failed(slot, base, failure);
      const messages = this.#found(slot, share, base, failure, found, next);
      const more = messages === 0 && !share.isStale ? this.#place(slot, share) : undefined;
      if (more !== undefined) {
        const { next: sequence } = this.#options.buckets.placeOf(slot);
        this.#find(slot, share, { ...query, ...more, sequence });
        return;
      }
      share.loading = false;
      ended(slot);
    });
  }

  // Takes over what the index of the segment at `base` gave; gives how many messages of it wait.
  #found(
    slot: number,
    share: Subscription<unknown>,
    base: Position,
    failure: Failure,
    found: readonly Found[],
    next: number | undefined,
  ): number {
    const { buckets, retention } = this.#options;
    const there = retention.has(base);
    const behind = retention.segments[retention.indexFrom(base + 1)];
    if (!there)
      share.cursor = undefined; // it became part of another one meanwhile
    else if (next !== undefined && failure === undefined) share.cursor = { base, at: next };
    else share.cursor = { base: behind?.base ?? Number.MAX_SAFE_INTEGER, at: 0 };
    const last = found.at(-1);
    const isAll = failure !== undefined || next === undefined || last === undefined;
    const behindAll = behind?.first ?? Number.MAX_SAFE_INTEGER;
    share.readTo = !there ? 0 : isAll ? behindAll : last.sequence + last.messages;
    // In a segment that was given back meanwhile all is settled, and that may be forgotten.
    const holds = there && failure === undefined && !share.isStale;
    const messages = holds ? buckets.indexed.found(slot, found) : 0;
    if (share.isStale) share.cursor = undefined; // the line is looked up again
    return messages;
  }
}
