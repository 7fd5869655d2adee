// What moving a message costs without sockets and disk, in ns: scan, checksum and pack into
// records in WebAssembly (what the broker does at intake), packing deliveries from them, and the
// relay's way. A program of its own: `node build/bench/codec.js MS`, MS for each figure.

import {
  BATCH_HEADER_BYTES,
  BUCKET_BYTES,
  RECORD_HEADER_BYTES,
  RESULT_BYTES_OUT,
  ROW_BODY_BYTES_AT,
  ROW_OFFSET_AT,
  SEGMENT_DATA_AT,
  WIRE_U64,
} from '../assembly/layout.ts';
import { encodeBatch } from '../src/codec/wire.ts';
import { Engine } from '../src/wasm/engine.ts';
import { say } from './process.ts';
import { ProducerStream } from './relaying.ts';

const MESSAGES = 1000;
const BODY_BYTES = 100;
const SEGMENT_BYTES = 64 * 1024 * 1024;
const FRAME_BYTES = 1024 * 1024;
const MESSAGE_BYTES_MAX = 1024 * 1024;

const ms = Number(process.argv[2] ?? 1000);
const body = new Uint8Array(BODY_BYTES).fill(0x5a);
const batch = encodeBatch(
  Array.from({ length: MESSAGES }, () => ({ bucket: 7n, body })),
  'u64',
);

const engine = new Engine();

function intake(): void {
  engine.inbox.set(batch);
  engine.openSegment(0, SEGMENT_DATA_AT, SEGMENT_BYTES, 1);
  engine.openBatch(false);
  engine.setLimit(SEGMENT_BYTES);
  engine.intake(BATCH_HEADER_BYTES, batch.length, MESSAGES, WIRE_U64, MESSAGE_BYTES_MAX);
}

function deliver(): Uint8Array {
  const bodyAt = engine.coldBytes + engine.rows[ROW_OFFSET_AT / 4] + RECORD_HEADER_BYTES;
  const bodyBytes = engine.rows[ROW_BODY_BYTES_AT / 4];
  engine.deliver(bodyAt, bodyBytes, 0, MESSAGES, WIRE_U64, BATCH_HEADER_BYTES, FRAME_BYTES);
  return engine.takeFrame(MESSAGES, engine.result[RESULT_BYTES_OUT]);
}

const chunk = new Uint8Array(batch.length);
const frame = new Uint8Array(FRAME_BYTES);
const stream = new ProducerStream(BUCKET_BYTES + WIRE_U64, {
  run: (_, bytes) => frame.set(bytes, BATCH_HEADER_BYTES),
  ack: () => {},
  room: () => MESSAGES,
});

function relay(): void {
  chunk.set(batch);
  stream.push(chunk);
}

/** Runs `work` for about `ms` after a tenth of that for warming up; ns for each message. */
function measure(work: () => void): number {
  let rounds = 0;
  let from = performance.now();
  for (let stop = from + ms / 10; performance.now() < stop; ) work();
  from = performance.now();
  for (let stop = from + ms; performance.now() < stop; rounds++) work();
  return ((performance.now() - from) * 1e6) / (rounds * MESSAGES);
}

say('result', {
  intakeNs: measure(intake),
  deliverNs: measure(deliver),
  bothNs: measure(() => {
    intake();
    deliver();
  }),
  relayNs: measure(relay),
});
