// The read-only numbers that leave the broker: what the dashboard, `thrustmq stats` and the tests
// see. Plain JSON; every 64-bit number is a decimal string. A snapshot costs O(active + top), never
// O(buckets).

import type { CloseReason } from './close-reasons.ts';

export type Side = 'intake' | 'exhaust';

/** Rates over the last second, per second. */
export interface Rates {
  publishedMessages: number;
  publishedBytes: number;
  deliveredMessages: number;
  deliveredBytes: number;
  ackedMessages: number;
}

/** Messages that died. */
export interface DeadTotals {
  maxDeliveries: number;
  rejected: number;
  expired: number;
  overflow: number;
  /** Of these: kept nowhere; kept by their bucket, as where they were to go took none. */
  dropped: number;
  notMoved: number;
  /** Given back by operators. */
  redriven: number;
}

/** Counters since the broker started; they never shrink. */
export interface Totals {
  /** Messages stored durably and acked with 1. */
  publishedMessages: number;
  publishedBytes: number;
  /** Messages answered with 0, by reason. */
  refused: { empty: number; tooLarge: number; storageFull: number; byRule: number };
  deliveredMessages: number;
  deliveredBytes: number;
  /** Copies of published messages that rules put into other buckets. */
  copiedMessages: number;
  /** Published before, within the window of their bucket's rule: answered with 1, not stored. */
  duplicateMessages: number;
  /** Messages that consumers acked with 1. */
  ackedMessages: number;
  /** Messages acked with another byte. */
  failedMessages: number;
  /** Messages given back without an attempt. */
  releasedMessages: number;
  /** Messages that died, by reason, whatever became of them then; and dead ones given back. */
  dead: DeadTotals;
  /** Of those that failed or were given back: to be ready again only after a time. */
  deferredMessages: number;
  /** Lost with others, and not charged. */
  suspectedMessages: number;
  /** Deliveries of a message that had been delivered before. */
  redeliveredMessages: number;
  /** Messages that could not be read back from disk and were set aside. */
  unreadableMessages: number;
  /** Messages that operators purged. */
  purgedMessages: number;
  /** Messages that rules dropped: their bucket had too much, they waited too long, or were dead for
   * too long. */
  dropped: { overflow: number; expired: number; 'dead-keep': number };
  heartbeats: number;
  /** Batches of producers that were taken whole, and deliveries that were sent. */
  batches: number;
  deliveries: number;
  protocolErrors: number;
}

export interface BucketSnapshot {
  id: string;
  ready: number;
  unacked: number;
  /** To be ready at a time. */
  delayed: number;
  consumers: number;
  /** Whether `ready` counts all; if not, it is at least so many: what was on disk only when the
   * broker started, or when it forgot the bucket, counts when it is read. */
  exact: boolean;
}

export interface ConnectionSnapshot {
  id: number;
  side: 'intake' | 'exhaust';
  /** Remote address and port. */
  peer: string;
  /** Name of the node that passes it on, where the peer is connected to another one. */
  via?: string;
  wire: 'u64' | 'u32';
  /** Consumers only: what the client called itself; not unique. */
  consumerId?: string;
  bucket?: string;
  batchSize?: number;
  unacked?: number;
  messages: number;
  bytes: number;
  /** Milliseconds since the last byte came from this peer. */
  idleMs: number;
}

/** Counts of commits by the reason that sealed them, and how long their parts took. */
export interface CommitSnapshot {
  count: number;
  /** What made the broker write the batch: publishes waiting, acks waiting too long, a proof
   * marker after going idle, a segment that was full, or the broker's own control records. */
  reasons: { publish: number; acks: number; proof: number; roll: number; control: number };
  bytes: Distribution;
  messages: Distribution;
  writeMs: Distribution;
  syncMs: Distribution;
}

/** How long messages take through the broker. */
export interface LatencySnapshot {
  /** From the intake of the first message of a commit until its acks are released; each batch of a
   * producer counts with the time of the commit that completes it. */
  publishMs: Distribution;
  /** From there until it is sent, of the first message of a delivery; those that are sent once
   * more, or were stored before this start, do not count. */
  deliveryMs: Distribution;
  /** From a delivery until the last of its messages is acked. */
  ackMs: Distribution;
}

/** How many values do not exceed each bound: the powers of two that POWERS lists. */
export interface Histograms {
  publishMs: number[];
  deliveryMs: number[];
  ackMs: number[];
  writeMs: number[];
  syncMs: number[];
  commitBytes: number[];
  commitMessages: number[];
  loopDelayMs: number[];
}

/** Percentiles over the broker's life. */
export interface Distribution {
  count: number;
  /** Exact, so that what was added between two snapshots can be told. */
  sum: number;
  mean: number;
  p50: number;
  p99: number;
  max: number;
}

