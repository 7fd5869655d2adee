// Gives the consumers of a bucket what is ready: whose turn it is, what keeps a delivery back, and
// what has to be read from disk before. Of a session it knows only whether it took something.
//
//   held back by:   closing, a taker, a pause, a standstill, what is still on disk, full buffers

import { assert } from '../assert.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Failure, Position } from '../ports/basics.ts';
import type { ByteStream } from '../ports/link.ts';
import type { Notices } from '../ports/notices.ts';
import type { RecordReader } from '../ports/reader.ts';
import type { SegmentIndex } from '../ports/segment-index.ts';
import { Lookup } from '../segments/index-lookup.ts';
import type { Indexing } from '../segments/indexing.ts';
import type { Retention } from '../segments/retention.ts';
import * as notices from './notices.ts';
import type { Paused } from './paused.ts';
import type { Presence } from './presence.ts';

/** A consumer, as far as it is served. */
export interface Receiver {
  readonly link: Pick<ByteStream, 'destroyed'>;
  /** Sends the next batch; false: its first message is still on disk. */
  deliver(): boolean;
}

/** The parts of the broker that it asks. */
export interface DispatcherParts {
  readonly buckets: Buckets<Receiver>;
  readonly retention: Retention;
  readonly commit: { hot(position: Position): number };
  readonly indexing: Pick<Indexing, 'memoryFrom' | 'releasing'>;
  readonly paused: Paused;
  readonly presence: Presence;
  readonly budget: { readonly over: boolean };
  readonly counters: Counters;
  readonly notices: Notices;
  /** No new deliveries: what is in flight may finish. */
  readonly closing: boolean;
}

export interface DispatcherOptions {
  reader: RecordReader;
  index: SegmentIndex;
  /** Something is done: ticks go on. */
  stir: () => void;
  /** What an index says of a bucket cannot be had. */
  notFound: (slot: number, base: Position, failure: Error) => void;
}

export class Dispatcher {
  /** Who takes a bucket's line instead of its consumers, by slot: a purge. */
  readonly takers = new Map<number, () => void>();
  readonly #parts: DispatcherParts;
  readonly #options: DispatcherOptions;
  readonly #lookup: Lookup;
  // Buckets whose next delivery waits until the budget has room.
  readonly #starved = new Set<number>();

  constructor(parts: DispatcherParts, options: DispatcherOptions) {
    this.#parts = parts;
    this.#options = options;
    const { buckets, retention, indexing, presence } = parts;
    this.#lookup = new Lookup({
      buckets,
      retention,
      index: options.index,
      memoryFrom: () => indexing.memoryFrom,
      releasing: () => indexing.releasing,
      ended: (slot) => {
        presence.check();
        this.dispatch(slot);
        buckets.tidy(slot);
      },
      failed: options.notFound,
    });
  }

  /** Whether a delivery waits until the budget has room. */
  get isStarved(): boolean {
    return this.#starved.size > 0;
  }

  /** Gives waiting consumers of a bucket what is ready. */
  dispatch(slot: number): void {
    const { buckets, budget, paused, presence, closing } = this.#parts;
    this.#options.stir();
    const share = buckets.share(slot);
    if (share === undefined || closing) return;
    const taker = this.takers.get(slot);
    taker?.();
    if (taker !== undefined) return;
    if (paused.count > 0 && paused.has(buckets.idOf(slot))) return;
    if (presence.holds(slot)) return;
    for (const consumer of share.waiting) {
      if (buckets.peek(slot) === undefined) this.#lookup.start(slot);
      if (buckets.peek(slot) === undefined) return;
      if (budget.over) {
        this.#starved.add(slot);
        return;
      }
      if (!consumer.link.destroyed && !consumer.deliver()) return;
      share.waiting.delete(consumer);
    }
    // Whoever comes next finds it there already.
    if (share.consumers > 0) this.#lookup.start(slot);
  }

  /** Deliveries go on that waited for memory, if there is some. */
  feed(): void {
    if (this.#parts.budget.over || this.#starved.size === 0) return;
    const slots = [...this.#starved];
    this.#starved.clear();
    for (const slot of slots) this.dispatch(slot);
  }

  /** Looks up what comes next in a bucket's line, if it is not in memory. */
  lookup(slot: number): void {
    this.#lookup.start(slot);
  }

  /** Place of a record in memory, or -1 while it is being read for the bucket. */
  fetch(slot: number, position: Position, recordBytes: number): number {
    const { buckets, commit, presence } = this.#parts;
    const { reader } = this.#options;
    const hot = commit.hot(position);
    if (hot >= 0) return hot;
    const cold = reader.resident(position, recordBytes);
    if (cold >= 0) return cold;
    const share = buckets.share(slot);
    assert(share !== undefined, 'a record was fetched for a bucket that nobody shares');
    if (share.loading) return -1;
    share.loading = true;
    const done = (failure: Failure) => {
      presence.check();
      share.loading = false;
      if (failure !== undefined) this.#setAside(slot, position, failure);
      this.dispatch(slot);
      buckets.tidy(slot);
    };
    reader.load(position, recordBytes, done);
    return -1;
  }

  // A record cannot be read back: it stays on disk, untouched and reported, and the others go on.
  #setAside(slot: number, position: Position, failure: Error): void {
    const { buckets, counters, notices: operator } = this.#parts;
    const next = buckets.peek(slot);
    if (next === undefined || next.position !== position) return;
    const part = buckets.setAside(slot, next);
    counters.unreadableMessages += part.count;
    const { sequence, count } = part;
    const text = notices.unreadable(buckets.idOf(slot), part, failure);
    operator.notice('error', 'log.unreadable', text, { position, sequence, count });
  }
}
