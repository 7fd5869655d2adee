// Messages of buckets that are not ready yet: those that wait for a time, and those whose fate is
// on its way to the disk, after their consumer answered. Which ones they are is in outcomes and in
// what is held; here are their numbers, and the ways in and out.
//
//   unacked ──defer──► pending ──deferred──► waiting ──readyAgain──► ready, at its old place
//                         └──gone──► gone       ▲
//   ready ──────────────waits───────────────────┘
//
// The numbers lie beside the slots, in pages that are made when one of their buckets has any. Of a
// bucket that was forgotten, or is known since a start, only those are counted that came since.

import { assert } from '../assert.ts';
import type { Outcomes } from '../collections/outcomes.ts';
import type { BucketIndex } from './bucket-index.ts';
import {
  type BucketTable,
  countsAt,
  DELAYED,
  DELAYED_END,
  delayedAt,
  FLAGS,
  kindIn,
  openDelayed,
  READY,
  RETRIED,
  REWOUND,
  UNACKED,
  UNCOUNTED,
  wordsAt,
} from './bucket-table.ts';
import type { Entries } from './entries.ts';
import type { PayloadCounts } from './payload-counts.ts';
import type { ReadyAgain } from './ready-again.ts';
import { recount } from './recount.ts';
import type { Slice } from './slice.ts';
import type { Totals } from './totals.ts';
import type { Unsettled } from './unsettled.ts';

/** Gives the messages that consumers hold, as runs. */
export type Holders = (take: (sequence: number, count: number) => void) => void;

export interface DelayedParts {
  readonly table: BucketTable;
  readonly index: BucketIndex;
  readonly entries: Entries;
  readonly outcomes: Outcomes;
  readonly unsettled: Unsettled;
  readonly payload: PayloadCounts;
  readonly again: Pick<ReadyAgain<unknown>, 'put'>;
  readonly totals: Totals;
}

export class Delayed {
  readonly #parts: DelayedParts;
  /** Messages over all buckets. */
  count = 0;
  /** Those of them whose fate is not durable yet. */
  pending = 0;
  /** Says what is held when the first message is deferred. */
  holders: Holders = () => {};

  constructor(parts: DelayedParts) {
    this.#parts = parts;
  }

  /** Messages of a bucket; at least, where some may be in indexes that were not looked into. */
  of(slot: number): number {
    return this.#parts.table.page(slot).delayed?.[delayedAt(slot) + DELAYED] ?? 0;
  }

  /** Whether `of` counts all of a bucket's. */
  isCounted(slot: number): boolean {
    return !this.#parts.table.has(slot, UNCOUNTED);
  }

  /** Those that were given to a consumer, and are to come again later; at least, likewise. */
  retriedOf(slot: number): number {
    return this.#parts.table.page(slot).delayed?.[delayedAt(slot) + RETRIED] ?? 0;
  }

  /** It is noted from now on what is held. */
  begin(): void {
    const { held } = this.#parts.unsettled;
    if (held.isOn) return;
    held.isOn = true;
    this.holders((sequence, count) => held.add(sequence, count));
  }

  /** Nobody holds these messages, and they are out of their line, which may go back over them. */
  taken(sequence: number, count: number): void {
    this.begin();
    this.#parts.unsettled.held.add(sequence, count);
  }

