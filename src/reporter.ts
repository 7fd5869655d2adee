// Gathers the numbers of a running broker into snapshots: rates, commit timings, log state, memory,
// event-loop delay. Reads from the broker and the log, never the other way round.

import { statfs } from 'node:fs';
import { type BrokerConfig, withoutSecrets } from './config/load.ts';
import {
  type Histograms,
  type LogSnapshot,
  POWERS,
  type Rates,
  type Snapshot,
  type Totals,
} from './contract/snapshot.ts';
import { OldestMessages } from './core/admin/oldest-message.ts';
import { bucketsOf, connectionsOf, ratesOf, totalsOf } from './core/admin/report.ts';
import type { Broker } from './core/broker.ts';
import { Histogram } from './core/metrics/histogram.ts';
import type { LogPorts, LogStatus } from './core/ports/log.ts';
import { liveBytesOf } from './core/segments/retention.ts';
import type { Clock } from './io/clock.ts';

const RATE_MS = 1000;
const DISK_MS = 5000;
const NO_RECOVERY = { durationMs: 0, segments: 0, records: 0, messages: 0, cutBytes: 0 };
const SYNC_WARNINGS = {
  commit: undefined,
  interval: 'acks are weaker: messages are synced at intervals, a power cut may lose acked ones',
  none: 'acks are weaker: messages are never synced, a power cut may lose acked ones',
};

