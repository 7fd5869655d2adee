// Sources that are watched for their virtual bucket as if they had a consumer, so that what is on
// disk of them is looked up: those of which something had to be, as many as there is memory for.

import type { Buckets } from '../buckets/buckets.ts';
import type { SourceRing } from '../buckets/source-ring.ts';
import type { Subscription } from '../buckets/subscription.ts';
import type { Receiver } from './receiver.ts';

/** Over all virtual buckets. */
const WATCHED_MAX = 4096;

export class WatchedSources {
  readonly #buckets: Buckets<Receiver>;
  // Longest ago first.
  readonly #slots = new Set<number>();

  constructor(buckets: Buckets<Receiver>) {
    this.#buckets = buckets;
  }

  /** Whether a bucket is watched, which counts as one of its consumers. */
  has(slot: number): boolean {
    return this.#slots.has(slot);
  }

  /** Watches a source; if there are too many, the first is left alone. */
  add(ring: SourceRing, slot: number): Subscription<Receiver> {
    const share = this.#buckets.openSubscription(slot);
    if (slot === ring.slot || this.#slots.has(slot)) return share;
    this.#slots.add(slot);
    share.consumers++;
    if (this.#slots.size <= WATCHED_MAX) return share;
    const [oldest] = this.#slots;
    this.delete(oldest!);
    return share;
  }

  /** Leaves a source alone: its line goes back to what is next. */
  delete(slot: number): void {
    this.#slots.delete(slot);
    this.#buckets.subscription(slot)!.consumers--;
    this.#buckets.tidy(slot);
  }

  /** A source of which nothing is left needs not be known. */
  tidy(slot: number): void {
    const buckets = this.#buckets;
    if (!buckets.inUse(slot)) return;
    if (buckets.sources.mayHave(slot) || buckets.unackedOf(slot) > 0) return;
    if (this.#slots.has(slot)) this.delete(slot);
    else buckets.tidy(slot);
  }

  /** Leaves alone all sources of a ring, or of all. */
  clear(ring?: SourceRing): void {
    for (const slot of [...this.#slots])
      if (ring === undefined || this.#buckets.sources.ringOf(slot) === ring) this.delete(slot);
  }
}
