// What waits of a record: messages that are not settled and can be read.

import type { Outcomes } from '../collections/outcomes.ts';
import { SequenceSet } from '../collections/sequence-set.ts';
import type { Found } from '../ports/basics.ts';
import type { Slice } from './slice.ts';

export class Unsettled {
  readonly #outcomes: Outcomes;
  // What cannot be read: lookups find it again, and must not.
  readonly #aside = new SequenceSet();
  /** Entries before this sequence came from recovery: some of their messages may be settled. */
  recoveredTo = 0;

  constructor(outcomes: Outcomes) {
    this.#outcomes = outcomes;
  }

  setAside(part: Slice): void {
    this.#aside.add(part.sequence, part.count);
  }

  /** How many of `count` messages of an entry, from sequence `first` on. */
  countOf(first: number, count: number): number {
    return first >= this.recoveredTo ? count : count - this.#outcomes.settled.within(first, count);
  }

  /** Cuts a part of an entry to its first run of messages that wait; false: none do. */
  cut(part: Slice): boolean {
    return part.sequence - part.first >= this.recoveredTo || this.#toUnsettled(part);
  }

  /** What waits of a bucket's records that a lookup found, from sequence `next` on. */
  slicesOf(slot: number, records: readonly Found[], next: number): Slice[] {
    const parts: Slice[] = [];
    for (const { position, sequence, messages, bodyBytes, attempts } of records) {
      let first = Math.max(0, next - sequence);
      while (first < messages) {
        const rest = { first, sequence: sequence + first, count: messages - first };
        const part: Slice = { slot, position, ...rest, messages, bodyBytes, attempts };
        if (!this.#toUnsettled(part)) break;
        parts.push(part);
        first = part.first + part.count;
      }
    }
    return parts;
  }

  // Cuts a part to its first run of messages that wait and have the same attempts; false: none.
  #toUnsettled(part: Slice): boolean {
    const { settled, attempts } = this.#outcomes;
    const end = part.sequence + part.count;
    let from = part.sequence;
    const gone = (sequence: number) => settled.has(sequence) || this.#aside.has(sequence);
    while (from < end && gone(from)) from++;
    if (from === end) return false;
    // A compacted record carries what was known when it was made; marks behind it may know more.
    const attemptsOf = (sequence: number) => Math.max(attempts.get(sequence), part.attempts);
    const before = attemptsOf(from);
    let to = from + 1;
    while (to < end && !gone(to) && attemptsOf(to) === before) to++;
    part.first += from - part.sequence;
    part.sequence = from;
    part.count = to - from;
    part.attempts = before;
    return true;
  }
}
