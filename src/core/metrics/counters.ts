// What the broker counts, from its start on. Plain numbers, incremented on the hot path, read by
// the snapshot; they never shrink.

import { CLOSE_REASONS, type CloseReason } from '../../contract/close-reasons.ts';

function closed(): Record<CloseReason, number> {
  const counts = CLOSE_REASONS.map((reason) => [reason, 0]);
  return Object.fromEntries(counts) as Record<CloseReason, number>;
}

// Published in one tick: about 20 MB a second. Whoever reads gently has at least twice as much.
const LIGHT_BYTES = 512 * 1024;

export class Counters {
  publishedMessages = 0;
  publishedBytes = 0;
  refusedEmpty = 0;
  refusedLarge = 0;
  refusedFull = 0;
  deliveredMessages = 0;
  deliveredBytes = 0;
  ackedMessages = 0;
  failedMessages = 0;
  redeliveredMessages = 0;
  purgedMessages = 0;
  heartbeats = 0;
  protocolErrors = 0;
  refusedConnections = 0;
  readonly closedConnections = { intake: closed(), exhaust: closed() };
  /** Batches of producers that were taken whole, and deliveries that were sent. */
  batches = 0;
  deliveries = 0;
  /** Messages that could not be read back and were set aside. */
  unreadableMessages = 0;
  #publishedBefore = 0;
  #lightly = false;
  /** Whether something was published between the last two ticks. */
  busy = false;

  /**
   * Whether something was published between the last two ticks, and not much. What is little is
   * waited for; much is a stream, in which whoever is behind has to be able to catch up.
   */
  get publishingLightly(): boolean {
    return this.#lightly;
  }

  /** Time passes; called for each tick. */
  tick(): void {
    const bytes = this.publishedBytes - this.#publishedBefore;
    this.busy = bytes > 0;
    this.#lightly = bytes > 0 && bytes < LIGHT_BYTES;
    this.#publishedBefore = this.publishedBytes;
  }
}
