// What was sent to one consumer and the system has not taken yet: its bytes, which count in the
// budget, and the memory of its frame, which comes back when all of it is taken.

import type { Budget } from '../memory/budget.ts';
import type { Link } from '../ports/link.ts';
import type { DeliveryFrames } from './delivery-frames.ts';

export interface ConsumerOutputParts {
  readonly frames: DeliveryFrames;
  readonly budget: Budget;
}

export class ConsumerOutput {
  readonly #link: Link;
  readonly #parts: ConsumerOutputParts;
  #memory: Uint8Array | undefined;
  /** Bytes that the system has not taken. */
  queuedBytes = 0;

  constructor(link: Link, parts: ConsumerOutputParts) {
    this.#link = link;
    this.#parts = parts;
  }

  /** Sends the frame of `count` messages in `bytes` bytes that is in the outbox. */
  sendFrame(count: number, bytes: number): void {
    const { frames } = this.#parts;
    this.#memory = frames.take(bytes);
    this.#link.send(frames.close(count, bytes, this.#memory));
  }

  send(bytes: Uint8Array): void {
    this.#link.send(bytes);
  }

  /** Looks at what the system has taken; true: it was waited for that, and is all now. */
  drained(): boolean {
    const queued = this.#link.queuedBytes;
    const before = this.queuedBytes;
    this.#parts.budget.bytes += queued - before;
    this.queuedBytes = queued;
    if (queued > 0) return false;
    this.#release();
    return before > 0;
  }

  /** The connection is gone. */
  end(): void {
    this.#parts.budget.bytes -= this.queuedBytes;
    this.queuedBytes = 0;
    this.#release();
  }

  #release(): void {
    if (this.#memory !== undefined) this.#parts.frames.give(this.#memory);
    this.#memory = undefined;
  }
}
