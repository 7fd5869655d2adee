// What the broker counts, from its start on. Plain numbers, incremented on the hot path, read by
// the snapshot; they never shrink.

import { CLOSE_REASONS, type CloseReason } from '../../contract/close-reasons.ts';

function closed(): Record<CloseReason, number> {
  const counts = CLOSE_REASONS.map((reason) => [reason, 0]);
  return Object.fromEntries(counts) as Record<CloseReason, number>;
}

export class Counters {
  publishedMessages = 0;
  publishedBytes = 0;
  refusedEmpty = 0;
  refusedLarge = 0;
  refusedFull = 0;
  /** By a rule that bounds what may wait. */
  refusedByRule = 0;
  deliveredMessages = 0;
  deliveredBytes = 0;
  ackedMessages = 0;
  failedMessages = 0;
  /** Given back by their consumers without an attempt. */
  releasedMessages = 0;
  /** Of those that failed or were released: to be ready only after a time. */
  deferredMessages = 0;
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
}
