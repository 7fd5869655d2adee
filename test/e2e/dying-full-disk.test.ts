// Messages that must die while the disk is full: they wait where they are and nobody is given them,
// over kill -9, too; others go on; and with room again each is where its rule says, once.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { BucketInfo, PeekResult } from '../../src/contract/commands.ts';
import { type BrokerProcess, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish, TestConsumer, texts } from '../support/client.ts';
import { ask, until } from '../support/look.ts';
import { withDisk } from '../support/loop-disk.ts';
import { needsLoopDisk } from '../support/machine.ts';

const FILL = 1n;
const LIVING = 2n;
const KEEP = 4; // its dead stay with it
const MOVE = 5; // its dead go to the next bucket
const MOVED = 6;
const DYING = 40;

const RULES = `
[[rule]]
name = "keep"
match = ${KEEP}
max_deliveries = 1
[[rule]]
name = "move"
match = ${MOVE}
max_deliveries = 1
dead_letter = "${MOVED}"
`;

const bodiesOf = (name: string): string[] =>
  Array.from({ length: DYING }, (_, i) => `${name} ${i} `.padEnd(2000, '.'));

/** Publishes smaller and smaller messages until none is stored; gives how many were. */
async function fill({ intake }: BrokerProcess): Promise<number> {
  let stored = 0;
  for (const [size, batch] of [
    [20_000, 100],
    [500, 20],
    [1, 1],
  ] as const)
    for (let acks = [1]; acks.every((ack) => ack === 1); ) {
      acks = await publish(intake, FILL, Array(batch).fill(Buffer.alloc(size, 'x')));
      stored += acks.filter((ack) => ack === 1).length;
    }
  return stored;
}

/** Has all that a bucket has fail once; gives the messages. */
async function fail(broker: BrokerProcess, bucket: number): Promise<string[]> {
  const consumer = await TestConsumer.join(broker.exhaust, BigInt(bucket), 10);
  const failed: string[] = [];
  while (failed.length < DYING) {
    const bodies = texts(await consumer.batch());
    failed.push(...bodies);
    consumer.ack(...bodies.map(() => 0));
  }
  consumer.leave();
  return failed;
}

const info = (broker: BrokerProcess, bucket: number) =>
  ask<BucketInfo>(broker, `buckets/${bucket}`);

test('the dead wait for room, nothing is lost, and the others go on', {
  ...needsLoopDisk,
  timeout: 120_000,
}, async () => {
  await withDisk(100, async (mount) => {
    const dataDir = path.join(mount, 'data');
    const config = path.join(temporaryFolder(), 'rules.toml');
    fs.writeFileSync(config, RULES);
    const flags = ['--config', config, '--segment-size', '8MiB', '--max-message', '64KiB'];
    flags.push('--reserve', '1MiB');
    const start = () => startBroker({ dataDir, dashboard: true, flags });
    await using begun = await start();
    for (const bucket of [KEEP, MOVE])
      assert.ok(
        (await publish(begun.intake, BigInt(bucket), bodiesOf(`${bucket}`))).every(Boolean),
      );
    assert.deepEqual(await publish(begun.intake, LIVING, ['a', 'b']), [1, 1]);
    const stored = await fill(begun);
    await begun.line(({ event }) => event === 'log.full');

    for (const bucket of [KEEP, MOVE]) {
      assert.deepEqual(await fail(begun, bucket), bodiesOf(`${bucket}`));
      // To somebody who waits, too, nothing is given of them.
      const waiting = await TestConsumer.join(begun.exhaust, BigInt(bucket), 10);
      const { why, dead, ready, unacked } = await until(
        () => info(begun, bucket),
        ({ consumers }) => consumers === 1,
      );
      assert.deepEqual([why.code, dead, ready + unacked], ['dying-waits', 0, DYING]);
      waiting.leave();
    }
    const others = await TestConsumer.join(begun.exhaust, LIVING, 1);
    assert.deepEqual(texts(await others.take(1)), ['a'], 'the others go on');
    others.leave();
    await begun.kill();

    await using broker = await start();
    // An attempt that the log did not have any more is made again.
    for (const bucket of [KEEP, MOVE]) {
      const consumer = await TestConsumer.join(broker.exhaust, BigInt(bucket), 10);
      const again = async () => {
        for (;;) consumer.ack(...(await consumer.batch()).map(() => 0));
      };
      again().catch(() => {}); // until the broker ends
    }
    assert.deepEqual([(await info(broker, KEEP)).dead, (await info(broker, MOVED)).ready], [0, 0]);
    const drain = await TestConsumer.join(broker.exhaust, FILL, 100);
    assert.equal((await drain.take(stored)).length, stored);
    drain.leave();

    await until(
      () => info(broker, KEEP),
      ({ dead }) => dead === DYING,
    );
    const { messages } = await ask<PeekResult>(broker, `buckets/${KEEP}/dead/messages?limit=100`);
    const kept = messages.map(({ payload }) => Buffer.from(payload, 'base64').toString());
    assert.deepEqual(kept.map((text) => text.slice(0, 9)).sort(), short(KEEP));
    const moved = await TestConsumer.join(broker.exhaust, BigInt(MOVED), 100);
    assert.deepEqual(
      texts(await moved.take(DYING))
        .map((text) => text.slice(0, 9))
        .sort(),
      short(MOVE),
    );
    for (const bucket of [KEEP, MOVE]) {
      const { ready, unacked } = await info(broker, bucket);
      assert.deepEqual([ready, unacked], [0, 0]);
    }
    assert.deepEqual(await publish(broker.intake, LIVING, ['c']), [1]);
    const last = await TestConsumer.join(broker.exhaust, LIVING, 1);
    // The ack of the first may have been on its way to the disk.
    const left = texts(await last.take(2));
    if (left[0] === 'a') left.push(...texts(await last.take(1)));
    assert.deepEqual(left.slice(-2), ['b', 'c']);
    assert.equal(await broker.stop(), 0);
  });
});

function short(bucket: number): string[] {
  return bodiesOf(`${bucket}`)
    .map((text) => text.slice(0, 9))
    .sort();
}
