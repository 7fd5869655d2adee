// Makes all messages of a bucket's line ready that wait for a time, so that whoever empties its line
// comes to them: first those in entries, the newest first, then those in indexes, oldest segment
// first. What goes from entries into an index meanwhile is found there. Nothing of it is written:
// where the broker ends before they are gone, they wait again.

import type { Broker } from '../broker.ts';
import type { Entries } from '../buckets/entries.ts';
import type { Position } from '../ports/basics.ts';
import type { SegmentIndex } from '../ports/segment-index.ts';

export interface MakeReadyOptions {
  broker: Broker;
  index: Pick<SegmentIndex, 'find'>;
  slot: number;
  /** Messages from here on stay as they are. */
  end: number;
  soon: (call: () => void) => void;
  /** All that is left waits on in segments that cannot be read. */
  done: () => void;
}

/** Entries looked at in one turn, and records of an index. */
const ENTRIES_MAX = 16_384;
const RECORDS_MAX = 256;

/** Begins it. */
export function makeReady(options: MakeReadyOptions): void {
  new MakeReady(options).start();
}

class MakeReady {
  readonly #options: MakeReadyOptions;
  readonly #low: number;
  readonly #high: number;
  readonly #kind: number;

  constructor(options: MakeReadyOptions) {
    this.#options = options;
    const { low, high, kind } = options.broker.buckets.placeOf(options.slot);
    this.#low = low;
    this.#high = high;
    this.#kind = kind;
  }

  start(): void {
    const { delayed, entries } = this.#options.broker.buckets;
    if (delayed.count === delayed.pending) this.#options.done();
    else this.#inEntries(entries.end);
  }

  #inEntries(end: number): void {
    const { broker, soon } = this.#options;
    const { entries } = broker.buckets;
    const from = Math.max(entries.from, end - ENTRIES_MAX);
    for (let entry = end - 1; entry >= from; entry--)
      if (this.#isOf(entries, entry)) this.#record(entries.sequence(entry), entries.count(entry));
    if (from > entries.from) soon(() => this.#inEntries(from));
    else this.#inIndex(0, 0);
  }

  #isOf(entries: Entries, entry: number): boolean {
    if (entries.bucketLow(entry) !== this.#low || entries.bucketHigh(entry) !== this.#high)
      return false;
    return entries.kind(entry) === this.#kind;
  }

  #inIndex(base: Position, at: number): void {
    const { broker, index, soon, done } = this.#options;
    if (broker.closing) return;
    // Part of a segment may be neither in entries nor known to its index.
    if (broker.indexing.releasing) {
      soon(() => this.#inIndex(base, at));
      return;
    }
    const segment = broker.retention.oldestLive(base);
    if (segment === undefined || segment.base >= broker.indexing.memoryFrom) {
      done();
      return;
    }
    const from = segment.base === base ? at : 0;
    const line = { low: this.#low, high: this.#high, kind: this.#kind };
    const query = { base: segment.base, ...line, sequence: 0, at: from };
    index.find(query, RECORDS_MAX, (failure, found, next) => {
      broker.stir();
      for (const { sequence, messages } of found) this.#record(sequence, messages);
      // It may have become part of another one meanwhile, which begins no later.
      const isThere = broker.retention.has(segment.base);
      if (failure === undefined && !isThere) this.#inIndex(0, 0);
      else if (failure === undefined && next !== undefined) this.#inIndex(segment.base, next);
      else this.#inIndex(segment.base + 1, 0);
    });
  }

  // Those of a record that wait.
  #record(first: number, messages: number): void {
    const { broker, end: bound } = this.#options;
    const { outcomes, delayed } = broker.buckets;
    const { waiting, settled } = outcomes;
    const end = Math.min(bound, first + messages);
    if (first >= end || waiting.within(first, end - first) === 0) return;
    for (let at = first; at < end; at++) {
      const waits = (sequence: number) => waiting.has(sequence) && !settled.has(sequence);
      let to = at;
      while (to < end && waits(to)) to++;
      if (to === at) continue;
      waiting.remove(at, to - at);
      delayed.readyAgain(this.#low, this.#high, this.#kind, at, to - at);
      at = to;
    }
  }
}
