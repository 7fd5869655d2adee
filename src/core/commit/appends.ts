// Batches that are complete: those that wait for the journal, and those that are on their way
// through it, in one order.

import { assert } from '../assert.ts';
import type { Failure } from '../ports/basics.ts';
import type { Batch } from './batch.ts';
import type { CommitOptions } from './options.ts';

export class Appends {
  readonly #journal: CommitOptions['journal'];
  readonly #nowMs: () => number;
  readonly #appended: (failure: Failure) => void;
  // Two at most: the rest of a full segment, and what opened the next.
  readonly #waiting: Batch[] = [];
  readonly #inFlight: Batch[] = [];

  /** `appended` is called as each of them ends, `ended` gives which one it was. */
  constructor(
    { journal, nowMs }: Pick<CommitOptions, 'journal' | 'nowMs'>,
    appended: (failure: Failure) => void,
  ) {
    this.#journal = journal;
    this.#nowMs = nowMs;
    this.#appended = appended;
  }

  /** Whether nothing is in flight, nor waits to be. */
  get isEmpty(): boolean {
    return this.#inFlight.length === 0 && this.#waiting.length === 0;
  }

  get isResting(): boolean {
    return this.#inFlight.length === 0;
  }

  /** Whether one waits. */
  get waits(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether the journal takes another one. */
  get hasRoom(): boolean {
    return this.#inFlight.length < this.#journal.depth;
  }

  /** Whether a batch of so many bytes is worth it, behind those that are in flight. */
  isWorth(bytes: number): boolean {
    return bytes >= this.#journal.aheadBytes;
  }

  /** The newest of them. */
  get last(): Batch | undefined {
    return this.#waiting.at(-1) ?? this.#inFlight.at(-1);
  }

  /** Whether one of them holds a message larger than a quantum. */
  get hasLarge(): boolean {
    return this.#inFlight.some(isLarge) || this.#waiting.some(isLarge);
  }

  /** A batch is sealed. */
  add(batch: Batch): void {
    this.#waiting.push(batch);
  }

  /** Hands the one to the journal that has waited longest; gives it. */
  next(): Batch {
    const batch = this.#waiting.shift()!;
    this.#inFlight.push(batch);
    batch.begunMs = this.#nowMs();
    this.#journal.append(batch.base + batch.offset, batch.bytes, this.#appended);
    return batch;
  }

  /** The first in flight has ended; gives it. */
  ended(): Batch {
    const batch = this.#inFlight.shift();
    assert(batch !== undefined, 'an append ended that was never begun');
    batch.tookMs = this.#nowMs() - batch.begunMs;
    return batch;
  }
}

function isLarge({ large }: Batch): boolean {
  return large;
}
