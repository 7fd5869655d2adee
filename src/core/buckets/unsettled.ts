// What is ready of a record: messages that are not settled, not held, wait for no time and can be
// read.

import type { Outcomes } from '../collections/outcomes.ts';
import { SequenceSet } from '../collections/sequence-set.ts';
import type { Found } from '../ports/basics.ts';
import { Held } from './held.ts';
import type { Slice } from './slice.ts';

export class Unsettled {
  readonly #outcomes: Outcomes;
  // What cannot be read: lookups find it again, and must not.
  readonly #aside = new SequenceSet();
  /** What left its line and may come back. */
  readonly held = new Held();
  /** Entries before this sequence came from recovery: some of their messages may be settled. */
  recoveredTo = 0;

  constructor(outcomes: Outcomes) {
    this.#outcomes = outcomes;
  }

  setAside(part: Slice): void {
    this.#aside.add(part.sequence, part.count);
  }

  /**
   * How many of `count` messages of an entry, from sequence `first` on; `rewound`: their line went
   * back, or has messages that wait for a time.
   */
  countOf(first: number, count: number, rewound = false): number {
    if (!rewound && first >= this.recoveredTo) return count;
    const { settled, waiting } = this.#outcomes;
    const isPlain = !rewound && waiting.within(first, count) === 0;
    if (isPlain) return count - settled.within(first, count);
    let ready = 0;
    for (let at = first; at < first + count; at++) if (!this.#isOut(at)) ready++;
    return ready;
  }

  /** The first sequence from `first` on that is not settled, be it one of a message or of none. */
  firstLeft(first: number): number {
    return this.#outcomes.settled.firstMissing(first);
  }

  /** Whether any of `count` messages from sequence `first` on is ready. */
  hasReady(first: number, count: number): boolean {
    if (this.#outcomes.settled.within(first, count) === count) return false;
    for (let at = first; at < first + count; at++) if (!this.#isOut(at)) return true;
    return false;
  }

  /** How many of `count` messages from sequence `first` on are there: in a line, or held. */
  leftOf(first: number, count: number): number {
    return count - this.#outcomes.settled.within(first, count) - this.#aside.within(first, count);
  }

  /** How many of `count` messages from sequence `first` on wait for a time. */
  waitingOf(first: number, count: number): number {
    const { settled, waiting } = this.#outcomes;
    if (waiting.within(first, count) === 0) return 0;
    let found = 0;
    for (let at = first; at < first + count; at++) if (waiting.has(at) && !settled.has(at)) found++;
    return found;
  }

  /** Cuts a part of an entry to its first run of messages that are ready; false: none are. */
  cut(part: Slice, rewound = false): boolean {
    const isWhole = !rewound && part.sequence - part.first >= this.recoveredTo;
    return isWhole || this.#toReady(part);
  }

  // Whether a message is out of its line.
  #isOut(sequence: number): boolean {
    const { settled, waiting } = this.#outcomes;
    if (settled.has(sequence) || this.#aside.has(sequence)) return true;
    return this.held.isOn && (waiting.has(sequence) || this.held.has(sequence));
  }

  /** Whether a message waits for a time. */
  isWaiting(sequence: number): boolean {
    const { settled, waiting } = this.#outcomes;
    return waiting.has(sequence) && !settled.has(sequence);
  }

  /** Whether a message waits that was given to a consumer before. */
  isRetried(sequence: number): boolean {
    return this.isWaiting(sequence) && this.#outcomes.turns.get(sequence) > 0;
  }

  /** How many of `count` messages from sequence `first` on wait, and were given to a consumer. */
  retriedOf(first: number, count: number): number {
    let found = 0;
    for (let at = first; at < first + count; at++) if (this.isRetried(at)) found++;
    return found;
  }

  /** The first message of records, from sequence `next` on, that is to come again; 0: none is. */
  firstRetried(records: readonly Found[], next: number): number {
    for (const { sequence, messages } of records) {
      const from = Math.max(sequence, next);
      const end = sequence + messages;
      if (from >= end || this.#outcomes.waiting.within(from, end - from) === 0) continue;
      for (let at = from; at < end; at++) if (this.isRetried(at)) return at;
    }
    return 0;
  }

  /** What is ready of a bucket's records that a lookup found, from sequence `next` on. */
  slicesOf(slot: number, records: readonly Found[], next: number): Slice[] {
    const parts: Slice[] = [];
    for (const { position, sequence, messages, bodyBytes, attempts } of records) {
      let first = Math.max(0, next - sequence);
      while (first < messages) {
        const rest = { first, sequence: sequence + first, count: messages - first };
        const part: Slice = { slot, position, ...rest, messages, bodyBytes, attempts, level: 0 };
        if (!this.#toReady(part)) break;
        parts.push(part);
        first = part.first + part.count;
      }
    }
    return parts;
  }

  // Cuts a part to its first run of messages that are ready, all of the same attempts and level;
  // false: none.
  #toReady(part: Slice): boolean {
    const { attempts, levels } = this.#outcomes;
    const end = part.sequence + part.count;
    let from = part.sequence;
    while (from < end && this.#isOut(from)) from++;
    if (from === end) return false;
    // A compacted record carries what was known when it was made; marks behind it may know more.
    const attemptsOf = (sequence: number) => Math.max(attempts.get(sequence), part.attempts);
    const before = attemptsOf(from);
    const apart = !levels.isEmpty;
    const level = apart ? levels.get(from) : 0;
    let to = from + 1;
    while (to < end && !this.#isOut(to) && attemptsOf(to) === before) {
      if (apart && levels.get(to) !== level) break;
      to++;
    }
    part.first += from - part.sequence;
    part.sequence = from;
    part.count = to - from;
    part.attempts = before;
    part.level = level;
    return true;
  }
}
