// Workers with a fixed time for each message, and tenants that publish one message each second: a
// program of its own, `node build/bench/workers.js JSON`. Says `result` when its window is over:
// the times from publishing to delivery of what the tenants published.

import { createHistogram } from 'node:perf_hooks';
import { ACK_DONE, BATCH_MESSAGES_MAX } from '../assembly/layout.ts';
import {
  DeliveryDecoder,
  encodeBatch,
  encodeConsumerHeader,
  type Frame,
} from '../src/codec/wire.ts';
import { connect, type LoadError } from '../src/load/connect.ts';
import { latencyOf, recordMs } from '../src/load/meter.ts';
import { onLeave, say } from './process.ts';

/** What it is told. */
export interface Work {
  intakePort: number;
  exhaustPort: number;
  /** Where the workers are. */
  bucket: string;
  workers: number;
  /** Messages in a delivery at most; they are worked off and acked together. */
  batch: number;
  /** Time for a message. */
  workMs: number;
  /** Buckets from here on, a tenant each; or all of them publish to the first. */
  firstBucket: string;
  tenants: number;
  together: boolean;
  seconds: number;
}

const READ_BYTES = 64 * 1024;
const WARM_UP_MS = 1000;
const SECOND_MS = 1000;
/** A body of these bytes has the time of its publishing in it. */
const STAMPED_BYTES = 8;

const DONE = new Uint8Array(BATCH_MESSAGES_MAX).fill(ACK_DONE);

const work = JSON.parse(process.argv[2] ?? '') as Work;
const waited = createHistogram();
const open = new Map<number, number>(); // published and not delivered: when, by number
let published = 0;
let fromMs = Number.POSITIVE_INFINITY;

function fail(error: LoadError): never {
  throw error;
}

interface Worker {
  write(bytes: Uint8Array): void;
  /** When it has worked off what it holds. */
  doneMs: number;
  holds: number;
}

async function worker(index: number): Promise<Worker> {
  const decoder = new DeliveryDecoder('u64');
  const socket = await connect({
    host: '127.0.0.1',
    port: work.exhaustPort,
    readBytes: READ_BYTES,
    onBytes(bytes) {
      for (const frame of decoder.push(bytes.slice()))
        if (frame.isHeartbeat) socket.write(DONE.subarray(0, 1));
        else take(self, frame);
    },
    onEnd: fail,
  });
  const self: Worker = {
    write: (bytes) => void socket.write(bytes),
    doneMs: 0,
    holds: 0,
  };
  const bucket = BigInt(work.bucket);
  socket.write(encodeConsumerHeader({ consumerId: BigInt(index), bucket, batchSize: work.batch }));
  return self;
}

function take(self: Worker, frame: Frame): void {
  const nowMs = performance.now();
  self.doneMs = Math.max(self.doneMs, nowMs) + frame.count * work.workMs;
  self.holds += frame.count;
  for (let i = 0; i < frame.count; i++) {
    const body = frame.body(i);
    if (body.length !== STAMPED_BYTES) continue;
    const number = new DataView(body.buffer, body.byteOffset).getUint32(0, true);
    const sentMs = open.get(number);
    if (sentMs === undefined) continue; // of a run before, or once more
    open.delete(number);
    if (sentMs >= fromMs) recordMs(waited, nowMs - sentMs);
  }
}

const workers = await Promise.all(Array.from({ length: work.workers }, (_, i) => worker(i)));
const producer = await connect({
  host: '127.0.0.1',
  port: work.intakePort,
  readBytes: READ_BYTES,
  onBytes: () => {},
  onEnd: fail,
});

function publish(tenant: number, nowMs: number): void {
  const body = new Uint8Array(STAMPED_BYTES);
  new DataView(body.buffer).setUint32(0, published, true);
  open.set(published, nowMs);
  published += 1;
  const bucket = BigInt(work.firstBucket) + BigInt(work.together ? 0 : tenant);
  producer.write(encodeBatch([{ bucket, body }], 'u64'));
}

onLeave(() => process.exit(0));
const begunMs = performance.now();
fromMs = begunMs + WARM_UP_MS;
const endMs = fromMs + work.seconds * SECOND_MS;
let due = 0; // messages of the schedule: the tenants in turn, each once a second

// Work is shorter than what a timer can wait for, so it goes round.
function turn(): void {
  const nowMs = performance.now();
  for (const each of workers)
    if (each.holds > 0 && each.doneMs <= nowMs) {
      each.write(DONE.subarray(0, each.holds));
      each.holds = 0;
    }
  while (begunMs + (due * SECOND_MS) / work.tenants <= nowMs) {
    publish(due % work.tenants, nowMs);
    due += 1;
  }
  if (nowMs < endMs) setImmediate(turn);
  else finish(nowMs);
}

/** What has not come by now has waited at least so long. */
function finish(nowMs: number): void {
  let missing = 0;
  for (const sentMs of open.values())
    if (sentMs >= fromMs) {
      missing += 1;
      recordMs(waited, nowMs - sentMs);
    }
  say('result', { result: { waitedMs: latencyOf(waited), missing } });
}

turn();
