// Every limit and timing of the broker with its default, unit last in the name, and the relations
// between them asserted once. All of them are checked before anything is allocated.

import {
  BATCH_MESSAGES_MAX,
  INBOX_BYTES,
  MESSAGE_BYTES_CEILING,
  MESSAGE_BYTES_DEFAULT,
  OUTBOX_BYTES,
  RECORD_HEADER_BYTES,
  RING_BYTES,
  SEGMENT_DATA_AT,
} from '../../assembly/layout.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export interface Limits {
  /** Largest message a producer may publish, in bytes. */
  messageBytesMax: number;
  /** Most messages in one wire batch, either way. */
  batchMessagesMax: number;
  /** Connections on all data listeners together. */
  connectionsMax: number;
  /** The same from one remote address; loopback may use all. */
  connectionsPerAddressMax: number;
  /** Time a consumer has to send its whole header. */
  consumerHeaderMs: number;
  /** Time a begun message or batch header has to arrive; grows with its declared length. */
  partialMessageMs: number;
  /** Bytes queued for one peer that it has not read yet; above it we stop reading from it. */
  peerBytesMax: number;
  /** One budget for partial input and unread output of all connections. */
  bufferBytesMax: number;
  /** Largest delivery frame in bytes on a u64 listener; one larger message travels alone. */
  deliveryBytesMax: number;
  /** The same on a u32 listener, whose published clients expect one read to return all of it. */
  deliveryBytesMaxU32: number;
  /** Silence after which a waiting consumer gets a heartbeat. */
  heartbeatMs: number;
  /** Time a consumer has to ack a heartbeat before its connection counts as dead. */
  heartbeatAckMs: number;
  /** Longest that acks of consumers wait for a publish to share a commit with. */
  ackCommitMs: number;
  /** Idle time after which the last batch is proved durable by an empty one behind it. */
  proofMs: number;
  /** Size of a segment file; also of the commit buffer and hot tail in memory. */
  segmentBytes: number;
  /** Part of a segment that only consumers' acks may use while no next segment can be made. */
  reserveBytes: number;
  /** Records of messages in a segment, about: it is complete then, whatever room it has left. */
  segmentEntriesMax: number;
  /** Marks of acks, and of failed deliveries, that wait for the log one by one: so many of each. */
  marksMax: number;
  /** Arrays for deliveries that are kept to be used again. */
  framesMax: number;
}

export const DEFAULT_LIMITS: Limits = {
  messageBytesMax: MESSAGE_BYTES_DEFAULT,
  batchMessagesMax: BATCH_MESSAGES_MAX,
  connectionsMax: 10_000,
  connectionsPerAddressMax: 5_000,
  consumerHeaderMs: 5_000,
  partialMessageMs: 30_000,
  peerBytesMax: 8 * MIB,
  bufferBytesMax: 128 * MIB,
  deliveryBytesMax: 1 * MIB,
  deliveryBytesMaxU32: 64 * KIB,
  heartbeatMs: 1_600,
  heartbeatAckMs: 20_000,
  ackCommitMs: 50,
  proofMs: 100,
  segmentBytes: 64 * MIB,
  reserveBytes: 4 * MIB,
  segmentEntriesMax: 256 * KIB,
  marksMax: 128 * KIB,
  framesMax: 16,
};

/** Bytes a segment must have for messages of `messageBytesMax`, reserve and framing included. */
export function segmentBytesMin(messageBytesMax: number, reserveBytes: number): number {
  return SEGMENT_DATA_AT + 2 * (messageBytesMax + 2 * RECORD_HEADER_BYTES) + reserveBytes;
}

/** Says what is wrong with a set of limits, or undefined if they hold together. */
export function checkLimits(limits: Limits): string | undefined {
  const { messageBytesMax, segmentBytes, reserveBytes } = limits;
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value <= 0)
      return `${name} must be a positive whole number, not ${value}`;
  }
  if (messageBytesMax > MESSAGE_BYTES_CEILING)
    return `messages are at most ${MESSAGE_BYTES_CEILING} bytes (64 MiB), not ${messageBytesMax}`;
  if (limits.batchMessagesMax > BATCH_MESSAGES_MAX)
    return `batches are at most ${BATCH_MESSAGES_MAX} messages, not ${limits.batchMessagesMax}`;
  if (reserveBytes < 64 * KIB) return `the reserve is at least 65536 bytes, not ${reserveBytes}`;
  if (segmentBytes % 4096 !== 0) return `the segment size must be a multiple of 4096`;
  if (segmentBytes > RING_BYTES) return `segments are at most ${RING_BYTES} bytes (256 MiB)`;
  const least = segmentBytesMin(messageBytesMax, reserveBytes);
  if (segmentBytes < least)
    return `a segment of ${segmentBytes} bytes is too small for messages of ${messageBytesMax} bytes: it needs ${least}`;
  if (messageBytesMax + 16 * KIB > Math.min(INBOX_BYTES, OUTBOX_BYTES))
    return `messages of ${messageBytesMax} bytes do not fit the module's buffers`;
  return undefined;
}
