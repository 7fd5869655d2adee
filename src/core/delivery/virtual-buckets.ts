// Gives the consumers of a virtual bucket what waits in its sources. Each source is a line of its
// own and stays so: its order, its limits and what becomes of its messages are its own matter, and
// so are consumers that it has itself. Whatever changes for a source dispatches it, and what is
// answered of its messages is noted, so that it comes back into the ring that it left.
//
//   a source has something ──► in the ring ──its turn──► part of a delivery ──► behind the others
//        ▲                        │ empty, at a limit, paused, taken by others: it leaves
//        └── that changes ◄───────┘

import type { SourceRing } from '../buckets/source-ring.ts';
import type { Presence } from './presence.ts';
import type { Receiver } from './receiver.ts';
import { type Lines, SourceTurns, type SourceTurnsParts } from './source-turns.ts';
import { WatchedSources } from './watched-sources.ts';

export interface VirtualBucketsParts extends SourceTurnsParts {
  readonly consumers: Iterable<Receiver>;
  readonly presence: Pick<Presence, 'holds'>;
  readonly closing: boolean;
}

export class VirtualBuckets {
  readonly #parts: VirtualBucketsParts;
  readonly #lines: Lines;
  readonly watched: WatchedSources;
  readonly turns: SourceTurns;

  constructor(parts: VirtualBucketsParts, lines: Lines) {
    const { buckets } = parts;
    this.#parts = parts;
    this.#lines = lines;
    this.watched = new WatchedSources(buckets);
    this.turns = new SourceTurns(parts, lines, this.watched);
    buckets.sources.events = {
      forgotten: (slot, isLeft) => {
        parts.limitsOfRules?.left(slot);
        parts.maintenance.search.forgotten(slot, isLeft);
      },
    };
  }

  /** Whether somebody consumes a virtual bucket. */
  get isServed(): boolean {
    const { buckets } = this.#parts;
    for (const { slot } of buckets.sources.rings)
      if (slot !== 0 && (buckets.subscription(slot)?.consumers ?? 0) > 0) return true;
    return false;
  }

  /** Whether consumers wait and nothing is known that could be given to them. */
  starves({ slot, count, reading, apart }: SourceRing): boolean {
    if (slot === 0 || count + reading.size + apart.size > 0) return false;
    return (this.#parts.buckets.subscription(slot)?.waiting.size ?? 0) > 0;
  }

  /** A bucket has got a consumer. */
  joined(slot: number): void {
    const { sources } = this.#parts.buckets;
    const { search } = this.#parts.maintenance;
    const isKnown = sources.isOn && sources.ringOf(slot) !== undefined;
    const ring = sources.open(slot);
    if (ring === undefined) return;
    // A source may go back in its line while consumers of another bucket hold messages of it.
    this.#parts.buckets.delayed.begin();
    this.touch(slot, ring);
    if (isKnown) search.goOn();
    else {
      this.#takeOver(ring);
      search.begin();
    }
  }

  // What its consumers hold counts, from before it was virtual, too.
  #takeOver(ring: SourceRing): void {
    for (const { slot, inFlight } of this.#parts.consumers) {
      const isPlain = slot === ring.slot && inFlight.count > 0 && inFlight.level === 0;
      if (!isPlain || inFlight.shared !== undefined) continue;
      inFlight.shared = ring;
      ring.held += inFlight.count;
    }
  }

  /** A bucket has no consumer any more. */
  left(slot: number): void {
    const { sources } = this.#parts.buckets;
    const ring = sources.isOn ? sources.ringOf(slot) : undefined;
    if (ring?.slot === slot) this.watched.clear(ring);
  }

  /** Other rules are in force. */
  rulesChanged(): void {
    const { buckets } = this.#parts;
    buckets.sources.clear();
    this.watched.clear();
    for (const { slot, consumers } of [...buckets.subscriptions()])
      if (consumers > 0) this.joined(slot);
    if (buckets.sources.isOn) this.#parts.maintenance.search.beginAnew();
  }

  /** Something may be given of a bucket, or given again. */
  dispatch(slot: number): void {
    const { buckets } = this.#parts;
    if (buckets.sources.changed.length > 0) this.#goOn();
    const ring = buckets.sources.ringOf(slot);
    if (ring?.slot !== slot) this.#lines.serve(slot);
    else this.#lines.tellTaker(slot);
    if (ring === undefined) return;
    if (buckets.inUse(slot)) this.touch(slot, ring);
    this.#serve(ring);
  }

  // What consumers answered frees places, in other buckets than their own, too.
  #goOn(): void {
    const { buckets } = this.#parts;
    for (const slot of buckets.sources.changed.splice(0)) {
      const ring = buckets.inUse(slot) ? buckets.sources.ringOf(slot) : undefined;
      if (ring === undefined) continue;
      const isWanted = (buckets.subscription(slot)?.waiting.size ?? 0) > 0;
      if (slot !== ring.slot && isWanted) this.#lines.serve(slot);
      if (!buckets.inUse(slot)) continue;
      this.touch(slot, ring);
      this.watched.tidy(slot);
    }
  }

  /** A bucket joins its ring, if it may have something to give and is not there: gives whether. */
  touch(slot: number, ring: SourceRing): boolean {
    const { buckets } = this.#parts;
    const { sources } = buckets;
    const share = buckets.subscription(slot);
    if (share?.suspects !== undefined && share.suspects.size > 0) ring.apart.add(slot);
    if (share?.loading === true) return false;
    ring.stalled.delete(slot);
    const wasRead = ring.reading.delete(slot);
    if (sources.has(slot) || !sources.mayHave(slot)) return false;
    sources.add(ring, slot, wasRead);
    return true;
  }

  #serve(ring: SourceRing): void {
    const { buckets, closing, limitsOfRules, presence } = this.#parts;
    const { slot } = ring;
    const share = slot === 0 ? undefined : buckets.subscription(slot);
    if (share === undefined || share.waiting.size === 0 || closing) return;
    if (this.#lines.isPaused(slot) || presence.holds(slot)) return;
    if (ring.stalled.size > 0 && !this.#lines.releasing())
      for (const stalled of [...ring.stalled]) this.touch(stalled, ring);
    for (const consumer of share.waiting) {
      if (this.#lines.isStarved(slot)) return;
      const most = limitsOfRules!.mostOfAll(slot, ring.held);
      if (most === 0) return;
      if (!consumer.link.destroyed && !this.#deliver(ring, consumer, most)) {
        this.#parts.maintenance.search.goOn();
        return;
      }
      share.waiting.delete(consumer);
    }
  }

  #deliver(ring: SourceRing, consumer: Receiver, most: number): boolean {
    const before = ring.held;
    consumer.inFlight.shared = ring;
    const isSent = consumer.deliver(most);
    this.#parts.buckets.front.forget();
    if (!isSent) {
      consumer.inFlight.shared = undefined;
      return false;
    }
    ring.delivered(consumer.inFlight.level);
    this.#parts.limitsOfRules!.delivered(ring.slot, ring.held - before);
    return true;
  }
}
