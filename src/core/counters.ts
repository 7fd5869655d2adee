// What the broker counts, from its start on. Plain numbers, incremented on the hot path, read by
// the snapshot; they never shrink.

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
  /** Messages that could not be read back and were set aside. */
  unreadableMessages = 0;
}
