// A small owner's batches on their way: several are published before the first of them counts; each
// is written to the own disk once it counts, one at a time and in their order, and acked then.

import assert from 'node:assert/strict';
import type { Place } from '../../../src/core/cluster/counting.ts';
import { batchOf, FILLER_MAX, ITEMS_MAX, type Item, isFull, nextSegment } from './batches.ts';
import type { Clock } from './clock.ts';

type Done = (failure: Error | undefined) => void;

interface Batch {
  readonly position: number;
  /** Where the log ends behind it. */
  readonly end: number;
  readonly bytes: Uint8Array;
  readonly items: readonly Item[];
}

export interface PipelineOptions {
  readonly clock: Clock;
  /** How many may be under way. */
  readonly depth: number;
  /** Where the first goes. */
  readonly position: number;
  /** So that no two composed batches of a world are alike. */
  readonly salt: () => number;
  readonly publish: (position: number, bytes: Uint8Array, closes: boolean, done: Done) => void;
  /** Where the stream says that the log ends now. */
  readonly place: () => Place;
  readonly write: (position: number, bytes: Uint8Array, place: Place, done: () => void) => void;
  readonly written: (items: readonly Item[]) => void;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  #end: number;
  #queue: Item[] = [];
  readonly #published: Batch[] = [];
  // What counts and is not on the disk yet; the first of them is being written.
  readonly #counted: [batch: Batch, place: Place][] = [];
  #failed = false;
  #over = false;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#end = options.position;
  }

  /** How many batches are under way. */
  get size(): number {
    return this.#published.length + this.#counted.length;
  }

  /** Whether nothing is to be written. */
  get isIdle(): boolean {
    return this.#counted.length === 0;
  }

  take(item: Item): void {
    this.#queue.push(item);
    this.#pump();
  }

  /** A batch that nobody asked for: the first of an owner, and what it has to say of itself. */
  empty(): void {
    this.#publish([]);
  }

  /** Nothing more is taken; what was published goes its way. */
  close(): void {
    this.#queue = [];
  }

  /** Nothing is begun any more, nothing told: a write that is under way ends by itself. */
  end(): void {
    this.#over = true;
  }

  #pump(): void {
    while (!this.#over && this.#queue.length > 0 && this.size < this.#options.depth)
      this.#publish(this.#queue.splice(0, ITEMS_MAX));
  }

  #publish(items: Item[]): void {
    const { clock, salt, publish } = this.#options;
    const isSmall = items.length === 0 || clock.chance(0.5);
    const bytes = batchOf(items, salt(), clock.random.below(isSmall ? 20 : FILLER_MAX));
    const position = this.#end;
    const closes = isFull(position + bytes.length);
    this.#end = closes ? nextSegment(position) : position + bytes.length;
    const batch = { position, end: this.#end, bytes, items };
    if (this.size > 0) clock.count('published ahead');
    if (this.size > 0 && closes) clock.count('segments closed ahead');
    this.#published.push(batch);
    publish(position, bytes, closes, (failure) => this.#done(batch, failure));
  }

  #done(batch: Batch, failure: Error | undefined): void {
    assert.equal(this.#published.shift(), batch, 'batches are done in the order of their publish');
    this.#failed ||= failure !== undefined;
    if (failure !== undefined) return;
    assert.ok(!this.#failed, 'a batch is done behind one that failed');
    if (this.#over) return;
    const place = this.#options.place();
    assert.equal(place.end, batch.end, 'the place within done is behind that very batch');
    this.#counted.push([batch, place]);
    if (this.#counted.length === 1) this.#write();
  }

  #write(): void {
    const next = this.#counted[0];
    if (next === undefined) return;
    const [{ position, bytes, items }, place] = next;
    this.#options.write(position, bytes, place, () => {
      if (this.#over) return;
      this.#counted.shift();
      this.#options.written(items);
      this.#write();
      this.#pump();
    });
  }
}
