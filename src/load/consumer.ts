// One consuming connection: acks each frame as a whole, counts messages. Looks into bodies only
// where messages are stamped; else it finds the ends of frames and no more.

import type net from 'node:net';
import { BATCH_MESSAGES_MAX } from '../../assembly/layout.ts';
import { DeliveryDecoder, encodeConsumerHeader, type Frame, WireError } from '../codec/wire.ts';
import { after } from '../time/timers.ts';
import { connect, endSocket, LoadError } from './connect.ts';
import type { Ledger } from './ledger.ts';
import { type Meter, recordMs } from './meter.ts';
import { AckPace } from './pacer.ts';
import { hostOf, type LoadPlan, stamps } from './plan.ts';
import { FrameScanner } from './scanner.ts';
import {
  filler,
  STAMP_BYTES,
  STAMP_PRODUCER_AT,
  STAMP_RUN_AT,
  STAMP_SEQUENCE_AT,
  STAMP_TIME_AT,
} from './stamp.ts';

const READ_BYTES = 256 * 1024;
/** Thousands of connections that wait for heartbeats need no large buffers. */
const READ_BYTES_MANY = 4 * 1024;
const MANY = 256;

export interface ConsumerContext {
  plan: LoadPlan;
  index: number;
  /** What the run writes into its stamps. */
  run: number;
  meter: Meter;
  /** Given when the run verifies. */
  ledger: Ledger | undefined;
  /** A frame has been acked. */
  onFrame: () => void;
  onFailure: (error: LoadError) => void;
}

const answers = new Map<number, Uint8Array>();

/** As many as a delivery can need, made once for all connections. */
function answersOf(byte: number): Uint8Array {
  const made = answers.get(byte) ?? new Uint8Array(BATCH_MESSAGES_MAX).fill(byte);
  answers.set(byte, made);
  return made;
}

export class LoadConsumer {
  readonly #context: ConsumerContext;
  readonly #push: (bytes: Uint8Array) => void;
  readonly #lastSequence: Map<number, number> = new Map(); // by producer
  readonly #filler: Buffer;
  readonly #pace: AckPace | undefined;
  readonly #answers: Uint8Array;
  #socket: net.Socket | undefined;
  #leaving = false;

  constructor(context: ConsumerContext) {
    this.#context = context;
    const { plan } = context;
    this.#filler = Buffer.from(filler(plan.messageBytes));
    this.#answers = answersOf(plan.answer);
    const { rate, producers, consumers } = plan;
    // With producers the rate is theirs.
    if (rate !== undefined && producers === 0) this.#pace = new AckPace(rate / consumers);
    if (stamps(plan)) {
      const decoder = new DeliveryDecoder(plan.wire);
      this.#push = (bytes) => {
        for (const frame of decoder.push(bytes.slice())) this.#inspect(frame);
      };
    } else {
      const scanner = new FrameScanner(plan.wire, 0, (count, bytes) => this.#took(count, bytes));
      this.#push = (bytes) => scanner.push(bytes);
    }
  }

  async connect(): Promise<void> {
    const { plan, index, onFailure } = this.#context;
    this.#socket = await connect({
      host: hostOf(plan, index),
      port: plan.exhaustPort,
      readBytes: plan.consumers > MANY ? READ_BYTES_MANY : READ_BYTES,
      onBytes: (bytes) => this.#receive(bytes),
      onEnd: (error) => {
        if (!this.#leaving) onFailure(error);
      },
    });
  }

  /** Says what it wants; deliveries come from now on. */
  begin(): void {
    const { plan, index } = this.#context;
    const bucket = plan.firstBucket + BigInt(index % plan.buckets);
    const batchSize = plan.consumerBatchMessages;
    this.#socket!.write(encodeConsumerHeader({ consumerId: BigInt(index), bucket, batchSize }));
  }

  #receive(bytes: Uint8Array): void {
    try {
      this.#push(bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#context.onFailure(new LoadError('protocol', `not a delivery: ${error.message}`));
    }
  }

  #took(count: number, payloadBytes: number): void {
    const { meter, onFrame } = this.#context;
    const delayMs = this.#pace?.delayMs(count, performance.now()) ?? 0;
    if (delayMs > 0) after(delayMs, () => this.#ack(count));
    else this.#ack(count);
    if (count === 1 && payloadBytes === 0) {
      meter.heartbeats += 1;
      return;
    }
    meter.delivered += count;
    meter.deliveredBytes += payloadBytes;
    meter.deliveredAtMs = performance.now();
    onFrame();
  }

  #ack(count: number): void {
    if (!this.#leaving) this.#socket!.write(this.#answers.subarray(0, count));
  }

  #inspect(frame: Frame): void {
    const nowMs = performance.now();
    const bytes = Buffer.from(frame.bytes.buffer, frame.bytes.byteOffset, frame.bytes.byteLength);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let payloadBytes = 0;
    for (let index = 0; index < frame.count; index++) {
      const start = frame.start(index);
      const end = frame.end(index);
      payloadBytes += end - start;
      if (end > start) this.#check(bytes, view, start, end, nowMs);
    }
    this.#took(frame.count, payloadBytes);
  }

  #check(bytes: Buffer, view: DataView, start: number, end: number, nowMs: number): void {
    const { plan, run, meter, ledger } = this.#context;
    const own = end - start >= STAMP_BYTES && view.getUint16(start + STAMP_RUN_AT, true) === run;
    const producers = Math.max(1, plan.producers);
    const producer = own ? view.getUint16(start + STAMP_PRODUCER_AT, true) : producers;
    if (producer >= producers) {
      if (ledger !== undefined) ledger.foreign += 1;
      return;
    }
    const dueMs = view.getFloat64(start + STAMP_TIME_AT, true);
    if (dueMs > 0 && plan.producers > 0 && meter.times(dueMs))
      recordMs(meter.endToEnd, nowMs - dueMs);
    if (ledger === undefined) return;
    const sequence = view.getUint32(start + STAMP_SEQUENCE_AT, true);
    const from = start + STAMP_BYTES;
    const { length } = this.#filler;
    const same =
      end - start === length && this.#filler.compare(bytes, from, end, STAMP_BYTES) === 0;
    if (!same) ledger.damaged += 1;
    const last = this.#lastSequence.get(producer) ?? -1;
    ledger.delivered(producer, sequence, last);
    if (sequence > last) this.#lastSequence.set(producer, sequence);
  }

  /** Closes once what was written is out; settles when the connection is gone. */
  leave(): Promise<void> {
    this.#leaving = true;
    return endSocket(this.#socket);
  }

  destroy(): void {
    this.#leaving = true;
    this.#socket?.destroy();
  }
}
