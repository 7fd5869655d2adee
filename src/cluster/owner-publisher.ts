// An owner's batches on their way into the stream, as its journal gives them: under the fence of
// Ownership, within the room that the stream has; measured.

import type { AppendTimes } from '../contract/cluster.ts';
import type { Ownership } from '../core/cluster/ownership.ts';
import { Histogram } from '../core/metrics/histogram.ts';
import type { Failure, Position } from '../core/ports/basics.ts';
import { closesSegment } from '../log/following/batch.ts';
import type { Publisher } from '../log/following/shipped-journal.ts';

/** How long times count, at most twice of it, in ms. */
const PERIOD_MS = 30_000;

export interface OwnerPublisherOptions {
  ownership: Pick<Ownership, 'publish' | 'trimmed' | 'isFull' | 'state'>;
  /** Why messages find no room in the stream, or undefined. */
  blocked: () => string | undefined;
  /** Monotonic ms, with a fraction. */
  nowMs: () => number;
}

export class OwnerPublisher implements Publisher {
  readonly #options: OwnerPublisherOptions;
  #times = new Histogram();
  #before = new Histogram();
  #sinceMs: number;

  constructor(options: OwnerPublisherOptions) {
    this.#options = options;
    this.#sinceMs = options.nowMs();
  }

  publish(position: Position, bytes: Uint8Array, done: (failure: Failure) => void): void {
    const { ownership, nowMs } = this.#options;
    const begunMs = nowMs();
    ownership.publish(position, bytes, closesSegment(bytes), (failure) => {
      if (failure === undefined) this.#took(nowMs(), begunMs);
      done(failure);
    });
  }

  #took(nowMs: number, begunMs: number): void {
    if (nowMs - this.#sinceMs >= PERIOD_MS) {
      this.#before = this.#times;
      this.#times = new Histogram();
      this.#sinceMs = nowMs;
    }
    this.#times.record(nowMs - begunMs);
  }

  stalled(): boolean {
    const { ownership } = this.#options;
    return ownership.isFull || ownership.state === 'suspended';
  }

  blocked(): string | undefined {
    return this.#options.blocked();
  }

  trimmed(position: Position): void {
    this.#options.ownership.trimmed(position);
  }

  /** From when a batch was given until it counts. */
  get times(): AppendTimes {
    const now = this.#times.summary();
    const { count, p50, p99, max } = now.count > 0 ? now : this.#before.summary();
    return { count, p50, p99, max };
  }
}
