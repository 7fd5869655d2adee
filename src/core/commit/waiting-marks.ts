// Marks that wait for the next commit, in memory that has a bound: most of the time a short list.
// While the disk has no room for them, acks go on: what the list cannot hold is kept as bits or
// counts by sequence (sequence-set.ts), in which scattered acks merge, and comes back into the
// list, in order, once there is room. Nothing is lost, and nobody has to wait.
//
//   add ──► list ──unload──► record
//      │     ▲
//      │     └── refilled, when it is empty
//      └──► beyond, while the list is full and until all of it is in the list

import { AttemptCounts, SequenceSet } from '../collections/sequence-set.ts';
import { MarkList } from '../records/marks.ts';

/** What is kept of marks by sequence: a SequenceSet or AttemptCounts. */
export interface BySequence {
  put(first: number, count: number, attempts: number): void;
  /** What was put, from sequence `from` to before `to`, ascending. */
  runs(
    from: number,
    to: number,
  ): Iterable<readonly [first: number, count: number, attempts?: number]>;
  forget(sequence: number): void;
}

/** For marks of settled messages. */
export function settledBySequence(): BySequence {
  const set = new SequenceSet();
  return {
    put: (first, count) => void set.add(first, count),
    runs: (from, to) => set.runs(from, to),
    forget: (sequence) => set.forget(sequence),
  };
}

/** For marks of messages that came back. */
export function attemptsBySequence(): BySequence {
  const counts = new AttemptCounts();
  return {
    put: (first, count, attempts) => counts.set(first, count, attempts),
    runs: (from, to) => counts.runs(from, to),
    forget: (sequence) => counts.forget(sequence),
  };
}

// Sequences looked through at a time: a turn must end.
const SLICE = 2 ** 20;
// More marks than go through the list before it is empty again.
const MANY = 2 ** 28;

interface Beyond {
  marks: BySequence;
  from: number;
  to: number;
}

export class WaitingMarks {
  readonly #list: MarkList;
  readonly #bySequence: () => BySequence;
  // What goes back into the list, from the oldest sequence on; and what came since that began.
  #leaving: Beyond | undefined;
  #beyond: Beyond | undefined;
  // Places that no mark has: how many marks those beyond the list will be is not known before.
  #passed = 0;
  #toPass = 0;

  /** The list holds `most` marks; `bySequence` makes what keeps those beyond it. */
  constructor(most: number, bySequence: () => BySequence) {
    this.#list = new MarkList(most);
    this.#bySequence = bySequence;
  }

  /** Marks in the list, which is never empty while others wait. */
  get count(): number {
    return this.#list.count;
  }

  /** Marks that wait; infinitely many while there are more than the list holds. */
  get waiting(): number {
    return this.isOver ? Number.POSITIVE_INFINITY : this.#list.count;
  }

  /** Whether there are more than the list holds. */
  get isOver(): boolean {
    return this.#leaving !== undefined || this.#beyond !== undefined;
  }

  /** The place behind all marks that were added. */
  get end(): number {
    return this.#list.end + this.#passed + this.#toPass;
  }

  /** The place up to which all marks were unloaded. */
  get written(): number {
    return this.#list.end - this.#list.count + this.#passed;
  }

  add(sequence: number, count: number, attempts: number): void {
    // What comes later must not be written before what came before it.
    if (!this.isOver && this.#list.add(sequence, count, attempts)) return;
    this.#toPass = MANY;
    this.#beyond ??= { marks: this.#bySequence(), from: sequence, to: 0 };
    const { marks, from, to } = this.#beyond;
    marks.put(sequence, count, attempts);
    this.#beyond.from = Math.min(from, sequence);
    this.#beyond.to = Math.max(to, sequence + count);
  }

  /** Moves the first `count` marks of the list into the codec's mark area. */
  unload(count: number, into: DataView): void {
    this.#list.unload(count, into);
    while (this.#list.count === 0 && this.isOver) this.#refill();
    if (this.#list.count > 0) return;
    this.#passed += this.#toPass;
    this.#toPass = 0;
  }

  #refill(): void {
    if (this.#leaving === undefined) {
      this.#leaving = this.#beyond;
      this.#beyond = undefined;
    }
    const leaving = this.#leaving!;
    const to = Math.min(leaving.from + SLICE, leaving.to);
    leaving.from = this.#moved(leaving, to);
    leaving.marks.forget(leaving.from);
    if (leaving.from === leaving.to) this.#leaving = undefined;
  }

  // Moves marks before `to` into the list; gives where it stopped.
  #moved({ marks, from }: Beyond, to: number): number {
    for (const [first, count, attempts = 0] of marks.runs(from, to))
      if (!this.#list.add(first, count, attempts)) return first;
    return to;
  }
}
