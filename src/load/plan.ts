// What one run of the load generator does: the numbers, their defaults and the relations between
// them. Pure values: no sockets, no clock.

import { ACK_DONE, BATCH_MESSAGES_MAX, MESSAGE_BYTES_CEILING } from '../../assembly/layout.ts';
import { messageBytes as bytesOnWire, U64_MAX, type Wire } from '../codec/wire.ts';
import { STAMP_BYTES } from './stamp.ts';

export interface LoadPlan {
  host: string;
  /** Several nodes instead: connections go to them in turn. */
  hosts?: readonly string[];
  intakePort: number;
  exhaustPort: number;
  wire: Wire;
  /** Connections that publish; 0 = only consume what is there. */
  producers: number;
  /** Connections that consume, spread over the buckets; 0 = publish only. */
  consumers: number;
  /** Buckets from `firstBucket` on; messages of a batch go to them in turn. */
  buckets: number;
  firstBucket: bigint;
  /** Size of each message's body, in bytes. */
  messageBytes: number;
  /** Messages in each published batch. */
  batchMessages: number;
  /** Batches that each producer has sent and not yet had answered. */
  inFlight: number;
  /** What consumers ask for: most messages in one delivery. */
  consumerBatchMessages: number;
  /** The byte that consumers say of each message. */
  answer: number;
  /** Length of the measured window; used when `count` is undefined. */
  durationMs: number;
  /** Messages to publish (or to consume, without producers) instead of a duration. */
  count: number | undefined;
  /**
   * Messages per second in all, sent by a schedule that does not wait for answers; without
   * producers, what consumers take at most: their acks wait.
   */
  rate: number | undefined;
  /** Load before the measured window that counts for nothing. */
  warmupMs: number;
  /** Stamp every message, and look for losses, duplicates, disorder and changed bytes. */
  verify: boolean;
  /**
   * Number in the stamps, 1 to 65,535. Messages are then stamped without consumers too, and a later
   * run with this number and no producers can verify them; undefined: a number of the run's own.
   */
  run: number | undefined;
  /** Hold producers back while more messages than this wait for consumers. */
  backlogMessagesMax: number | undefined;
  /** Consume what was published before leaving. */
  drain: boolean;
}

export const DEFAULT_PLAN: LoadPlan = {
  host: '127.0.0.1',
  intakePort: 1888,
  exhaustPort: 2888,
  wire: 'u64',
  producers: 1,
  consumers: 1,
  buckets: 1,
  firstBucket: 7_000_000n, // out of the way of buckets that people number by hand
  messageBytes: 100,
  batchMessages: 1000,
  inFlight: 4,
  consumerBatchMessages: 1000,
  answer: ACK_DONE,
  durationMs: 10_000,
  count: undefined,
  rate: undefined,
  warmupMs: 1000,
  verify: false,
  run: undefined,
  backlogMessagesMax: undefined,
  drain: true,
};

/** The host that a connection goes to, by its number. */
export function hostOf({ host, hosts }: LoadPlan, index: number): string {
  return hosts?.[index % hosts.length] ?? host;
}

const PRODUCERS_MAX = 65_535; // a stamp has 16 bits for the producer
const RUN_MAX = 65_535; // and as many for the run
const RUN_MS_MAX = 2 ** 31 - 1; // 24.8 days
const FLIGHT_BYTES_MAX = 1024 ** 3;

const RANGES: [keyof LoadPlan, string, number, number][] = [
  ['producers', 'producers', 0, PRODUCERS_MAX],
  ['consumers', 'consumers', 0, 1_000_000],
  ['buckets', 'buckets', 1, 2 ** 32],
  ['messageBytes', 'message size', 1, MESSAGE_BYTES_CEILING],
  ['batchMessages', 'batch', 1, BATCH_MESSAGES_MAX],
  ['inFlight', 'batches in flight', 1, 100_000],
  ['consumerBatchMessages', 'consumer batch', 1, BATCH_MESSAGES_MAX],
  ['answer', 'answer', 0, 255],
  ['durationMs', 'duration', 1, RUN_MS_MAX],
  ['warmupMs', 'warm-up', 0, RUN_MS_MAX],
];

/** Says what is wrong with a plan, or undefined when it can be run. */
export function checkPlan(plan: LoadPlan): string | undefined {
  for (const [key, name, least, most] of RANGES) {
    const value = plan[key] as number;
    if (!Number.isInteger(value) || value < least || value > most)
      return `${name} must be a whole number from ${least} to ${most}, not ${value}`;
  }
  for (const key of ['count', 'rate', 'backlogMessagesMax'] as const) {
    const value = plan[key];
    if (value !== undefined && !(Number.isFinite(value) && value > 0))
      return `${key} must be above 0, not ${value}`;
  }
  if (plan.producers === 0 && plan.consumers === 0)
    return 'a run needs at least one producer or one consumer';
  if (plan.firstBucket < 0n || plan.firstBucket + BigInt(plan.buckets) - 1n > U64_MAX)
    return 'buckets are numbered from 0 to 2^64-1';
  if (plan.consumers > 0 && plan.consumers < plan.buckets)
    return (
      `${plan.consumers} consumers cannot empty ${plan.buckets} buckets: ` +
      'a consumer is bound to one bucket'
    );
  return checkVerify(plan) ?? checkMemory(plan);
}

function checkVerify(plan: LoadPlan): string | undefined {
  const { run } = plan;
  if (run !== undefined && !(Number.isInteger(run) && run >= 1 && run <= RUN_MAX))
    return `run must be a whole number from 1 to ${RUN_MAX}, not ${run}`;
  if (!plan.verify) return undefined;
  const later = plan.producers === 0 && run !== undefined && plan.count !== undefined;
  if (plan.consumers === 0 || (plan.producers === 0 && !later))
    return 'to verify, a run needs producers and consumers';
  if (plan.messageBytes < STAMP_BYTES)
    return `to verify, messages need at least ${STAMP_BYTES} bytes`;
  return undefined;
}

function checkMemory(plan: LoadPlan): string | undefined {
  const { producers, inFlight, batchMessages, messageBytes, wire } = plan;
  const batchBytes = 4 + batchMessages * bytesOnWire(messageBytes, wire);
  if (batchBytes * (stamps(plan) ? producers * inFlight : 1) <= FLIGHT_BYTES_MAX) return undefined;
  return 'the batches in flight would take more than 1 GiB: make them fewer or smaller';
}

/** Whether messages carry a stamp: to verify, or to time them from end to end in an open loop. */
export function stamps(plan: LoadPlan): boolean {
  if (plan.messageBytes < STAMP_BYTES) return false;
  if (plan.run !== undefined) return true;
  return plan.consumers > 0 && (plan.verify || plan.rate !== undefined);
}