  /** unacked -> pending: the `count` messages of a part behind its first `at`. */
  defer({ slot, sequence }: Slice, at: number, count: number): void {
    const { table, totals } = this.#parts;
    this.taken(sequence + at, count);
    const { counts } = table.page(slot);
    const place = countsAt(slot) + UNACKED;
    assert(counts[place]! >= count, 'more was deferred than was delivered');
    counts[place]! -= count;
    totals.of[this.#kindOf(slot)]!.unacked -= count;
    this.pending += count;
    this.count += count;
    this.#add(slot, sequence + at, count, count, count);
  }

  /** pending -> waiting: it is durable that they wait, and `outcomes.waiting` has them. */
  deferred(sequence: number, count: number): void {
    assert(this.pending >= count, 'more is durable than was deferred');
    this.pending -= count;
    this.#parts.unsettled.held.remove(sequence, count);
  }

  /**
   * pending -> gone: it is durable that they were moved, and `outcomes.settled` has them; `bytes`
   * of payload, where it is counted.
   */
  gone(low: number, high: number, kind: number, sequence: number, count: number, bytes = 0): void {
    const { outcomes, payload, unsettled } = this.#parts;
    assert(this.pending >= count, 'more is gone than was deferred');
    assert(outcomes.settled.within(sequence, count) === count, 'what is gone is not settled');
    this.pending -= count;
    this.count -= count;
    unsettled.held.remove(sequence, count);
    const slot = this.#parts.index.find(low, high, kind);
    if (slot === 0) return;
    this.#take(slot, count, count);
    if (payload.isOn) this.settled(slot, bytes);
  }

  /** `bytes` of a bucket's payload are gone, or all of it with its last message. */
  settled(slot: number, bytes: number): void {
    const { payload, table } = this.#parts;
    const { counts } = table.page(slot);
    const at = countsAt(slot);
    if (counts[at + READY] === 0 && counts[at + UNACKED] === 0 && this.of(slot) === 0)
      payload.clear(slot);
    else if (bytes > 0) payload.add(slot, -bytes);
  }

  /** ready -> waiting: what was just pushed waits for a time, and `outcomes.waiting` has it. Nobody
   * was given it yet. */
  waits(slot: number, sequence: number, count: number): void {
    const { table, totals } = this.#parts;
    this.begin();
    const { counts, words } = table.page(slot);
    counts[countsAt(slot) + READY]! -= count;
    totals.of[this.#kindOf(slot)]!.ready -= count;
    words[wordsAt(slot) + FLAGS]! |= REWOUND;
    this.count += count;
    this.#add(slot, sequence, count, count, 0);
  }

  /**
   * waiting -> ready: `outcomes.waiting` does not have these neighbours any more, none of which is
   * settled, and all of which had the same turn. Gives the slot of their bucket, to which there may
   * be something to dispatch, or 0 if
   * it is not known: whoever opens it looks from the oldest segment on.
   */
  readyAgain(low: number, high: number, kind: number, sequence: number, count: number): number {
    const { again, outcomes, table, totals } = this.#parts;
    this.begin();
    this.count -= count;
    totals.of[kind]!.ready += count;
    const slot = this.#parts.index.find(low, high, kind);
    if (slot === 0) return 0;
    this.#take(slot, count, outcomes.turns.get(sequence) > 0 ? count : 0);
    table.page(slot).counts[countsAt(slot) + READY]! += count;
    again.put(slot, sequence, count);
    return slot;
  }

  /** The log was read, to sequence `next`: counts buckets anew. Gives how many messages wait. */
  recovered(next: number, isPartial: boolean): number {
    const { waiting, settled } = this.#parts.outcomes;
    this.count = 0;
    for (const [first, count] of waiting.runs(0, next))
      this.count += count - settled.within(first, count);
    if (this.count > 0) this.begin();
    recount(this.#parts, this, isPartial);
    return this.count;
  }

  /** Messages of an entry that the log was read into: counts those of them that wait. */
  found(slot: number, sequence: number, messages: number): void {
    const { unsettled } = this.#parts;
    const count = unsettled.waitingOf(sequence, messages);
    if (count > 0)
      this.#add(slot, sequence, messages, count, unsettled.retriedOf(sequence, messages));
  }

  // So many of a bucket's `messages` from `sequence` on are delayed.
  #add(slot: number, sequence: number, messages: number, count: number, retried: number): void {
    const delayed = openDelayed(this.#parts.table.page(slot));
    const at = delayedAt(slot);
    delayed[at + DELAYED]! += count;
    delayed[at + RETRIED]! += retried;
    delayed[at + DELAYED_END] = Math.max(delayed[at + DELAYED_END]!, sequence + messages);
  }

  /**
   * Whether the bucket must stay known: one whose delayed messages are all in indexes may be
   * forgotten, but has to be asked for then.
   */
  keeps(slot: number): boolean {
    if (this.of(slot) > 0) return true;
    // Where not all of them were counted, more may have become ready than were.
    return this.#parts.table.has(slot, UNCOUNTED) && this.hasInEntries(slot);
  }

  /** Whether delayed messages of the bucket may be in entries. */
  hasInEntries(slot: number): boolean {
    const { delayed } = this.#parts.table.page(slot);
    if (delayed === undefined) return false;
    return delayed[delayedAt(slot) + DELAYED_END]! > this.#parts.entries.firstSequence;
  }

  #kindOf(slot: number): number {
    return kindIn(this.#parts.table.page(slot).words[wordsAt(slot) + FLAGS]!);
  }

  // Some of those that are ready or gone may not have been counted.
  #take(slot: number, count: number, retried: number): void {
    const { table } = this.#parts;
    const { delayed } = table.page(slot);
    if (delayed === undefined) return;
    const at = delayedAt(slot);
    delayed[at + DELAYED] = Math.max(0, delayed[at + DELAYED]! - count);
    delayed[at + RETRIED] = Math.max(0, delayed[at + RETRIED]! - retried);
    if (delayed[at + DELAYED] === 0 && !table.has(slot, UNCOUNTED)) delayed[at + DELAYED_END] = 0;
  }
}