export interface LogSnapshot {
  state: 'ready' | 'full' | 'failed';
  /** How long publishes were refused because the disk was full, since the start. */
  fullMs: number;
  sync: 'commit' | 'interval' | 'none';
  /** Oldest position still on disk, end of what was written, end of what is synced. */
  startPosition: string;
  endPosition: string;
  durablePosition: string;
  nextSequence: string;
  segments: number;
  /** Files held ready for further segments. */
  spareSegments: number;
  segmentBytes: number;
  /** Bytes of all files of the log, spares and the prepared segment included. */
  diskBytes: number;
  /** What the file system has left for us; null: not known. */
  diskFreeBytes: number | null;
  /** Bytes of the segments. */
  totalBytes: number;
  /** Bytes of records in them whose messages still wait, about: each segment counts by the share of
   * its messages that are not settled. */
  liveBytes: number;
  /** Bytes of index files. */
  indexBytes: number;
  /** Since the start: compactions that made something smaller, and bytes that they wrote. */
  compactions: { count: number; movedBytes: number };
  /** Since the start: reads of the log for deliveries that were no longer in memory. */
  coldReads: { count: number; bytes: number };
  /** The oldest message that is not settled, whose bucket keeps the oldest segment on disk;
   * undefined if nothing waits, or it was not found yet, which may take seconds. */
  oldest?: { bucket: string; sequence: string };
  epoch: number;
  recovery: {
    durationMs: number;
    segments: number;
    records: number;
    messages: number;
    cutBytes: number;
  };
}

/** Memory of the broker's process; the dashboard is another one. */
export interface MemorySnapshot {
  /** What the system counts as resident; is to stay below `budgetBytes`. */
  rssBytes: number;
  /** --memory. */
  budgetBytes: number;
  /** JavaScript objects. */
  heapBytes: number;
  /** Linear memory of the codec; what was never touched is not resident. */
  wasmBytes: number;
  /** Partial input and unread output of all connections, and the most that it may be. */
  bufferedBytes: number;
  bufferBytesMax: number;
  /** Of these, set aside for large messages on their way; and producers that wait for some. */
  reservedBytes: number;
  waitingProducers: number;
  /** What is known of single messages: which are settled, which came back how often. */
  fatesBytes: number;
  /** Buckets that are remembered at most; beyond it idle ones are forgotten. */
  bucketsMax: number;
}

/** How far a start is, until there are snapshots. */
export interface StartSnapshot {
  /** `opening` folder and lock; `reading` the log; `repairing`: its end is written again and synced;
   * `counting` what marks of compacted segments leave in doubt; `preparing` the next segment. */
  phase: 'opening' | 'reading' | 'repairing' | 'counting' | 'preparing';
  segments: number;
  segmentsTotal: number;
  /** Bytes of segments that were read, or need not be: they are known from a checkpoint. */
  bytes: number;
  bytesTotal: number;
  /** Records that were read. */
  records: number;
  elapsedMs: number;
}

export interface Snapshot {
  version: string;
  pid: number;
  /** ISO 8601, UTC. */
  startedAt: string;
  now: string;
  /** How long the broker runs; unlike the dates it does not follow when the wall clock is set. */
  uptimeMs: number;
  /** Set when acks promise less than "on disk": --sync interval or none. */
  warning?: string;
  config: Record<string, unknown>;
  rates: Rates;
  totals: Totals;
  /** `count` is of buckets that are remembered; all of them if `exact`, else there may be more whose
   * messages are on disk only. `ready`, `unacked`, `delayed` and `dead` count all messages in any case. `oldestAgeMs`:
   * age of the oldest message that is not acked, about; 0: there is none; what was stored before
   * this start counts from it. `top` holds the buckets with the largest backlog, at most 50. */
  buckets: {
    count: number;
    exact: boolean;
    ready: number;
    unacked: number;
    delayed: number;
    /** Messages that died and are kept with their buckets. */
    dead: number;
    paused: number;
    /** Those with something to give to consumers of their virtual bucket. */
    sources: number;
    oldestAgeMs: number;
    /** Ids of messages that are not stored again for a time; bytes they take, and may take. */
    recentIds: { count: number; bytes: number; bytesMax: number };
    top: BucketSnapshot[];
  };
  /** `list` holds at most 100 connections. */
  connections: {
    intake: number;
    exhaust: number;
    refused: number;
    /** Since the broker started, as `closed`, by why they ended. */
    opened: Record<Side, number>;
    closed: Record<Side, Record<CloseReason, number>>;
    list: ConnectionSnapshot[];
  };
  commits: CommitSnapshot;
  latency: LatencySnapshot;
  histograms: Histograms;
  log: LogSnapshot;
  memory: MemorySnapshot;
  /** How late the broker's timers were, over its life; `recentMax`: over the last second. One fires
   * every 25 ms while something goes on, else when something is due. */
  eventLoopDelayMs: {
    p50: number;
    p99: number;
    max: number;
    recentMax: number;
    all: Distribution;
  };
}

/** Powers of two that histograms are shown at: ms from 16 µs to 65 s, bytes, messages. */
export const POWERS = {
  ms: Array.from({ length: 23 }, (_, i) => i - 6),
  bytes: [10, 12, 14, 16, 18, 20, 22, 24, 26],
  messages: [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20],
} as const;
