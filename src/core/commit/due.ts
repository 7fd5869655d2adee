// When what waits without a message to go with has to be written: marks after a while or when they
// are many, a proof when the log was idle for a while.

import { MARKS_MAX } from '../../../assembly/layout.ts';

// What could not be written when it was due is tried again after so long, if nothing else happens.
const OVERDUE_MS = 1000;

export interface DueOptions {
  /** How long marks may wait, in ms. */
  readonly ackCommitMs: number;
  /** How long an idle log may be without a proof that its last batch is whole, in ms. */
  readonly proofMs: number;
}

export class CommitDue {
  readonly #options: DueOptions;
  /** Whether marks have waited long enough, or are many. */
  marks = false;
  #marksSinceMs = -1;
  #proofSinceMs = -1;

  constructor(options: DueOptions) {
    this.#options = options;
  }

  /** So many marks wait now, and whether a proof does. */
  note(nowMs: number, marks: number, proofWaits: boolean): void {
    if (marks === 0) this.#marksSinceMs = -1;
    else if (this.#marksSinceMs < 0) this.#marksSinceMs = nowMs;
    this.marks =
      marks >= MARKS_MAX || (marks > 0 && nowMs - this.#marksSinceMs >= this.#options.ackCommitMs);
    if (!proofWaits) this.#proofSinceMs = -1;
    else if (this.#proofSinceMs < 0) this.#proofSinceMs = nowMs;
  }

  /** Whether a proof has waited long enough. */
  proof(nowMs: number): boolean {
    return this.#proofSinceMs >= 0 && nowMs - this.#proofSinceMs >= this.#options.proofMs;
  }

  /** When one of them is due, in ms; Infinity if nothing waits. */
  nextMs(nowMs: number, marksWait: boolean, proofWaits: boolean): number {
    const { ackCommitMs, proofMs } = this.#options;
    // The next tick notes that they wait, or do not wait any more.
    if (marksWait !== this.#marksSinceMs >= 0 || proofWaits !== this.#proofSinceMs >= 0)
      return nowMs;
    // Overdue: it waits for the batch in flight, whose end is heard of, or for room on the disk.
    const due = (atMs: number) => (atMs < nowMs ? nowMs + OVERDUE_MS : atMs);
    return Math.min(
      marksWait ? due(this.#marksSinceMs + ackCommitMs) : Number.POSITIVE_INFINITY,
      proofWaits ? due(this.#proofSinceMs + proofMs) : Number.POSITIVE_INFINITY,
    );
  }
}