/** What numbers are gathered from. */
export interface ReporterOptions {
  config: BrokerConfig;
  version: string;
  broker: Broker;
  log: Pick<LogPorts, 'journal' | 'space' | 'index'>;
  status: LogStatus;
  clock: Clock;
  /** Tells where the data folder is: it may be renamed. */
  dataDir: () => string;
}

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #broker: Broker;
  readonly #log: ReporterOptions['log'];
  readonly #status: LogStatus;
  readonly #clock: Clock;
  readonly #startedMs: number; // as all here monotonic
  // How late the ticks were; the most in the last second, and in this one.
  readonly #late = new Histogram();
  #recentLateMs = 0;
  #latestMs = 0;
  #latestAtMs = Number.NEGATIVE_INFINITY;
  #fullMs = 0;
  #wasFull = false; // at the last look
  #lookedMs: number;
  #diskFreeBytes: number | null = null;
  #diskAtMs = Number.NEGATIVE_INFINITY;
  readonly #bytes = new Histogram();
  readonly #messages = new Histogram();
  readonly #writeMs = new Histogram();
  readonly #syncMs = new Histogram();
  #commits = 0;
  #before: Totals;
  #beforeMs: number;
  #rates: Rates;
  #changing = true; // what rates are made of, since then or shortly before
  #recovery: LogSnapshot['recovery'] = NO_RECOVERY;
  #epoch = 0;
  readonly #oldest: OldestMessages;
  #settledTo = 0; // nothing waited when this was the next sequence

  constructor(options: ReporterOptions) {
    const { broker, log, status, clock } = options;
    this.#options = options;
    this.#broker = broker;
    this.#log = log;
    this.#status = status;
    this.#clock = clock;
    this.#startedMs = clock.nowMs;
    this.#beforeMs = clock.nowMs;
    this.#lookedMs = clock.nowMs;
    this.#before = totalsOf(broker);
    this.#rates = ratesOf(this.#before, this.#before, 0);
    this.#lookAtDisk(clock.nowMs); // so that the first who ask find it there
    this.#oldest = new OldestMessages({
      retention: broker.retention,
      entries: broker.buckets.entries,
      fates: broker.buckets.outcomes,
      memoryFrom: () => broker.indexing.memoryFrom,
      releasing: () => broker.indexing.releasing,
      visit: (base, record, done) => log.index.visit(base, record, done),
    });
    broker.onBatch((batch) => {
      this.#commits++;
      if (batch.messages > 0) this.#messages.record(batch.messages);
    });
  }

  recovered(recovery: LogSnapshot['recovery'], epoch: number): void {
    this.#recovery = recovery;
    this.#epoch = epoch;
  }

  wrote(bytes: number, writeMs: number, syncMs: number): void {
    this.#bytes.record(bytes);
    this.#writeMs.record(writeMs);
    if (syncMs > 0) this.#syncMs.record(syncMs);
  }

  /** A timer of the event loop was so late. */
  late(ms: number): void {
    this.#late.record(ms);
    this.#latestMs = Math.max(this.#latestMs, ms);
    this.#latestAtMs = this.#clock.nowMs;
  }

  /** Something comes in after a sleep: in the time before that nothing did. */
  stirred(): void {
    const { nowMs } = this.#clock;
    if (nowMs - this.#beforeMs >= RATE_MS) this.#rate(nowMs);
    this.#changing = true;
  }

  /** To be called while something goes on, and after so many ms as it gives. */
  tick(): number {
    const { nowMs } = this.#clock;
    this.#look(nowMs);
    this.#oldest.advance(nowMs);
    if (this.#broker.retention.live === 0) this.#settledTo = this.#broker.nextSequence;
    if (nowMs - this.#beforeMs >= RATE_MS) this.#rate(nowMs);
    if (nowMs - this.#diskAtMs >= DISK_MS) this.#lookAtDisk(nowMs);
    const rateMs = this.#changing ? this.#beforeMs + RATE_MS : Number.POSITIVE_INFINITY;
    return Math.min(rateMs, this.#oldest.dueMs, this.#diskAtMs + DISK_MS) - nowMs;
  }

  #look(nowMs: number): void {
    if (this.#wasFull) this.#fullMs += nowMs - this.#lookedMs;
    this.#wasFull = this.#status.full;
    this.#lookedMs = nowMs;
  }

  #rate(nowMs: number): void {
    const totals = totalsOf(this.#broker);
    this.#rates = ratesOf(this.#before, totals, nowMs - this.#beforeMs);
    this.#before = totals;
    this.#beforeMs = nowMs;
    this.#recentLateMs = nowMs - this.#latestAtMs < 2 * RATE_MS ? this.#latestMs : 0;
    this.#latestMs = 0;
    this.#changing = Object.values(this.#rates).some((rate) => rate > 0);
  }

  #lookAtDisk(nowMs: number): void {
    this.#diskAtMs = nowMs;
    statfs(this.#options.dataDir(), (failure, stats) => {
      this.#diskFreeBytes = failure === null ? stats.bavail * stats.bsize : null;
    });
  }

  /** Grows when something happens; what time alone changes is nothing. */
  get activity(): number {
    const { counters, producers, consumers } = this.#broker;
    const { intake, exhaust } = counters.closedConnections;
    const closed = [...Object.values(intake), ...Object.values(exhaust)];
    const opened = closed.reduce((sum, count) => sum + count, producers.size + consumers.size);
    const { publishedMessages, deliveredMessages, ackedMessages, failedMessages } = counters;
    const answered = ackedMessages + failedMessages + counters.releasedMessages;
    const messages = publishedMessages + deliveredMessages + answered;
    const { refusedEmpty, refusedLarge, refusedFull, refusedByRule, purgedMessages } = counters;
    const refused = refusedEmpty + refusedLarge + refusedFull + refusedByRule;
    const dropped = Object.values(counters.dropped).reduce((sum, count) => sum + count, 0);
    const others = refused + purgedMessages + dropped + this.#commits;
    return 2 * opened - (producers.size + consumers.size) + messages + others;
  }

  snapshot(): Snapshot {
    const { config, version } = this.#options;
    const warning = SYNC_WARNINGS[config.log.sync];
    const memory = process.memoryUsage();
    const { outcomes: fates } = this.#broker.buckets;
    const { nowMs } = this.#clock;
    this.#look(nowMs);
    if (nowMs - this.#beforeMs >= RATE_MS) this.#rate(nowMs);
    const all = this.#late.summary();
    return {
      version,
      pid: process.pid,
      startedAt: this.#clock.date(this.#startedMs),
      now: this.#clock.date(nowMs),
      uptimeMs: Math.round(nowMs - this.#startedMs),
      ...(warning === undefined ? {} : { warning }),
      config: { ...withoutSecrets(config) },
      rates: this.#rates,
      totals: totalsOf(this.#broker),
      buckets: bucketsOf(this.#broker, this.#oldestAgeMs()),
      connections: connectionsOf(this.#broker),
      commits: {
        count: this.#commits,
        reasons: { ...this.#broker.commit.reasons },
        bytes: this.#bytes.summary(),
        messages: this.#messages.summary(),
        writeMs: this.#writeMs.summary(),
        syncMs: this.#syncMs.summary(),
      },
      latency: this.#latency(),
      histograms: this.#histograms(),
      log: this.#logSnapshot(),
      memory: {
        rssBytes: memory.rss,
        budgetBytes: config.memory.budgetBytes,
        heapBytes: memory.heapUsed,
        wasmBytes: this.#broker.codec.memory.buffer.byteLength,
        bufferedBytes: this.#broker.budget.bytes,
        bufferBytesMax: this.#broker.budget.bytesMax,
        reservedBytes: this.#broker.reservations.bytes,
        waitingProducers: this.#broker.reservations.waiting,
        fatesBytes: fates.settled.bytes + fates.attempts.bytes,
        bucketsMax: config.memory.bucketsMax,
      },
      eventLoopDelayMs: {
        p50: all.p50,
        p99: all.p99,
        max: all.max,
        recentMax: Math.round(this.#recentLateMs * 100) / 100,
        all,
      },
    };
  }

  // From about when the oldest was stored; for what was there before this start, from the start.
  #oldestAgeMs(): number {
    const { retention, latency } = this.#broker;
    if (retention.live === 0) return 0;
    const sequence = Math.max(this.#oldest.from, this.#settledTo);
    return Math.max(0, this.#clock.nowMs - (latency.times.of(sequence) ?? this.#startedMs));
  }

  #latency(): Snapshot['latency'] {
    const { publishMs, deliveryMs, ackMs } = this.#broker.latency;
    return {
      publishMs: publishMs.summary(),
      deliveryMs: deliveryMs.summary(),
      ackMs: ackMs.summary(),
    };
  }

  #histograms(): Histograms {
    const { publishMs, deliveryMs, ackMs } = this.#broker.latency;
    return {
      publishMs: publishMs.upTo(POWERS.ms),
      deliveryMs: deliveryMs.upTo(POWERS.ms),
      ackMs: ackMs.upTo(POWERS.ms),
      writeMs: this.#writeMs.upTo(POWERS.ms),
      syncMs: this.#syncMs.upTo(POWERS.ms),
      commitBytes: this.#bytes.upTo(POWERS.bytes),
      commitMessages: this.#messages.upTo(POWERS.messages),
      loopDelayMs: this.#late.upTo(POWERS.ms),
    };
  }

  #logSnapshot(): LogSnapshot {
    const { commit, compaction, retention } = this.#broker;
    const failed = commit.failure !== undefined;
    let totalBytes = 0;
    let liveBytes = 0;
    for (const segment of retention.segments) {
      const fileBytes = this.#log.space.fileBytes(segment.base);
      totalBytes += fileBytes;
      liveBytes += liveBytesOf(segment, fileBytes);
    }
    const cold = this.#status.coldReads;
    const oldest = this.#oldest.message;
    return {
      state: failed ? 'failed' : this.#status.full ? 'full' : 'ready',
      fullMs: Math.round(this.#fullMs),
      sync: this.#options.config.log.sync,
      startPosition: String(this.#log.journal.startPosition),
      endPosition: String(commit.endPosition),
      durablePosition: String(commit.durablePosition),
      nextSequence: String(this.#broker.codec.sequence()),
      segments: this.#log.space.bases().length,
      spareSegments: this.#status.spares,
      segmentBytes: this.#log.space.segmentBytes,
      diskBytes: this.#status.diskBytes,
      diskFreeBytes: this.#diskFreeBytes,
      totalBytes,
      liveBytes,
      indexBytes: this.#status.indexBytes,
      compactions: { count: compaction.count, movedBytes: compaction.movedBytes },
      coldReads: { count: cold.reads, bytes: cold.bytes },
      ...(oldest && {
        oldest: { bucket: oldest.bucket, sequence: String(oldest.sequence) },
      }),
      epoch: this.#epoch,
      recovery: this.#recovery,
    };
  }
}
