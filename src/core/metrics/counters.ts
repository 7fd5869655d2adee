// What the broker counts, from its start on. Plain numbers, incremented on the hot path, read by
// the snapshot; they never shrink.

import { REASON_MAX } from '../../../assembly/layout-placed.ts';
import { CLOSE_REASONS, type CloseReason } from '../../contract/close-reasons.ts';

function closed(): Record<CloseReason, number> {
  const counts = CLOSE_REASONS.map((reason) => [reason, 0]);
  return Object.fromEntries(counts) as Record<CloseReason, number>;
}

/** What of a batch is counted: in `moved` is what nobody published just now. */
interface Stored {
  readonly messages: number;
  readonly payload: number;
  readonly moved: number;
  readonly movedPayload: number;
  readonly copied: number;
}

/** Why rules drop messages, which are kept nowhere then. */
export type DropReason = 'overflow' | 'expired' | 'dead-keep';

export class Counters {
  publishedMessages = 0;
  publishedBytes = 0;
  /** Copies of published messages that went to other buckets. */
  copiedMessages = 0;
  refusedEmpty = 0;
  refusedLarge = 0;
  refusedFull = 0;
  /** By a rule that bounds what may wait. */
  refusedByRule = 0;
  /** Published before, within the window of their bucket's rule: answered as stored. */
  duplicateMessages = 0;
  deliveredMessages = 0;
  deliveredBytes = 0;
  ackedMessages = 0;
  failedMessages = 0;
  /** Given back by their consumers without an attempt. */
  releasedMessages = 0;
  /** Of those that failed or were released: to be ready only after a time. */
  deferredMessages = 0;
  /** Lost with others, so that nobody knows which of them is to blame. */
  suspectedMessages = 0;
  /** Messages that consumers rejected. */
  rejectedMessages = 0;
  /** Messages that died, by REASON of layout.ts, whatever became of them then. */
  readonly dead: number[] = new Array(REASON_MAX + 1).fill(0);
  /** Of these, those that are kept nowhere, and those that are not where their rule says. */
  deadDroppedMessages = 0;
  deadFallbackMessages = 0;
  /** Dead messages that were given back. */
  redrivenMessages = 0;
  redeliveredMessages = 0;
  purgedMessages = 0;
  /** Messages that rules dropped: as their bucket had too much, as they waited too long, or as
   * they were dead for too long. */
  readonly dropped: Record<DropReason, number> = { overflow: 0, expired: 0, 'dead-keep': 0 };
  heartbeats = 0;
  protocolErrors = 0;
  refusedConnections = 0;
  readonly closedConnections = { intake: closed(), exhaust: closed() };
  /** Batches of producers that were taken whole, and deliveries that were sent. */
  batches = 0;
  deliveries = 0;
  /** Messages that could not be read back and were set aside. */
  unreadableMessages = 0;

  /** A batch became durable. */
  stored(batch: Stored): void {
    this.publishedMessages += batch.messages - batch.moved;
    this.publishedBytes += batch.payload - batch.movedPayload;
    this.copiedMessages += batch.copied;
  }
}
