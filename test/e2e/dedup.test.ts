// A producer that publishes everything twice, since the broker was killed in between: each message
// is stored once, and consumed once.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { batchOf, publish, TestConsumer, texts } from '../support/client.ts';
import { Random, seedOf } from '../support/random.ts';

const BUCKET = 7n;
const KILLS = 6;
const seed = seedOf('e2e/dedup.test');

async function send(broker: BrokerProcess, bodies: readonly string[]): Promise<void> {
  for (let at = 0; at < bodies.length; at += 100) {
    const acks = await publish(broker.intake, BUCKET, bodies.slice(at, at + 100));
    assert.ok(acks.every((byte) => byte === 1));
  }
}

test('each message sent twice with kill -9 between: stored once', async () => {
  const random = new Random(seed);
  const dataDir = temporaryFolder();
  const config = path.join(temporaryFolder(), 'rules.toml');
  fs.writeFileSync(config, '[[rule]]\nname = "once"\nmatch = 7\ndedup = "1h"\n');
  const start = () => startBroker({ dataDir, dashboard: true, flags: ['--config', config] });
  let broker: BrokerProcess = await start();
  const all: string[] = [];
  for (let life = 0; life < KILLS; life++) {
    const bodies = Array.from({ length: 200 + random.below(800) }, (_, i) => `${life}.${i}`);
    all.push(...bodies);
    // The first time nobody waits for the answers.
    const peer = await RawPeer.connect(broker.intake);
    for (let at = 0; at < bodies.length; at += 50) {
      const some = bodies.slice(at, at + 50).map((body) => Buffer.from(body));
      peer.send(batchOf(BUCKET, some));
    }
    await new Promise((resolve) => setTimeout(resolve, random.below(60)));
    await broker.kill();
    peer.destroy();
    broker = await start();
    await send(broker, bodies);
  }
  await send(broker, all);
  const metrics = await (await fetch(`http://127.0.0.1:${broker.dashboard}/metrics`)).text();
  const duplicates = Number(/thrustmq_messages_duplicate_total (\d+)/.exec(metrics)![1]);
  assert.ok(duplicates >= all.length, `${duplicates} duplicates of ${all.length}`);
  const consumer = await TestConsumer.join(broker.exhaust, BUCKET, 65_536);
  const found: string[] = [];
  while (found.length < all.length) {
    const batch = texts(await consumer.batch());
    found.push(...batch);
    consumer.ack(...batch.map(() => 1));
  }
  assert.deepEqual([...found].sort(), [...all].sort());
  assert.equal(new Set(found).size, all.length);
  consumer.leave();
  assert.equal(await broker.stop(), 0);
});
