// Finds what waits for a bucket in the indexes of older segments: from the segment where its line
// goes on to the last one before those whose entries are in memory.

import type { Buckets } from '../buckets/buckets.ts';
import type { Subscription } from '../buckets/subscription.ts';
import type { Position } from '../ports/basics.ts';
import type { SegmentIndex } from '../ports/segment-index.ts';
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

export class IndexLookup {
  readonly #options: LookupOptions;

  constructor(options: LookupOptions) {
    this.#options = options;
  }

  /** Looks up what comes next in the bucket's line, if that is due. */
  start(slot: number): void {
    const { buckets, releasing } = this.#options;
    if (!buckets.indexed.lookupDue(slot)) return;
    const share = buckets.subscription(slot)!;
    const sequence = buckets.indexed.soughtNext(share);
    if (sequence > 0) {
      this.#seek(slot, share, sequence);
      return;
    }
    const at = this.#place(slot, share);
    if (at === undefined) {
      if (!releasing()) buckets.indexed.exhausted(slot);
      return;
    }
    share.loading = true;
    share.isStale = false;
    this.#find(slot, share, at);
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

  #find(slot: number, share: Subscription<unknown>, place: { base: Position; at: number }): void {
    const { buckets, retention, index, ended, failed } = this.#options;
    const { low, high, kind, next: sequence } = buckets.placeOf(slot);
    index.find({ ...place, low, high, kind, sequence }, this.#most, (failure, found, next) => {
      if (failure !== undefined) failed(slot, place.base, failure);
      const { segments } = retention;
      const there = retention.has(place.base);
      const behind = segments[retention.indexFrom(place.base + 1)];
      if (!there)
        share.cursor = undefined; // it became part of another one meanwhile
      else if (next !== undefined && failure === undefined)
        share.cursor = { base: place.base, at: next };
      else share.cursor = { base: behind?.base ?? Number.MAX_SAFE_INTEGER, at: 0 };
      const last = found.at(-1);
      const isAll = failure !== undefined || next === undefined || last === undefined;
      const behindAll = behind?.first ?? Number.MAX_SAFE_INTEGER;
      share.readTo = !there ? 0 : isAll ? behindAll : last.sequence + last.messages;
      // In a segment that was given back meanwhile all is settled, and that may be forgotten.
      const holds = there && failure === undefined && !share.isStale;
      const messages = holds ? buckets.indexed.found(slot, found) : 0;
      if (share.isStale) share.cursor = undefined; // the line is looked up again
      const more = messages === 0 && !share.isStale ? this.#place(slot, share) : undefined;
      if (more !== undefined) {
        this.#find(slot, share, more);
        return;
      }
      share.loading = false;
      ended(slot);
    });
  }
}
