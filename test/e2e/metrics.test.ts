// /metrics of a real broker: what was published, delivered and acked is in its histograms, the age
// of the oldest message begins and ends with the messages, and 100,000 buckets make it no longer.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { encodeBatch, encodeConsumerHeader } from '../../src/codec/wire.ts';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';

const BUCKETS = 100_000;

async function metricsOf({ dashboard }: BrokerProcess): Promise<{
  text: string;
  value: (name: string) => number;
}> {
  const response = await fetch(`http://127.0.0.1:${dashboard}/metrics`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const value = (name: string): number => {
    const line = text.split('\n').find((each) => each.startsWith(`thrustmq_${name} `));
    assert.ok(line !== undefined, `no ${name}`);
    return Number(line.split(' ')[1]);
  };
  return { text, value };
}

/** Asks until it is so; the dashboard keeps an answer for a quarter of a second. */
async function until(
  broker: BrokerProcess,
  isSo: (value: (name: string) => number) => boolean,
): Promise<(name: string) => number> {
  for (;;) {
    const { value } = await metricsOf(broker);
    if (isSo(value)) return value;
  }
}

/** A broker of which everything is told; of one that starts there is little, for 250 ms. */
async function started(t: TestContext): Promise<BrokerProcess> {
  const broker = await startBroker({ dataDir: temporaryFolder(), dashboard: true });
  t.after(() => broker.child.kill('SIGKILL')); // where the test fails
  await until(broker, (value) => value('up_state{state="ready"}') === 1);
  return broker;
}

async function publish(broker: BrokerProcess, count: number, bucketOf: (i: number) => bigint) {
  const producer = await RawPeer.connect(broker.intake);
  const body = new Uint8Array(10);
  for (let at = 0; at < count; at += 1000) {
    const batch = Array.from({ length: 1000 }, (_, i) => ({ bucket: bucketOf(at + i), body }));
    producer.send(encodeBatch(batch, 'u64'));
    await producer.take(1000);
  }
  producer.destroy();
}

test('publish, delivery and ack are timed; the oldest message ages until it is acked', async (t) => {
  const broker = await started(t);
  const { value: empty } = await metricsOf(broker);
  assert.equal(empty('oldest_message_age_seconds'), 0);
  assert.equal(empty('publish_duration_seconds_count'), 0);
  await publish(broker, 3000, () => 7n);
  const waiting = await until(broker, (value) => value('oldest_message_age_seconds') > 0);
  assert.equal(waiting('publish_duration_seconds_count'), 3, 'batches of a producer');
  assert.ok(waiting('publish_duration_seconds_sum') > 0);
  assert.equal(waiting('publish_duration_seconds_bucket{le="65.536"}'), 3);
  assert.ok(waiting('log_fsync_duration_seconds_count') >= 3);
  assert.ok(waiting('log_append_duration_seconds_sum') > 0);
  assert.equal(waiting('delivery_latency_seconds_count'), 0);
  const consumer = await RawPeer.connect(broker.exhaust);
  consumer.send(encodeConsumerHeader({ consumerId: 1n, bucket: 7n, batchSize: 1000 }));
  for (let delivery = 0; delivery < 3; delivery++) {
    await consumer.take(4 + 1000 * (8 + 10));
    consumer.send(new Uint8Array(1000).fill(1));
  }
  const after = await until(broker, (value) => value('ack_duration_seconds_count') === 3);
  assert.equal(after('delivery_latency_seconds_count'), 3);
  assert.ok(after('delivery_latency_seconds_sum') > 0);
  await until(broker, (value) => value('oldest_message_age_seconds') === 0);
  assert.equal(after('frames_total{side="intake",type="batch"}'), 3);
  assert.equal(after('frames_total{side="exhaust",type="delivery"}'), 3);
  assert.ok(after('event_loop_delay_seconds_count') > 0);
  assert.ok(after('wasm_memory_bytes{module="engine"}') > 0);
  consumer.destroy();
  await broker.stop();
});

test('connections are counted by why they ended', async (t) => {
  const broker = await started(t);
  const ended = (side: string, reason: string) =>
    `connections_closed_total{side="${side}",reason="${reason}"}`;
  await publish(broker, 1000, () => 7n); // and leaves
  const foreign = await RawPeer.connect(broker.intake);
  foreign.send(new Uint8Array(64).fill(255));
  const killed = await RawPeer.connect(broker.exhaust);
  killed.send(encodeConsumerHeader({ consumerId: 1n, bucket: 7n, batchSize: 10 }));
  await killed.take(4);
  const api = `http://127.0.0.1:${broker.dashboard}/api/v1/connections`;
  const { connections } = (await (await fetch(api)).json()) as { connections: { id: string }[] };
  const headers = { 'X-ThrustMQ-Request': '1' };
  const closing = await fetch(`${api}/${connections[0]!.id}`, { method: 'DELETE', headers });
  assert.ok(closing.ok, await closing.text());
  const value = await until(broker, (each) => each(ended('exhaust', 'operator')) === 1);
  assert.equal(value(ended('intake', 'peer')), 1);
  assert.equal(value(ended('intake', 'protocol')), 1);
  assert.equal(value('connections_opened_total{side="intake"}'), 2);
  assert.equal(value('connections_opened_total{side="exhaust"}'), 1);
  await broker.stop();
});

test('with 100,000 buckets the metrics are as short, and a page of buckets is a page', async (t) => {
  const broker = await started(t);
  const { text: before } = await metricsOf(broker);
  await publish(broker, BUCKETS, (i) => BigInt(i + 1));
  await until(broker, (value) => value('buckets{state="open"}') === BUCKETS);
  const lines = (text: string) => text.split('\n').length;
  for (const path of ['/metrics', '/metrics/buckets?top=50', '/api/v1/buckets?limit=50']) {
    const took: number[] = [];
    let bytes = 0;
    for (let round = 0; round < 5; round++) {
      const askedMs = performance.now();
      const response = await fetch(`http://127.0.0.1:${broker.dashboard}${path}`);
      bytes = (await response.text()).length;
      took.push(Math.round(performance.now() - askedMs));
    }
    t.diagnostic(`${path}: ${bytes} bytes in ${took.join(', ')} ms`);
    assert.ok(bytes < 1024 * 1024, `${path}: ${bytes} bytes`);
  }
  const { text } = await metricsOf(broker);
  assert.ok(lines(text) <= lines(before) + 5, 'a series for something that clients make');
  await broker.stop();
});
