// Gives the consumers of a bucket what is ready: whose turn it is, what keeps a delivery back, and
// what has to be read from disk before. Of a session it knows only whether it took something.
//
//   held back by:   no permission, closing, a taker, a pause, a standstill, what is still on disk,
//                   full buffers, deferrals to be written, a rule: messages in flight, the rate;
//                   what is dead and cannot be moved now

import { BATCH_MESSAGES_MAX } from '../../../assembly/layout.ts';
import { assert } from '../assert.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Subscription } from '../buckets/subscription.ts';
import type { Commit } from '../commit/commit.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Notices } from '../ports/notices.ts';
import type { RecordReader } from '../ports/reader.ts';
import type { SegmentIndex } from '../ports/segment-index.ts';
import { IndexLookup } from '../segments/index-lookup.ts';
import type { Indexing } from '../segments/indexing.ts';
import type { Retention } from '../segments/retention.ts';
import type { DeliveryLimits } from './delivery-limits.ts';
import type { Dying } from './dying.ts';
import type { Paused } from './paused.ts';
import type { Permission } from './permission.ts';
import type { Newcomer, Presence } from './presence.ts';
import type { Receiver } from './receiver.ts';
import { RecordFetch } from './record-fetch.ts';
import type { Settlement } from './settlement.ts';
import { VirtualBuckets, type VirtualBucketsParts } from './virtual-buckets.ts';

/** The parts of the broker that it asks. */
export interface DispatcherParts {
  readonly buckets: Buckets<Receiver>;
  readonly consumers: Iterable<Receiver>;
  readonly maintenance: VirtualBucketsParts['maintenance'];
  readonly retention: Retention;
  readonly commit: Pick<Commit, 'hot' | 'marks' | 'refuses'>;
  readonly indexing: Pick<Indexing, 'memoryFrom' | 'releasing'>;
  readonly paused: Paused;
  readonly presence: Presence;
  /** What rules allow; undefined: there are none. */
  readonly limitsOfRules: DeliveryLimits | undefined;
  /** Takes what is dead out of a line. */
  readonly dying: Pick<Dying, 'isPossible' | 'clear'>;
  readonly budget: { readonly over: boolean };
  readonly counters: Counters;
  readonly settlement: Settlement;
  readonly notices: Notices;
  /** No new deliveries: what is in flight may finish. */
  readonly closing: boolean;
  readonly permission: Permission;
  /** Something is done: ticks go on. */
  stir(): void;
}

export interface DispatcherOptions {
  reader: RecordReader;
  index: SegmentIndex;
}

