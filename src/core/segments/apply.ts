// What is durable becomes state here, and only here: rows of records and marks about them go into
// buckets and segments in the order of the log. The broker applies what it has just written, a
// start applies what it reads back; the result is the same.

import { RECORD_MESSAGES } from '../../../assembly/layout.ts';
import { KIND_DEAD, KIND_LIVE, KIND_SETTINGS } from '../../../assembly/layout-placed.ts';
import { assert } from '../assert.ts';
import type { Buckets } from '../buckets/buckets.ts';
import { SequenceSet } from '../collections/sequence-set.ts';
import type { Position } from '../ports/basics.ts';
import type { Mark } from '../records/marks.ts';
import { type Deferral, type Head, kindOf, settlesFrom } from '../records/placed.ts';
import {
  ATTEMPTS,
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  recordBytesOf,
  sequenceOf,
  TYPE,
} from '../records/rows.ts';
import { CompactedSegments } from './compacted.ts';
import type { Retention } from './retention.ts';
import type { Settings } from './settings.ts';
import type { KnownState, State } from './state.ts';

export class Apply {
  readonly #buckets: Buckets<unknown>;
  readonly #retention: Retention;
  readonly #settings: Settings;
  /** Of complete segments. */
  readonly compacted = new CompactedSegments();
  // What compactions left out of the log that a start reads, while marks may still speak of it.
  readonly #gone = new SequenceSet();
  /** Sequence behind the last message. */
  nextSequence = 1;
  #isNew = false;
  #isTold = false;

  constructor({ buckets, retention, settings }: State<unknown>) {
    this.#buckets = buckets;
    this.#retention = retention;
    this.#settings = settings;
  }

  /** The log was read: what follows is new, from sequence `next` on. */
  goOn(next: number): void {
    this.#isNew = true;
    this.#gone.forget(next);
    this.nextSequence = next;
  }

  /** A segment begins whose records follow; `sparse`: it was compacted; `told`: a checkpoint knows. */
  segment(base: Position, sparse = false, told = false): void {
    this.#isTold = told;
    const before = this.#retention.segments.at(-1);
    if (before !== undefined) this.compacted.ended(before.base, this.nextSequence);
    this.#retention.open(base, this.nextSequence);
    if (sparse) this.compacted.begun(base);
  }

  /** A segment whose records do not follow. */
  known({ base, first, end, messages, live }: KnownState): void {
    this.#missing(first);
    this.#retention.open(base, first, messages, live);
    this.compacted.ended(base, end);
    this.nextSequence = Math.max(this.nextSequence, end);
  }

  /**
   * The record of messages in the row that starts at word `at` stands at `position`: they wait at
   * the end of their bucket's line of a kind. Gives its slot; 0 of settings, which stand in no line.
   */
  messages(words: Uint32Array, at: number, position: Position, kind = KIND_LIVE): number {
    const sequence = sequenceOf(words, at);
    const count = words[at + COUNT]!;
    const inOrder = !this.#isNew || sequence >= this.nextSequence;
    assert(inOrder, 'messages became durable that were so before');
    if (!this.#isNew) this.#missing(sequence);
    const slot = kind === KIND_SETTINGS ? 0 : this.#push(words, at, position, kind);
    if (slot === 0) this.#note(words, at, position);
    this.#retention.add(position, sequence, count, recordBytesOf(words, at));
    if (!this.#isNew) {
      // A checkpoint may know of messages whose segment is read all the same.
      const settled = this.#buckets.outcomes.settled.within(sequence, count);
      if (settled > 0) this.#retention.settle(position, settled);
    }
    this.nextSequence = Math.max(this.nextSequence, sequence + count);
    return slot;
  }

  #push(words: Uint32Array, at: number, position: Position, kind: number): number {
    const slot = this.#buckets.open(words[at + BUCKET_LOW]!, words[at + BUCKET_HIGH]!, kind);
    const count = words[at + COUNT]!;
    const bodyBytes = words[at + BODY_BYTES]!;
    const attempts = words[at + ATTEMPTS]!;
    this.#buckets.push(slot, position, sequenceOf(words, at), count, bodyBytes, attempts);
    return slot;
  }

