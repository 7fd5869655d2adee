// Counters and histograms of a run, shared by its connections, and how they are summed up. The
// histograms are those of Node.js, which are HDR: three significant digits at any magnitude.

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Percentiles in milliseconds. `count` is how many were measured. */
export interface Latency {
  count: number;
  min: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
}

const NS_PER_MS = 1e6;

export class Meter {
  /** Messages answered with 1 and with 0. */
  stored = 0;
  refused = 0;
  /** Messages delivered to consumers and acked by them, and the bytes of their bodies. */
  delivered = 0;
  deliveredBytes = 0;
  heartbeats = 0;
  /** When the last ack and the last delivery came, ms. */
  storedAtMs = 0;
  deliveredAtMs = 0;
  /** From the time a batch was sent (or due, in an open loop) to the last byte of its answer. */
  readonly ack: RecordableHistogram = createHistogram();
  /** From the time a message was due to its delivery. */
  readonly endToEnd: RecordableHistogram = createHistogram();
  /** Open loop: from the time a batch was due to the time it was handed to the socket. */
  readonly late: RecordableHistogram = createHistogram();
  #fromMs = Number.POSITIVE_INFINITY;
  #toMs = Number.POSITIVE_INFINITY;

  /** From now on, what is due counts. */
  beginTiming(nowMs: number): void {
    this.#fromMs = nowMs;
  }

  /** What is due from now on counts no more; what was due before does, however late it comes. */
  endTiming(nowMs: number): void {
    this.#toMs = nowMs;
  }

  /**
   * Whether something that was due (or sent, in a closed loop) then is timed. The window is one of
   * due times and not of answers: else a broker that stands still at the end of the window would
   * have its slowest answers left out.
   */
  times(dueMs: number): boolean {
    return dueMs >= this.#fromMs && dueMs < this.#toMs;
  }

  /** Messages stored and not yet delivered. */
  get waiting(): number {
    return this.stored - this.delivered;
  }
}

/** Adds a duration to a histogram, which holds whole nanoseconds from 1 on. */
export function recordMs(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.max(1, Math.round(ms * NS_PER_MS)));
}

export function latencyOf(histogram: RecordableHistogram): Latency | undefined {
  const { count, min, mean, max } = histogram;
  if (count === 0) return undefined;
  const at = (percent: number): number => toMs(histogram.percentile(percent));
  return {
    count,
    min: toMs(min),
    mean: toMs(mean),
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: toMs(max),
  };
}

function toMs(nanoseconds: number): number {
  return Math.round(nanoseconds / 1000) / 1000;
}