export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #lookup: IndexLookup;
  /** What is delivered, in memory. */
  readonly records: RecordFetch;
  /** Gives what waits in other buckets, where rules say so. */
  readonly virtual: VirtualBuckets;
  // Who takes a bucket's line instead of its consumers, by slot: the first one does.
  readonly #takers = new Map<number, (() => void)[]>();
  // Buckets whose next delivery waits until the budget, or what waits to be written, has room.
  readonly #starved = new Set<number>();

  constructor(parts: DispatcherParts, options: DispatcherOptions) {
    this.#parts = parts;
    const { buckets, retention, indexing, presence } = parts;
    const ended = (slot: number) => {
      presence.check();
      this.dispatch(slot);
      buckets.tidy(slot);
    };
    this.records = new RecordFetch(parts, options.reader, ended);
    this.#lookup = new IndexLookup({
      buckets,
      retention,
      index: options.index,
      memoryFrom: () => indexing.memoryFrom,
      releasing: () => indexing.releasing,
      ended,
      failed: (slot, base, failure) => this.records.notFound(slot, base, failure),
    });
    this.virtual = new VirtualBuckets(parts, {
      records: this.records,
      serve: (slot) => this.#serve(slot),
      lookup: (slot) => this.#lookup.start(slot),
      glance: (slot) => this.#lookup.glance(slot),
      isTaken: (slot) => this.#takers.has(slot),
      tellTaker: (slot) => this.#tellTaker(slot),
      isPaused: (slot) => parts.paused.count > 0 && this.#isPaused(slot),
      isStarved: (slot) => this.#starves(slot),
      releasing: () => indexing.releasing,
    });
  }

  /** Whether a delivery waits for room. */
  get isStarved(): boolean {
    return this.#starved.size > 0;
  }

  // --- who stands in a line ---------------------------------------------------------------------

  /** A consumer wants a bucket's messages: gives its slot. It begins when it is surely there. */
  join(consumer: Newcomer, low: number, high: number): number {
    const { buckets, presence } = this.#parts;
    const slot = buckets.open(low, high);
    buckets.openSubscription(slot).consumers++;
    this.virtual.joined(slot);
    presence.arrives(consumer);
    return slot;
  }

  /** A consumer could take a batch. */
  want(consumer: Receiver): void {
    this.#parts.buckets.subscription(consumer.slot)!.waiting.add(consumer);
    this.dispatch(consumer.slot);
  }

  /** A consumer takes none for now. */
  unwant(consumer: Receiver): void {
    this.#parts.buckets.subscription(consumer.slot)?.waiting.delete(consumer);
  }

  /** A consumer is gone, and holds nothing any more. */
  leave(consumer: Receiver): void {
    const { slot } = consumer;
    this.unwant(consumer);
    this.#leave(slot);
  }

  /**
   * Whatever takes a bucket's line instead of its consumers, until `release`; `taker` is called when
   * there may be something to take. Those that came before it go first.
   */
  occupy(slot: number, taker: () => void): void {
    const takers = this.#takers.get(slot);
    const { buckets } = this.#parts;
    const share = buckets.openSubscription(slot);
    // It shares the bucket as a consumer does, so that what is in indexes is looked up.
    share.consumers++;
    buckets.isolation.all(share);
    if (takers === undefined) this.#takers.set(slot, [taker]);
    else takers.push(taker);
  }

  /** It leaves the line to the next one, or to the bucket's consumers. */
  release(slot: number, taker: () => void): void {
    const left = this.#takers.get(slot)?.filter((each) => each !== taker) ?? [];
    if (left.length > 0) this.#takers.set(slot, left);
    else this.#takers.delete(slot);
    this.#leave(slot);
  }

  /** How long who holds a delivery of a bucket may be silent, in ms; 0: for ever. */
  leaseMs(slot: number): number {
    return this.#parts.limitsOfRules?.leaseMs(slot) ?? 0;
  }

  /** How many take the line of a bucket, or wait to do so, before its consumers. */
  takersOf(slot: number): number {
    return this.#takers.get(slot)?.length ?? 0;
  }

  #leave(slot: number): void {
    const { buckets } = this.#parts;
    const share = buckets.subscription(slot);
    assert(share !== undefined, 'a consumer left a bucket that nobody shares');
    share.consumers--;
    if (share.consumers === 0) {
      this.#parts.limitsOfRules?.left(slot);
      this.virtual.left(slot);
    }
    this.dispatch(slot);
    buckets.tidy(slot);
  }

  // --- what they are given ----------------------------------------------------------------------

  /** Gives waiting consumers of a bucket what is ready, and those of its virtual bucket. */
  dispatch(slot: number): void {
    const { buckets, permission } = this.#parts;
    this.#parts.stir();
    if (permission.holds(slot)) return;
    if (buckets.sources.isOn) this.virtual.dispatch(slot);
    else this.#serve(slot);
  }

  #serve(slot: number): void {
    const { buckets, paused, presence, limitsOfRules, closing } = this.#parts;
    const share = buckets.subscription(slot);
    if (share === undefined || closing || this.#tellTaker(slot)) return;
    if (paused.count > 0 && this.#isPaused(slot)) return;
    if (presence.holds(slot)) return;
    for (const consumer of share.waiting) {
      if (!this.#isAlive(slot, share)) return;
      if (this.#starves(slot)) return;
      const most = limitsOfRules === undefined ? BATCH_MESSAGES_MAX : limitsOfRules.most(slot);
      if (most === 0) return;
      if (!consumer.link.destroyed) {
        const before = buckets.unackedOf(slot);
        if (!consumer.deliver(most)) return;
        if (share.suspects !== undefined)
          buckets.isolation.delivered(share, consumer.inFlight.level);
        limitsOfRules?.delivered(slot, buckets.unackedOf(slot) - before);
      }
      share.waiting.delete(consumer);
    }
    // Whoever comes next finds it there already.
    if (share.consumers > 0) this.#lookup.start(slot);
  }

  // Whether somebody takes the line of a bucket instead of its consumers: then it is told.
  #tellTaker(slot: number): boolean {
    const { buckets } = this.#parts;
    const taker = this.#takers.get(slot)?.[0];
    if (taker === undefined) return false;
    buckets.isolation.all(buckets.subscription(slot)!);
    taker();
    return true;
  }

  // Whether there is no room for deliveries now; then the bucket is dispatched later.
  #starves(slot: number): boolean {
    const { budget, commit } = this.#parts;
    const starves = budget.over || (commit.marks.isFull && !commit.refuses);
    if (starves) this.#starved.add(slot);
    return starves;
  }

  // Whether something is to be given that may be delivered: what is next and dead is handed on.
  #isAlive(slot: number, share: Subscription<Receiver>): boolean {
    const { dying, limitsOfRules } = this.#parts;
    // One after the other: a suspect may come next, which is met only behind what is dead.
    const inOrder = dying.isPossible && limitsOfRules?.isInOrder(slot) === true;
    const choose = inOrder ? () => this.#isReady(slot, share) : undefined;
    for (;;) {
      if (!this.#isReady(slot, share)) return false;
      const head = dying.isPossible ? dying.clear(slot, choose) : 'alive';
      if (head !== 'empty') return head === 'alive';
    }
  }

  // Whether there is something to give; suspects and the rest take turns.
  #isReady(slot: number, share: Subscription<Receiver>): boolean {
    const { buckets, limitsOfRules } = this.#parts;
    share.suspects?.others();
    if (buckets.peek(slot) === undefined) this.#lookup.start(slot);
    const rest = buckets.peek(slot);
    buckets.isolation.tidy(share);
    if (share.suspects === undefined) return rest !== undefined;
    // What stands first may be a suspect, too, and is being looked up.
    if (rest === undefined && share.sought !== undefined) return false;
    const inOrder = limitsOfRules?.isInOrder(slot) ?? false;
    return buckets.isolation.choose(share, rest?.sequence ?? 0, inOrder);
  }

  #isPaused(slot: number): boolean {
    const { buckets, paused } = this.#parts;
    const { low, high } = buckets.placeOf(slot);
    return paused.holds(low, high);
  }

  /** Deliveries go on that waited for room, if there is some. */
  feed(): void {
    const { budget, commit } = this.#parts;
    if (this.#starved.size === 0 || budget.over) return;
    if (commit.marks.isFull && !commit.refuses) return;
    const slots = [...this.#starved];
    this.#starved.clear();
    for (const slot of slots) this.dispatch(slot);
  }

  /** Looks up what comes next in a bucket's line, if it is not in memory. */
  lookup(slot: number): void {
    this.#lookup.start(slot);
  }
}