  // Nobody is given settings. Only the index of their segment names them.
  #note(words: Uint32Array, at: number, position: Position): void {
    const [low, high] = [words[at + BUCKET_LOW]!, words[at + BUCKET_HIGH]!];
    const [count, bodyBytes] = [words[at + COUNT]!, words[at + BODY_BYTES]!];
    const sequence = sequenceOf(words, at);
    const { entries } = this.#buckets;
    entries.add(low, high, position, sequence, count, bodyBytes, 0, 0, KIND_SETTINGS);
  }

  /**
   * The placed record in the row that starts at word `at` stands at `position`: its messages wait at
   * the end of their line, for a time or apart from others if its head says so. Gives the line's
   * slot. What they were before they were moved is settled with them: see `from`.
   */
  placed(words: Uint32Array, at: number, position: Position, head: Head): number {
    const sequence = sequenceOf(words, at);
    const count = words[at + COUNT]!;
    const kind = kindOf(words, at);
    const { placed, dead, settings } = this.#buckets.outcomes;
    placed.add(sequence, count);
    if (kind === KIND_DEAD) dead.add(sequence, count);
    if (kind === KIND_SETTINGS) {
      settings.add(sequence, count);
      this.#settings.set(sequence, head.text ?? '');
    }
    const slot = this.messages(words, at, position, kind);
    this.#fold(sequence, sequence + count, head);
    // A start counts what waits when it has read all.
    if (this.#isNew && slot !== 0 && head.dueMs > 0)
      this.#buckets.delayed.waits(slot, sequence, count);
    return slot;
  }

  /**
   * The record in the row that starts at word `at` has become durable just now, row `i` of its batch,
   * which has `heads` of placed ones. Gives the slot of their line.
   */
  durable(
    words: Uint32Array,
    at: number,
    position: Position,
    heads: ReadonlyMap<number, Head>,
    i: number,
  ): number {
    if (words[at + TYPE] === RECORD_MESSAGES) return this.messages(words, at, position);
    const head = heads.get(i);
    assert(head !== undefined, 'a placed record became durable without its head');
    const slot = this.placed(words, at, position, head);
    const before = this.from(words, at, head);
    if (before !== undefined) this.#left(before);
    return slot;
  }

  // What was moved, or replaced, is known to be there: a record's messages are in one segment.
  #left({ sequence, count }: Mark): void {
    const added = this.#buckets.outcomes.settled.add(sequence, count);
    this.#retention.settleSequences(sequence, added);
    for (let i = 0; i < count && this.#settings.size > 0; i++) this.#settings.remove(sequence + i);
  }

  /** Deferrals have become durable just now, and that nothing before `trim` is needed; 0: no trim. */
  durableMarks(deferrals: readonly Deferral[], trim: Position): void {
    for (const deferral of deferrals) this.putOff(deferral);
    if (trim > 0) this.trimmed(trim);
  }

  // No message that is in the log is between the last one and this. A checkpoint may still speak of
  // some: they were compacted away, settled by an ack that is lost.
  #missing(sequence: number): void {
    const count = sequence - this.nextSequence;
    if (count > 0) this.#notThere(this.nextSequence, count);
  }

  /** All was read, and counted: nothing waits in segments of which nothing is left. */
  forgetGone(): void {
    const { segments } = this.#retention;
    for (const [i, { first, live }] of segments.entries()) {
      const end = segments[i + 1]?.first ?? this.nextSequence;
      if (live === 0 && end > first) this.#notThere(first, end - first);
    }
  }

  // None of these is in the log unsettled, whatever a checkpoint says of them, or a mark behind.
  #notThere(first: number, count: number): void {
    const { dead, settings, waiting } = this.#buckets.outcomes;
    for (const known of [dead, settings, waiting]) known.remove(first, count);
    this.#gone.add(first, count);
  }

  /** What the messages of a placed record were before, if it settles them. */
  from(words: Uint32Array, at: number, head: Head): Mark | undefined {
    if (!settlesFrom(words, at)) return undefined;
    return { sequence: head.from, count: words[at + COUNT]!, attempts: 0 };
  }

  /** Pending messages are put off, or others are apart: that has become durable just now. */
  putOff(deferral: Deferral): void {
    // How far apart messages are is known since they came back, and may be less by now.
    if (deferral.dueMs === 0) return;
    this.#buckets.delayed.deferred(deferral.sequence, deferral.count);
    this.deferred(deferral);
  }

  /**
   * Messages are not ready before a time, or only apart from others. Counts for those whose own
   * turn is not higher; of attempts the higher number counts.
   */
  deferred(deferral: Deferral): void {
    const first = Math.max(deferral.sequence, this.#retention.oldestSequence);
    const end = deferral.sequence + deferral.count;
    if (first >= end) return;
    this.returned({ sequence: first, count: end - first, attempts: deferral.attempts });
    this.#fold(first, end, deferral);
  }

  // A checkpoint may know of what came later, and compaction puts marks into another order.
  #fold(first: number, end: number, said: Pick<Deferral, 'turn' | 'level' | 'dueMs'>): void {
    // Of marks of the same turn the last may be in a segment that is not read.
    if (this.#isTold) return;
    const { waiting, turns, levels } = this.#buckets.outcomes;
    const { turn, level, dueMs } = said;
    const counts = (at: number) => turns.get(at) <= turn && !this.#gone.has(at);
    for (let at = first; at < end; ) {
      if (!counts(at)) {
        at++;
        continue;
      }
      let to = at + 1;
      while (to < end && counts(to)) to++;
      turns.set(at, to - at, turn);
      levels.set(at, to - at, level);
      if (dueMs > 0) waiting.add(at, to - at);
      else waiting.remove(at, to - at);
      at = to;
    }
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
      const within = Math.max(at, Math.min(to, this.compacted.endOf(base)));
      const added = settled.add(at, within - at);
      settled.add(within, to - within);
      if (added > 0 && !this.compacted.doubts(base)) this.#retention.settleSequences(at, added);
      at = to;
    }
  }

  /** Nothing before `position` is in the log any more. */
  trimmed(position: Position): void {
    this.#retention.trimmed(position);
    const { oldestSequence } = this.#retention;
    for (const known of Object.values(this.#buckets.outcomes)) known.forget(oldestSequence);
    this.#gone.forget(oldestSequence);
    this.compacted.trimmed(this.#retention.segments[0]?.base ?? 0);
  }

  /**
   * The segments from `base` to before `end` are one now, made smaller by what was applied here: so
   * it is known what is not in it any more, but for what was not there before.
   */
  merged(base: Position, end: Position): void {
    this.compacted.merged(base, end, this.#retention.has(base));
  }
}
