// A real broker on a disk that fills up, fails or is slow. Each test asserts that its fault fired.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { batchOf, publish, TestConsumer, texts } from '../support/client.ts';
import { withDisk } from '../support/loop-disk.ts';
import { needsLoopDisk, needsStrace } from '../support/machine.ts';

const SMALL = ['--segment-size', '8MiB', '--max-message', '64KiB', '--reserve', '1MiB'];

test('a full disk: publishes get 0 at once, consumers drain, service returns alone', {
  ...needsLoopDisk,
  timeout: 120_000,
}, async () => {
  await withDisk(64, async (mount) => {
    await using broker = await startBroker({ dataDir: path.join(mount, 'data'), flags: SMALL });
    const bodies = Array.from({ length: 100 }, (_, i) => Buffer.alloc(10_000, i));
    let stored = 0;
    let refused = 0;
    while (refused === 0) {
      const acks = await publish(broker.intake, 1n, bodies);
      stored += acks.filter((ack) => ack === 1).length;
      refused += acks.filter((ack) => ack === 0).length;
      assert.ok(stored < 10_000, 'a disk of 64 MiB took more than 100 MB');
    }
    await broker.line((line) => line.event === 'log.full');
    assert.ok(stored > 1000, `only ${stored} messages fit`);
    assert.deepEqual(await publish(broker.intake, 1n, [bodies[0]!]), [0]);
    const consumer = await TestConsumer.join(broker.exhaust, 1n, 100);
    const got = await consumer.take(stored);
    got.forEach((body, i) => {
      assert.ok(body.length === 10_000 && body[0] === body[9_999], `message ${i} is altered`);
    });
    let back = 0;
    while (back === 0) [back] = (await publish(broker.intake, 2n, ['room again'])) as [number];
    consumer.leave();
    await broker.kill();
    await using again = await startBroker({ dataDir: path.join(mount, 'data'), flags: SMALL });
    const other = await TestConsumer.join(again.exhaust, 2n, 1);
    assert.deepEqual(texts(await other.take(1)), ['room again']);
    other.leave();
    assert.equal(await again.stop(), 0);
  });
});

// The broker with the nth call of a kind made to fail in every thread; one thread does all I/O, so
// that "nth" means what it says.
function injected(
  log: string,
  call: string,
  fault: string,
): { wrapper: string[]; env: NodeJS.ProcessEnv } {
  return {
    wrapper: ['strace', '-f', '-o', log, '-e', `trace=${call}`, '-e', `inject=${call}:${fault}`],
    env: { UV_THREADPOOL_SIZE: '1' },
  };
}

function fired(log: string): number {
  return fs.readFileSync(log, 'utf8').split(/\((?:INJECTED|DELAYED)\)/).length - 1;
}

// A folder whose two first segments are there, so that a start needs no sync for making any.
async function preparedFolder(): Promise<string> {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({ dataDir, flags: SMALL });
  assert.deepEqual(await publish(broker.intake, 1n, ['before']), [1]);
  assert.equal(await broker.stop(), 0);
  return dataDir;
}

test('after a failed sync no ack leaves and the broker stops with 74', {
  ...needsStrace,
  timeout: 60_000,
}, async () => {
  const dataDir = await preparedFolder();
  const log = path.join(temporaryFolder(), 'strace');
  const options = injected(log, 'fdatasync', 'error=EIO:when=12+');
  await using broker = await startBroker({ dataDir, flags: SMALL, ...options });
  const producer = await RawPeer.connect(broker.intake);
  const sent: string[] = [];
  let acked = 0;
  try {
    for (let i = 0; i < 100; i++) {
      sent.push(`message ${i}`);
      producer.send(batchOf(1n, [Buffer.from(sent[i]!)]));
      assert.deepEqual([...(await producer.take(1))], [1]);
      acked++;
    }
  } catch {
    // closed without an ack: what this test is about
  }
  assert.equal(await broker.exited, 74);
  assert.ok(fired(log) > 0, 'no sync was made to fail');
  assert.ok(acked < 100);
  assert.equal(producer.received.length, 0);
  assert.ok(broker.lines.some((line) => line.event === 'log.failed'));
  await using again = await startBroker({ dataDir, flags: SMALL });
  const consumer = await TestConsumer.join(again.exhaust, 1n, 1000);
  const got = texts(await consumer.take(1 + acked));
  assert.deepEqual(got.slice(0, 1 + acked), ['before', ...sent.slice(0, acked)]);
  consumer.leave();
  assert.equal(await again.stop(), 0);
});

test('a write that finds no space is written again until there is some', {
  ...needsStrace,
  timeout: 60_000,
}, async () => {
  const dataDir = await preparedFolder();
  const log = path.join(temporaryFolder(), 'strace');
  const options = injected(log, 'pwrite64', 'error=ENOSPC:when=8..12');
  await using broker = await startBroker({ dataDir, flags: SMALL, ...options });
  for (let i = 0; i < 8; i++) assert.deepEqual(await publish(broker.intake, 1n, [`m${i}`]), [1]);
  await broker.kill();
  assert.ok(fired(log) >= 1, 'no write was made to fail');
  await using again = await startBroker({ dataDir, flags: SMALL });
  const consumer = await TestConsumer.join(again.exhaust, 1n, 100);
  const wanted = ['before', ...Array.from({ length: 8 }, (_, i) => `m${i}`)];
  assert.deepEqual(texts(await consumer.take(9)), wanted);
  consumer.leave();
  assert.equal(await again.stop(), 0);
});

test('acks wait for a slow disk, and heartbeats go on', {
  ...needsStrace,
  timeout: 60_000,
}, async () => {
  const dataDir = await preparedFolder();
  const log = path.join(temporaryFolder(), 'strace');
  // 2 s for each sync from the 12th on: longer than the time between two heartbeats.
  const options = injected(log, 'fdatasync', 'delay_enter=2000000:when=12..14');
  await using broker = await startBroker({ dataDir, flags: SMALL, ...options });
  const idle = await TestConsumer.join(broker.exhaust, 7n, 1);
  const waiting = idle.batch();
  for (let i = 0; i < 14; i++) assert.deepEqual(await publish(broker.intake, 1n, [`m${i}`]), [1]);
  assert.deepEqual(await publish(broker.intake, 7n, ['end']), [1]);
  assert.deepEqual(texts(await waiting), ['end']);
  assert.ok(fired(log) >= 1, 'no sync was slowed down');
  assert.ok(idle.heartbeats >= 2, `${idle.heartbeats} heartbeats while the disk was slow`);
  idle.leave();
  await broker.kill();
});
