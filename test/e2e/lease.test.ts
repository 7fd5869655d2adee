// Leases on the wire: a consumer that falls silent is closed and another one has its messages; one
// that says that it works keeps them; and a broker that stands still ends no lease by that.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BrokerProcess, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish, TestConsumer, texts } from '../support/client.ts';

const WORKING = 0xff;

function broker(lease: string): Promise<BrokerProcess> {
  const dataDir = temporaryFolder();
  const config = path.join(dataDir, 'rules.toml');
  fs.writeFileSync(config, `[[rule]]\nname = "jobs"\nmatch = "1-9"\nlease = "${lease}"\n`);
  const flags = ['--config', config];
  return startBroker({ dataDir: path.join(dataDir, 'data'), dashboard: true, flags });
}

async function metric(port: number | null, name: string): Promise<string | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return text.split('\n').find((line) => line.startsWith(`thrustmq_${name}`));
}

test('a silent consumer is closed, and what it has not acked goes to another one', async () => {
  await using running = await broker('500ms');
  assert.deepEqual(await publish(running.intake, 7n, ['a', 'b', 'c']), [1, 1, 1]);
  const silent = await TestConsumer.join(running.exhaust, 7n, 10);
  assert.deepEqual(texts(await silent.batch()), ['a', 'b', 'c']);
  const sentAt = performance.now();
  silent.ack(1);
  const other = await TestConsumer.join(running.exhaust, 7n, 10);
  assert.deepEqual(texts(await other.batch()), ['b'], 'one of them may be to blame');
  other.ack(1);
  assert.deepEqual(texts(await other.batch()), ['c']);
  assert.ok(performance.now() - sentAt >= 500, 'never early');
  await silent.peer.closed;
  other.ack(1);
  const { msg } = await running.line(({ event }) => event === 'consumer.lease');
  assert.match(msg, /^consumer 127\.0\.0\.1:\d+ closed: it held 2 messages of bucket 7 and sent/);
  const closed = 'connections_closed_total{side="exhaust",reason="lease"}';
  assert.equal(await metric(running.dashboard, closed), `thrustmq_${closed} 1`);
  other.leave();
  assert.equal(await running.stop(), 0);
});

test('who says that it works keeps what it holds, and its acks are for the right messages', async () => {
  await using running = await broker('1s');
  assert.deepEqual(await publish(running.intake, 7n, ['a', 'b', 'c']), [1, 1, 1]);
  const worker = await TestConsumer.join(running.exhaust, 7n, 10);
  worker.ack(WORKING); // it has nothing yet
  assert.deepEqual(texts(await worker.batch()), ['a', 'b', 'c']);
  for (let i = 0; i < 25; i++) {
    worker.ack(...new Array(i).fill(WORKING));
    await sleep(100);
  }
  worker.ack(WORKING, 1, WORKING, WORKING, 0, 1, WORKING);
  assert.deepEqual(texts(await worker.batch()), ['b'], 'only that one failed');
  worker.ack(1);
  assert.deepEqual(await publish(running.intake, 7n, ['d']), [1]);
  assert.deepEqual(texts(await worker.batch()), ['d']);
  worker.leave();
  assert.equal(await running.stop(), 0);
});

test('a broker that stood still reads first what came meanwhile', {
  skip: process.platform === 'win32' ? 'there is no SIGSTOP' : false,
}, async () => {
  await using running = await broker('600ms');
  assert.deepEqual(await publish(running.intake, 7n, ['a']), [1]);
  const worker = await TestConsumer.join(running.exhaust, 7n, 1);
  assert.deepEqual(texts(await worker.batch()), ['a']);
  for (let stalls = 0; stalls < 3; stalls++) {
    await sleep(300);
    process.kill(running.child.pid!, 'SIGSTOP');
    worker.ack(WORKING);
    await sleep(900);
    process.kill(running.child.pid!, 'SIGCONT');
  }
  await sleep(100);
  worker.ack(1);
  assert.deepEqual(await publish(running.intake, 7n, ['b']), [1]);
  assert.deepEqual(texts(await worker.batch()), ['b']);
  assert.ok(!running.lines.some(({ event }) => event === 'consumer.lease'));
  worker.leave();
  assert.equal(await running.stop(), 0);
});
