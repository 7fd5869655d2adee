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
    const at = this.#place(slot, share);
    if (at === undefined) {
      if (!releasing()) buckets.indexed.exhausted(slot);
      return;
    }
    share.loading = true;
    this.#find(slot, share, at);
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
    const { low, high, next: sequence } = buckets.placeOf(slot);
    const fair = Math.floor(RECORDS_TOGETHER / Math.max(1, buckets.watched));
    const most = Math.max(RECORDS_MIN, Math.min(RECORDS_MAX, fair));
    index.find({ ...place, low, high, sequence }, most, (failure, found, next) => {
      if (failure !== undefined) failed(slot, place.base, failure);
      const { segments } = retention;
      const there = retention.has(place.base);
      const behind = segments[retention.indexFrom(place.base + 1)];
      if (!there)
        share.cursor = undefined; // it became part of another one meanwhile
      else if (next !== undefined && failure === undefined)
        share.cursor = { base: place.base, at: next };
      else share.cursor = { base: behind?.base ?? Number.MAX_SAFE_INTEGER, at: 0 };
      // In a segment that was given back meanwhile all is settled, and that may be forgotten.
      const messages = there && failure === undefined ? buckets.indexed.found(slot, found) : 0;
      const more = messages === 0 ? this.#place(slot, share) : undefined;
      if (more !== undefined) {
        this.#find(slot, share, more);
        return;
      }
      share.loading = false;
      ended(slot);
    });
  }
}
