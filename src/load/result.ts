// What a run measured, and how it follows from counters at the two ends of the measured window.
// Pure arithmetic: opens, waits for and writes nothing.

import type { Verdict } from './ledger.ts';
import { type Latency, latencyOf, type Meter } from './meter.ts';
import type { LoadPlan } from './plan.ts';

/** Messages per second of the broker that came first; results are also given as multiples of it. */
export const REFERENCE_RATE = 28_000;

/** What flowed in one direction during the measured window. */
export interface Flow {
  messages: number;
  seconds: number;
  msgPerSecond: number;
  /** Bodies only; 1 MB = 1,000,000 bytes. */
  MBperSecond: number;
}

export interface LoadResult {
  publish:
    | (Flow & {
        refused: number;
        /** From when a batch was sent, or due in an open loop, to its answer. */
        latencyMs: Latency | undefined;
        /** Open loop: how long after its due time a batch was sent. Part of latencyMs, too. */
        lateMs: Latency | undefined;
      })
    | undefined;
  consume: (Flow & { endToEndMs: Latency | undefined; heartbeats: number }) | undefined;
  verify: Verdict | undefined;
  /** Published and not consumed when the run ended; they stay in the broker. */
  leftMessages: number;
  interrupted: boolean;
}

/** Counters at a moment. */
export interface Mark {
  atMs: number;
  stored: number;
  refused: number;
  delivered: number;
  deliveredBytes: number;
}

export interface Window {
  from: Mark;
  to: Mark;
  interrupted: boolean;
}

/** The flows of a window; the rest is known only when everything has settled. */
export function sumUp(plan: LoadPlan, meter: Meter, window: Window): LoadResult {
  const { from, to, interrupted } = window;
  // A counted run ends with its last message, not with the look at the clock behind it.
  const seconds = (lastMs: number): number => {
    const counted = plan.count !== undefined && !interrupted && lastMs > from.atMs;
    return Math.max(1e-6, ((counted ? lastMs : to.atMs) - from.atMs) / 1000);
  };
  const stored = to.stored - from.stored;
  const publish = {
    ...flow(stored, stored * plan.messageBytes, seconds(meter.storedAtMs)),
    refused: to.refused - from.refused,
    latencyMs: undefined,
    lateMs: undefined,
  };
  const delivered = to.delivered - from.delivered;
  const deliveredBytes = to.deliveredBytes - from.deliveredBytes;
  const consume = {
    ...flow(delivered, deliveredBytes, seconds(meter.deliveredAtMs)),
    endToEndMs: undefined,
    heartbeats: meter.heartbeats,
  };
  return {
    publish: plan.producers > 0 ? publish : undefined,
    consume: plan.consumers > 0 ? consume : undefined,
    verify: undefined,
    leftMessages: 0,
    interrupted,
  };
}

/** Enters the latencies into a result: what was due in the window and has been answered by now. */
export function addLatencies(result: LoadResult, meter: Meter): void {
  if (result.publish !== undefined) {
    result.publish.latencyMs = latencyOf(meter.ack);
    result.publish.lateMs = latencyOf(meter.late);
  }
  if (result.consume !== undefined) result.consume.endToEndMs = latencyOf(meter.endToEnd);
}

function flow(messages: number, bytes: number, seconds: number): Flow {
  return {
    messages,
    seconds,
    msgPerSecond: messages / seconds,
    MBperSecond: bytes / 1e6 / seconds,
  };
}
