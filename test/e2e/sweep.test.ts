// Memory under the two loads that could use any amount of it: one message for each of very many
// buckets, and a backlog in one bucket that is larger than the budget. A real broker with the least
// budget that it accepts; its peak is what the system says.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { encodeBatch } from '../../src/codec/wire.ts';
import {
  type BrokerProcess,
  failedStart,
  RawPeer,
  startBroker,
  temporaryFolder,
} from '../support/broker.ts';
import { batchOf, TestConsumer } from '../support/client.ts';
import { Random } from '../support/random.ts';

const MIB = 1024 * 1024;
const LEAST_MIB = await leastBudget();
// More of them for longer runs.
const BUCKETS = Number(process.env.THRUSTMQ_TEST_SWEEP ?? 1_500_000);
const BATCH = 1000;
const IN_FLIGHT = 8;
const linux = { skip: process.platform !== 'linux' && 'needs /proc', timeout: 300_000 };

async function leastBudget(): Promise<number> {
  const { code, text } = await failedStart({
    dataDir: temporaryFolder(),
    flags: ['--memory', '1MiB'],
  });
  assert.equal(code, 78);
  return Number(/at least (\d+) MiB/.exec(text)?.[1]);
}

function peakBytes({ child }: BrokerProcess): number {
  const status = fs.readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

function assertWithin(broker: BrokerProcess): void {
  const peak = Math.round(peakBytes(broker) / MIB);
  assert.ok(peak > 50, `a peak of ${peak} MiB is not the broker's`);
  assert.ok(peak <= LEAST_MIB * 1.1, `${peak} MiB at the peak, the budget is ${LEAST_MIB} MiB`);
}

// Publishes `count` batches with some of them in flight; all must be acked with 1.
async function publishAll(port: number, count: number, batch: () => Uint8Array, size: number) {
  const peer = await RawPeer.connect(port);
  let sent = 0;
  for (; sent < Math.min(IN_FLIGHT, count); sent++) peer.send(batch());
  for (let acked = 0; acked < count; acked++) {
    const acks = await peer.take(size);
    assert.ok(acks.every((ack) => ack === 1));
    if (sent++ < count) peer.send(batch());
  }
  peer.destroy();
}

async function start(t: TestContext, dataDir: string): Promise<BrokerProcess> {
  const broker = await startBroker({ dataDir, flags: ['--memory', `${LEAST_MIB}MiB`] });
  t.after(() => broker.child.kill('SIGKILL'));
  return broker;
}

test('one message for each of very many buckets: memory keeps to the budget', linux, async (t) => {
  const dataDir = temporaryFolder();
  const broker = await start(t, dataDir);
  const random = new Random(1);
  const ids: bigint[] = [];
  const batch = () => {
    const messages = Array.from({ length: BATCH }, () => {
      const bucket = (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32));
      const body = new Uint8Array(8);
      new DataView(body.buffer).setBigUint64(0, bucket, true);
      return { bucket, body };
    });
    if (ids.length < 64) ids.push(messages[7]!.bucket);
    return encodeBatch(messages, 'u64');
  };
  await publishAll(broker.intake, BUCKETS / BATCH, batch, BATCH);
  const check = async (from: BrokerProcess, bucket: bigint) => {
    const consumer = await TestConsumer.join(from.exhaust, bucket, 1);
    const [body] = await consumer.take(1);
    assert.equal(new DataView(body!.buffer, body!.byteOffset).getBigUint64(0, true), bucket);
    consumer.leave();
  };
  // Those that came first were forgotten since.
  for (const bucket of ids.slice(0, 16)) await check(broker, bucket);
  assertWithin(broker);
  await broker.kill();
  const again = await start(t, dataDir);
  for (const bucket of ids.slice(16, 32)) await check(again, bucket);
  assertWithin(again);
  assert.equal(await again.stop(), 0);
});

test('a backlog in one bucket that is larger than the budget', linux, async (t) => {
  const broker = await start(t, temporaryFolder());
  const size = 100;
  const batches = Math.ceil((1.25 * LEAST_MIB * MIB) / (size * 10_000));
  const bodies = Array.from({ length: size }, (_, i) => Buffer.alloc(10_000, i));
  const batch = batchOf(5n, bodies);
  await publishAll(broker.intake, batches, () => batch, size);
  const consumer = await TestConsumer.join(broker.exhaust, 5n, size);
  for (let taken = 0; taken < batches * size; ) {
    const got = await consumer.take(1);
    for (const body of got) assert.equal(body[9_999], taken++ % size);
  }
  consumer.leave();
  assertWithin(broker);
  assert.equal(await broker.stop(), 0);
});
