// What is durable becomes state here, and only here: rows of records and marks about them go into
// buckets and segments in the order of the log. The broker applies what it has just written, a
// start applies what it reads back; the result is the same.

import { assert } from '../assert.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Position } from '../ports/basics.ts';
import type { Mark } from '../records/marks.ts';
import {
  ATTEMPTS,
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  recordBytesOf,
  sequenceOf,
} from '../records/rows.ts';
import type { Retention } from './retention.ts';
import type { State } from './state.ts';

/** A segment whose records are not applied, because it is known what is in it. */
export interface KnownState {
  base: Position;
  /** Sequence of its first message, and the one behind its last. */
  first: number;
  end: number;
  messages: number;
  live: number;
}

export class Apply {
  readonly #buckets: Buckets<unknown>;
  readonly #retention: Retention;
  // Segments that miss sequences which were compacted away, and those of them that marks spoke of.
  readonly #sparse = new Set<Position>();
  readonly #doubtful = new Set<Position>();
  // Sequence behind the last message of each segment that is complete.
  readonly #ends = new Map<Position, number>();
  /** Sequence behind the last message. */
  nextSequence = 1;
  #isNew = false;

  constructor({ buckets, retention }: State<unknown>) {
    this.#buckets = buckets;
    this.#retention = retention;
  }

  /** The log was read: what follows is new, from sequence `next` on. */
  goOn(next: number): void {
    this.#isNew = true;
    this.nextSequence = next;
  }

  /** A segment begins whose records follow; `sparse`: it was compacted. */
  segment(base: Position, sparse = false): void {
    const before = this.#retention.segments.at(-1);
    if (before !== undefined && !this.#ends.has(before.base))
      this.#ends.set(before.base, this.nextSequence);
    this.#retention.open(base, this.nextSequence);
    if (sparse) this.#sparse.add(base);
  }

  /** A segment whose records do not follow. */
  known({ base, first, end, messages, live }: KnownState): void {
    this.#retention.open(base, first, messages, live);
    this.#ends.set(base, end);
    this.nextSequence = Math.max(this.nextSequence, end);
  }

  /**
   * The record of messages in the row that starts at word `at` stands at `position`: they wait at
   * the end of their bucket's line. Gives the bucket's slot.
   */
  messages(words: Uint32Array, at: number, position: Position): number {
    const sequence = sequenceOf(words, at);
    const count = words[at + COUNT]!;
    const inOrder = !this.#isNew || sequence >= this.nextSequence;
    assert(inOrder, 'messages became durable that were so before');
    const slot = this.#buckets.open(words[at + BUCKET_LOW]!, words[at + BUCKET_HIGH]!);
    const bodyBytes = words[at + BODY_BYTES]!;
    this.#buckets.push(slot, position, sequence, count, bodyBytes, words[at + ATTEMPTS]!);
    this.#retention.add(position, sequence, count, recordBytesOf(words, at));
    if (!this.#isNew) {
      // A checkpoint may know of messages whose segment is read all the same.
      const settled = this.#buckets.outcomes.settled.within(sequence, count);
      if (settled > 0) this.#retention.settle(position, settled);
    }
    this.nextSequence = Math.max(this.nextSequence, sequence + count);
    return slot;
  }

  /** Messages came back so often; a mark that says less than is known is an old one. */
  returned({ sequence: first, count, attempts: times }: Mark): void {
    const { attempts } = this.#buckets.outcomes;
    for (let at = first; at < first + count; ) {
      if (attempts.get(at) >= times) {
        at++;
        continue;
      }
      let to = at + 1;
      while (to < first + count && attempts.get(to) < times) to++;
      attempts.set(at, to - at, times);
      at = to;
    }
  }

  /** Messages were settled, maybe in several segments, maybe some of them before. */
  settled({ sequence: first, count }: Mark): void {
    const { segments } = this.#retention;
    const { settled } = this.#buckets.outcomes;
    // What is older is gone, and with it what a mark says of it.
    for (let at = Math.max(first, this.#retention.oldestSequence); at < first + count; ) {
      const index = this.#retention.indexOf(at);
      const end = Math.min(first + count, segments[index + 1]?.first ?? Number.POSITIVE_INFINITY);
      const to = end > at ? end : first + count;
      const { base } = segments[index]!;
      // Behind its last message are those that the next one held before it was compacted.
      const last = this.#ends.get(base) ?? Number.POSITIVE_INFINITY;
      const within = Math.max(at, Math.min(to, last));
      const added = settled.add(at, within - at);
      settled.add(within, to - within);
      if (added > 0) {
        if (this.#sparse.has(base)) this.#doubtful.add(base);
        else this.#retention.settleSequences(at, added);
      }
      at = to;
    }
  }

  /** Segments whose messages must be counted again: marks spoke of what may not be in them. */
  get doubtful(): Iterable<Position> {
    return this.#doubtful;
  }

  /** Nothing before `position` is in the log any more. */
  trimmed(position: Position): void {
    const { settled, attempts } = this.#buckets.outcomes;
    this.#retention.trimmed(position);
    const { oldestSequence } = this.#retention;
    settled.forget(oldestSequence);
    attempts.forget(oldestSequence);
    const oldest = this.#retention.segments[0]?.base ?? 0;
    for (const base of this.#ends.keys()) if (base < oldest) this.#ends.delete(base);
  }
}
