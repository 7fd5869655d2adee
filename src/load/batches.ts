// Batches ready to send. Encoding costs more than sending, so a batch is encoded once and sent
// again and again; where messages must differ, only the bytes that differ are written before each
// sending.

import { BATCH_HEADER_BYTES, BUCKET_BYTES } from '../../assembly/layout.ts';
import { BatchWriter, lengthBytes, messageBytes } from '../codec/wire.ts';
import { type LoadPlan, stamps } from './plan.ts';
import {
  filler,
  STAMP_PRODUCER_AT,
  STAMP_RUN_AT,
  STAMP_SEQUENCE_AT,
  STAMP_TIME_AT,
} from './stamp.ts';

export interface BatchSource {
  /**
   * The producer's next batch. `dueMs` goes into its stamps. The bytes stay as they are until
   * `inFlight` further batches have been taken: by then this one must have been answered.
   */
  next(messages: number, dueMs: number): Uint8Array;
}

/** Encodings kept for all producers together; above it each batch is adapted before sending. */
const SHARED_BYTES_MAX = 32 * 1024 * 1024;
/** Messages of a batch that carry a time: enough for percentiles, few enough to cost nothing. */
const TIMED_PER_BATCH = 16;

/** One source for each producer of the plan. `run` goes into the stamps: 0 … 65,535. */
export function createSources(plan: LoadPlan, run: number): BatchSource[] {
  const indexes = Array.from({ length: plan.producers }, (_, index) => index);
  const rounds = plan.buckets / gcd(plan.buckets, plan.batchMessages);
  const bytes = batchBytes(plan, plan.batchMessages);
  if (stamps(plan) || rounds * bytes > SHARED_BYTES_MAX)
    return indexes.map((index) => new AdaptedBatches(plan, index, run));
  const shared = Array.from({ length: rounds }, (_, round) =>
    encode(plan, plan.batchMessages, (round * plan.batchMessages) % plan.buckets),
  );
  return indexes.map((index) => new SharedBatches(plan, shared, index));
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function batchBytes(plan: LoadPlan, messages: number): number {
  return BATCH_HEADER_BYTES + messages * messageBytes(plan.messageBytes, plan.wire);
}

/** A batch whose messages go to the buckets in turn, from number `bucketIndex` of them on. */
function encode(plan: LoadPlan, messages: number, bucketIndex: number): Uint8Array {
  const bytes = new Uint8Array(batchBytes(plan, messages));
  const writer = new BatchWriter(bytes, messages, plan.wire);
  const body = filler(plan.messageBytes);
  for (let index = 0; index < messages; index++)
    writer.add(plan.firstBucket + BigInt((bucketIndex + index) % plan.buckets), body);
  return bytes;
}

/** The same bytes for every producer: there is nothing in them that could differ. */
class SharedBatches implements BatchSource {
  readonly #plan: LoadPlan;
  readonly #batches: readonly Uint8Array[];
  #at: number;

  constructor(plan: LoadPlan, batches: readonly Uint8Array[], producer: number) {
    this.#plan = plan;
    this.#batches = batches;
    this.#at = Math.floor((producer * batches.length) / plan.producers);
  }

  next(messages: number): Uint8Array {
    if (messages !== this.#plan.batchMessages) return encode(this.#plan, messages, 0);
    const batch = this.#batches[this.#at];
    this.#at = this.#at + 1 === this.#batches.length ? 0 : this.#at + 1;
    return batch;
  }
}

/** Own buffers, as many as can be in flight; buckets and stamps are written before each sending. */
class AdaptedBatches implements BatchSource {
  readonly #plan: LoadPlan;
  readonly #stamped: boolean;
  readonly #producer: number;
  readonly #run: number;
  readonly #buffers: { bytes: Uint8Array; view: DataView }[] = [];
  readonly #low: number; // halves of the first bucket's number
  readonly #high: number;
  #at = 0;
  #sequence = 0;
  #bucketIndex: number;
  #timedFrom = 0;

  constructor(plan: LoadPlan, producer: number, run: number) {
    this.#plan = plan;
    this.#stamped = stamps(plan);
    this.#producer = producer;
    this.#run = run;
    this.#low = Number(plan.firstBucket & 0xffff_ffffn);
    this.#high = Number(plan.firstBucket >> 32n);
    this.#bucketIndex = Math.floor((producer * plan.buckets) / plan.producers);
  }

  next(messages: number, dueMs: number): Uint8Array {
    const { bytes, view } = this.#buffer(messages);
    const { buckets, wire } = this.#plan;
    const stride = messageBytes(this.#plan.messageBytes, wire);
    const bodyAt = BUCKET_BYTES + lengthBytes(wire);
    let at = BATCH_HEADER_BYTES;
    for (let index = 0; index < messages; index++) {
      if (buckets > 1) this.#writeBucket(view, at);
      if (this.#stamped)
        view.setUint32(at + bodyAt + STAMP_SEQUENCE_AT, this.#sequence++ >>> 0, true);
      at += stride;
    }
    if (this.#stamped) this.#writeTimes(view, messages, dueMs);
    return bytes;
  }

  #writeBucket(view: DataView, at: number): void {
    const low = this.#low + this.#bucketIndex;
    view.setUint32(at, low >>> 0, true);
    view.setUint32(at + 4, low > 0xffff_ffff ? this.#high + 1 : this.#high, true);
    this.#bucketIndex = this.#bucketIndex + 1 === this.#plan.buckets ? 0 : this.#bucketIndex + 1;
  }

  /** Every so many messages get the time, others at each turn so that every bucket is seen. */
  #writeTimes(view: DataView, messages: number, dueMs: number): void {
    const stride = messageBytes(this.#plan.messageBytes, this.#plan.wire);
    const first = BATCH_HEADER_BYTES + BUCKET_BYTES + lengthBytes(this.#plan.wire) + STAMP_TIME_AT;
    const every = Math.ceil(messages / TIMED_PER_BATCH);
    for (let index = 0; index < messages; index++)
      view.setFloat64(
        first + index * stride,
        index % every === this.#timedFrom % every ? dueMs : 0,
        true,
      );
    this.#timedFrom += 1;
  }

  #buffer(messages: number): { bytes: Uint8Array; view: DataView } {
    if (messages !== this.#plan.batchMessages) return this.#make(messages); // the last of a count
    this.#at = this.#at + 1 >= this.#plan.inFlight ? 0 : this.#at + 1;
    this.#buffers[this.#at] ??= this.#make(messages);
    return this.#buffers[this.#at];
  }

  #make(messages: number): { bytes: Uint8Array; view: DataView } {
    const bytes = encode(this.#plan, messages, 0);
    const view = new DataView(bytes.buffer);
    if (!this.#stamped) return { bytes, view };
    const { wire } = this.#plan;
    const stride = messageBytes(this.#plan.messageBytes, wire);
    for (let index = 0; index < messages; index++) {
      const at = BATCH_HEADER_BYTES + index * stride + BUCKET_BYTES + lengthBytes(wire);
      view.setUint16(at + STAMP_PRODUCER_AT, this.#producer, true);
      view.setUint16(at + STAMP_RUN_AT, this.#run, true);
    }
    return { bytes, view };
  }
}
