// A handler that fails with a byte sees its message come back when the byte, or a rule, says so:
// once, not early, at its old place, and after kill -9, too.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type BrokerProcess, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish, TestConsumer, texts } from '../support/client.ts';

const LATE_MS = 2000; // of a machine that is busy with other tests
const RETRY_MS = 1500;
const DELAY_MS = 3000;

const dataDir = temporaryFolder();
const config = path.join(temporaryFolder(), 'rules.toml');
fs.writeFileSync(
  config,
  `[[rule]]\nname = "again"\nmatch = 7\nretry = "${RETRY_MS}ms"\n[[rule]]\nname = "one"\nmatch = 8\nretry = "${RETRY_MS}ms"\nmax_in_flight = 1\n[[rule]]\nname = "later"\nmatch = 6\ndelay = "${DELAY_MS}ms"\nmax_messages = 3\n`,
);
const start = () => startBroker({ dataDir, dashboard: true, flags: ['--config', config] });
let broker: BrokerProcess;

before(async () => {
  broker = await start();
});

after(async () => {
  assert.equal(await broker.stop(), 0);
});

interface Row {
  delayed: number;
  unacked: number;
  why: { code: string };
}

async function rowOf(bucket: number): Promise<Row> {
  const url = `http://127.0.0.1:${broker.dashboard}/api/v1/buckets/${bucket}`;
  return (await (await fetch(url)).json()) as Row;
}

// Until the log has what consumers of these buckets said, so that a kill cannot take it.
async function written(...buckets: number[]): Promise<void> {
  for (const bucket of buckets)
    while ((await rowOf(bucket)).unacked > 0)
      await new Promise((resolve) => setTimeout(resolve, 20));
  // What was said goes with the next commit, and this one is answered when it is durable.
  assert.deepEqual(await publish(broker.intake, 99n, ['x']), [1]);
}

test('0x48: again after 256 ms, before what was published later', async () => {
  await publish(broker.intake, 5n, ['a', 'b', 'c']);
  const consumer = await TestConsumer.join(broker.exhaust, 5n, 2);
  assert.deepEqual(texts(await consumer.batch()), ['a', 'b']);
  const failedMs = Date.now();
  consumer.ack(0x48, 1);
  assert.deepEqual(texts(await consumer.batch()), ['c'], 'the others go on');
  consumer.ack(1);
  assert.deepEqual(texts(await consumer.batch()), ['a']);
  const tookMs = Date.now() - failedMs;
  assert.ok(tookMs >= 256 && tookMs < 256 + LATE_MS, `it came after ${tookMs} ms`);
  consumer.ack(3);
  assert.deepEqual(texts(await consumer.batch()), ['a'], 'released: at once');
  consumer.ack(1);
  consumer.leave();
});

test('a rule, over kill -9: once, not early, in order where that is asked for', async () => {
  await publish(broker.intake, 7n, ['a', 'b']);
  await publish(broker.intake, 8n, ['first', 'second']);
  const [many, one] = [
    await TestConsumer.join(broker.exhaust, 7n, 1),
    await TestConsumer.join(broker.exhaust, 8n, 10),
  ];
  assert.deepEqual(texts(await many.batch()), ['a']);
  assert.deepEqual(texts(await one.batch()), ['first']);
  const failedMs = Date.now();
  many.ack(0);
  one.ack(0);
  assert.deepEqual(texts(await many.batch()), ['b']);
  many.ack(1);
  await written(7, 8);
  assert.equal((await rowOf(7)).delayed, 1);
  const held = await rowOf(8);
  assert.deepEqual([held.delayed, held.why.code], [1, 'in-order-hold']);
  await broker.kill();
  broker = await start();
  const again = await TestConsumer.join(broker.exhaust, 7n, 10);
  const order = await TestConsumer.join(broker.exhaust, 8n, 10);
  assert.deepEqual(texts(await again.batch()), ['a']);
  assert.deepEqual(texts(await order.batch()), ['first']);
  const tookMs = Date.now() - failedMs;
  assert.ok(tookMs >= RETRY_MS, `it came after ${tookMs} ms`);
  order.ack(1);
  assert.deepEqual(texts(await order.batch()), ['second']);
  order.ack(1);
  again.ack(1);
  await written(7, 8);
  const { delayed, why } = await rowOf(7);
  assert.deepEqual([delayed, why.code], [0, 'empty'], 'once');
  again.leave();
  order.leave();
});

test('a start after an orderly stop keeps the time, too', async () => {
  await publish(broker.intake, 9n, ['a']);
  const consumer = await TestConsumer.join(broker.exhaust, 9n, 1);
  assert.deepEqual(texts(await consumer.batch()), ['a']);
  const failedMs = Date.now();
  consumer.ack(0x4b);
  await written(9);
  assert.equal(await broker.stop(), 0);
  broker = await start();
  const again = await TestConsumer.join(broker.exhaust, 9n, 1);
  assert.deepEqual(texts(await again.batch()), ['a']);
  assert.ok(Date.now() - failedMs >= 2048);
  again.ack(1);
  again.leave();
});

test('published for later, over kill -9: stored at once, once, not early, in its quota', async () => {
  const sentMs = Date.now();
  assert.deepEqual(await publish(broker.intake, 6n, ['a', 'b']), [1, 1]);
  await publish(broker.intake, 5n, ['now']);
  const { delayed, why } = await rowOf(6);
  assert.deepEqual([delayed, why.code], [2, 'delayed']);
  await broker.kill();
  broker = await start();
  assert.deepEqual(await publish(broker.intake, 6n, ['c', 'd']), [1, 0], 'what waits counts');
  const others = await TestConsumer.join(broker.exhaust, 5n, 10);
  assert.deepEqual(texts(await others.batch()), ['now']);
  others.ack(1);
  others.leave();
  const consumer = await TestConsumer.join(broker.exhaust, 6n, 10);
  const first = texts(await consumer.take(2));
  assert.deepEqual(first, ['a', 'b']);
  const tookMs = Date.now() - sentMs;
  assert.ok(tookMs >= DELAY_MS, `they came after ${tookMs} ms`);
  assert.deepEqual(texts(await consumer.take(1)), ['c']);
  consumer.leave();
});
