// Backups of a broker at work, and brokers that start on them: every message that was acked is
// there unless its consumer acked it, too; nothing is that was not published; and a backup that was
// cut off is refused by everybody.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { createConsumer } from '../../src/client/index.ts';
import type { BackupState } from '../../src/contract/commands.ts';
import {
  type BrokerProcess,
  failedStart,
  startBroker,
  temporaryFolder,
} from '../support/broker.ts';
import { needsLoopDisk, run } from '../support/machine.ts';
import { thrustmq } from '../support/process.ts';
import { PASSING, SMALL_SEGMENTS, Traffic, WAITING } from '../support/traffic.ts';

/** Everything a bucket holds, up to the message that ends it. */
async function held(broker: BrokerProcess, bucket: number, least: number): Promise<Set<number>> {
  const numbers = new Set<number>();
  const consumer = createConsumer({ port: broker.exhaust, bucket, batchSize: 10_000 });
  for await (const message of consumer) {
    message.ack();
    if (message.text() === 'end') break;
    numbers.add(Number.parseInt(message.text(), 10));
  }
  await consumer.close();
  assert.ok(numbers.size >= least, `${numbers.size} messages of bucket ${bucket}`);
  return numbers;
}

async function publishEnds(broker: BrokerProcess): Promise<void> {
  for (const bucket of [PASSING, WAITING]) {
    const { code, stderr } = await thrustmq([
      ...['pub', String(bucket), 'end', '--port', String(broker.intake)],
    ]);
    assert.equal(code, 0, stderr);
  }
}

test('a backup of a busy broker holds what was acked and not consumed, and nothing else', {
  timeout: 120_000,
}, async () => {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({ dataDir, dashboard: true, flags: SMALL_SEGMENTS });
  const paused = await thrustmq(['bucket', 'pause', '4711', '--data-dir', dataDir]);
  assert.equal(paused.code, 0, paused.stderr);
  const traffic = new Traffic(broker);
  await traffic.reached(6000);
  for (let round = 0; round < 2; round++) {
    const consumed = new Set(traffic.consumed);
    await traffic.reached(traffic.published + 2000); // by then their acks are on disk
    const published = traffic.published;
    const into = path.join(temporaryFolder(), 'a', 'copy');
    const made = await thrustmq(['backup', '--data-dir', dataDir, '--into', into, '--json']);
    assert.equal(made.code, 0, made.stderr);
    const sent = traffic.sent;
    const state = JSON.parse(made.stdout) as BackupState;
    assert.deepEqual([state.state, state.into, state.bytes], ['done', into, state.totalBytes]);
    const verified = await thrustmq(['log', 'verify', '--data-dir', into, '--json']);
    assert.equal(verified.code, 0, verified.stdout);
    assert.equal(JSON.parse(verified.stdout).verdict, 'clean');
    assert.deepEqual(fs.readdirSync(into), ['log']);
    const again = await thrustmq(['backup', '--data-dir', dataDir, '--into', into]);
    assert.equal(again.code, 2, again.stderr);
    await using copy = await startBroker({ dataDir: into, dashboard: true, flags: SMALL_SEGMENTS });
    const info = await thrustmq(['bucket', 'info', '4711', '--data-dir', into, '--json']);
    assert.equal(JSON.parse(info.stdout).paused, true, info.stderr);
    await publishEnds(copy);
    const waiting = await held(copy, WAITING, 100);
    for (let number = 0; number < published; number++)
      if (Traffic.isWaiting(number)) assert.ok(waiting.has(number), `${number} is missing`);
    for (const number of waiting) assert.ok(Traffic.isWaiting(number) && number < sent);
    const passing = await held(copy, PASSING, 0);
    for (const number of passing) {
      assert.ok(!Traffic.isWaiting(number) && number < sent, `${number} was never published`);
      assert.ok(!consumed.has(number), `${number} had been consumed`);
    }
    // What was neither consumed by then nor is there would be lost; the last round knows them all.
    for (let number = 0; number < published; number++)
      if (!Traffic.isWaiting(number) && !passing.has(number))
        assert.ok(traffic.consumed.has(number), `${number} is missing`);
    await copy.kill();
  }
  await traffic.stop();
  assert.equal(await broker.stop(), 0);
  // At rest the same verb copies the folder itself.
  const into = path.join(temporaryFolder(), 'rest');
  const made = await thrustmq(['backup', '--data-dir', dataDir, '--into', into]);
  assert.equal(made.code, 0, made.stderr);
  await using copy = await startBroker({ dataDir: into, flags: SMALL_SEGMENTS });
  await publishEnds(copy);
  assert.ok((await held(copy, WAITING, 100)).has(0));
  assert.equal(await copy.stop(), 0);
});

test('a broker that is killed while it makes a backup leaves one that is refused', {
  timeout: 120_000,
}, async () => {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({ dataDir, dashboard: true, flags: SMALL_SEGMENTS });
  const traffic = new Traffic(broker);
  await traffic.reached(20_000);
  const into = path.join(temporaryFolder(), 'copy');
  const incomplete = path.join(into, 'log.incomplete');
  let look: NodeJS.Timeout | undefined;
  const begun = new Promise<void>((resolve) => {
    look = setInterval(() => {
      if (!fs.existsSync(incomplete) || fs.readdirSync(incomplete).length < 2) return;
      clearInterval(look);
      resolve();
    }, 1);
  });
  const backup = thrustmq(['backup', '--data-dir', dataDir, '--into', into]);
  await Promise.race([begun, backup]);
  clearInterval(look);
  await broker.kill();
  await traffic.stop().catch(() => {});
  assert.notEqual((await backup).code, 0);
  assert.ok(fs.existsSync(incomplete) && !fs.existsSync(path.join(into, 'log')));
  const refused = await failedStart({ dataDir: into });
  assert.deepEqual([refused.code, /backup/.test(refused.text)], [74, true], refused.text);
  const verified = await thrustmq(['log', 'verify', '--data-dir', into]);
  assert.deepEqual([verified.code, /backup/.test(verified.stderr)], [74, true], verified.stderr);
  const again = await thrustmq(['backup', '--data-dir', dataDir, '--into', into]);
  assert.equal(again.code, 2, again.stderr);
  // The log itself is none the worse.
  assert.equal((await thrustmq(['log', 'verify', '--data-dir', dataDir])).code, 0);
});

test('a log on a file system that is mounted read-only, as a snapshot is, can be copied', {
  ...needsLoopDisk,
  timeout: 60_000,
}, async () => {
  const dataDir = temporaryFolder();
  await (await startBroker({ dataDir, flags: SMALL_SEGMENTS })).stop();
  const snapshot = temporaryFolder();
  run('mount', '--bind', dataDir, snapshot);
  try {
    run('mount', '-o', 'remount,bind,ro', snapshot);
    const into = path.join(temporaryFolder(), 'copy');
    const made = await thrustmq(['backup', '--data-dir', snapshot, '--into', into]);
    assert.equal(made.code, 0, made.stderr);
    assert.equal((await thrustmq(['log', 'verify', '--data-dir', into])).code, 0);
  } finally {
    run('umount', snapshot);
  }
});
