// An owner's batches on their way into the stream, as its journal gives them: under the fence of
// Ownership, within the room that the stream has; measured.

import { SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import type { Ownership } from '../core/cluster/ownership.ts';
import type { Histogram } from '../core/metrics/histogram.ts';
import type { Failure, Position } from '../core/ports/basics.ts';
import { closesSegment } from '../log/following/batch.ts';
import type { Publisher } from '../log/following/shipped-journal.ts';

export interface OwnerPublisherOptions {
  ownership: Pick<Ownership, 'publish' | 'trimmed' | 'isFull'>;
  /** Why messages find no room in the stream, or undefined. */
  blocked: () => string | undefined;
  /** Takes how long it was until a batch counted, in ms. */
  times: Histogram;
  /** Monotonic ms, with a fraction. */
  nowMs: () => number;
}

export class OwnerPublisher implements Publisher {
  readonly #options: OwnerPublisherOptions;

  constructor(options: OwnerPublisherOptions) {
    this.#options = options;
  }

  publish(position: Position, bytes: Uint8Array, done: (failure: Failure) => void): void {
    const { ownership, nowMs, times } = this.#options;
    const begunMs = nowMs();
    ownership.publish(position, bytes, closesSegment(bytes), (failure) => {
      if (failure === undefined) times.record(nowMs() - begunMs);
      done(failure);
    });
  }

  // Not while the stream has no leader: what waits for that is acked late, and refused by nobody.
  stalled(): boolean {
    return this.#options.ownership.isFull;
  }

  blocked(): string | undefined {
    return this.#options.blocked();
  }

  // That is the base of a segment: its first batch stands behind its head.
  trimmed(position: Position): void {
    this.#options.ownership.trimmed(position + SEGMENT_DATA_AT);
  }
}
