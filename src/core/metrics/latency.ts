// How long messages take through the broker: from intake to ack, from intake to delivery, from
// delivery to ack. One reading of the clock for a commit or a delivery, never one for a message,
// and no memory beyond what is there from the start. Measures only: nothing is decided by it.

import { Histogram } from './histogram.ts';
import { StoredAt } from './stored-at.ts';

export interface LatencyOptions {
  /** Monotonic time in ms with a fraction, as fine as it is to be had. */
  clockMs: () => number;
}

// Commits whose times are known exactly; of older ones Times knows about when they were stored.
const COMMITS_KEPT = 4096;

export class Latency {
  readonly publishMs = new Histogram();
  readonly deliveryMs = new Histogram();
  readonly ackMs = new Histogram();
  /** When messages were stored, by sequence. */
  readonly times = new StoredAt();
  readonly #options: LatencyOptions;
  // A ring: commit n is at n modulo its size; sequences ascend.
  readonly #firsts = new Float64Array(COMMITS_KEPT);
  readonly #sinceMs = new Float64Array(COMMITS_KEPT);
  #commits = 0;

  constructor(options: LatencyOptions) {
    this.#options = options;
  }

  clockMs(): number {
    return this.#options.clockMs();
  }

  /**
   * The acks of a commit with messages were released. `first`: sequence of its first message;
   * `sinceMs`: when that was taken in; `batches`: producers' batches that it completed, each of
   * which counts with the time of the commit, the longest that one of them may have waited.
   */
  committed(first: number, sinceMs: number, batches: number): void {
    const now = this.clockMs();
    if (batches > 0) this.publishMs.record(now - sinceMs, batches);
    const at = this.#commits % COMMITS_KEPT;
    this.#firsts[at] = first;
    this.#sinceMs[at] = sinceMs;
    this.#commits++;
    this.times.note(first, now);
  }

  /**
   * A delivery leaves whose first message, `sequence`, is sent for the first time. Counts its age;
   * one that was stored before this start has none that is known. Returns the time.
   */
  delivered(sequence: number): number {
    const now = this.clockMs();
    const since = this.#since(sequence);
    if (since !== undefined) this.deliveryMs.record(now - since);
    else {
      const storedAt = this.times.of(sequence);
      if (storedAt !== undefined) this.deliveryMs.record(now - storedAt);
    }
    return now;
  }

  /** The last message of a delivery that left at `deliveredMs` was acked. */
  acked(deliveredMs: number): void {
    this.ackMs.record(this.clockMs() - deliveredMs);
  }

  // When the commit of a message began; undefined: it is not among those that are kept.
  #since(sequence: number): number | undefined {
    let low = Math.max(0, this.#commits - COMMITS_KEPT);
    const from = low;
    let high = this.#commits;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#firsts[middle % COMMITS_KEPT]! <= sequence) low = middle + 1;
      else high = middle;
    }
    return low === from ? undefined : this.#sinceMs[(low - 1) % COMMITS_KEPT];
  }
}
