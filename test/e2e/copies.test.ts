// Copies for other buckets, over kill -9 while they are made: what is in a bucket is in each
// bucket that gets copies of it, what was acked is in all, and nothing is in any of them twice.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { batchOf, publish, TestConsumer, texts } from '../support/client.ts';
import { until } from '../support/look.ts';

const MIB = 1024 * 1024;
const TARGETS = Array.from({ length: 16 }, (_, i) => 100 + i);
const BATCH = 50;

const dataDir = temporaryFolder();
const config = path.join(temporaryFolder(), 'rules.toml');
fs.writeFileSync(
  config,
  `[[rule]]\nname = "few"\nmatch = 7\ncopy_to = "8,9"\n[[rule]]\nname = "many"\nmatch = 6\ncopy_to = "${TARGETS}"\n[[rule]]\nname = "bounded"\nmatch = 5\ncopy_to = "4"\n[[rule]]\nname = "full"\nmatch = 4\nmax_messages = 2\n`,
);
const start = () => startBroker({ dataDir, dashboard: true, flags: ['--config', config] });
let broker: BrokerProcess;

before(async () => {
  broker = await start();
});

after(async () => {
  assert.equal(await broker.stop(), 0);
});

async function readyIn(bucket: number): Promise<number> {
  const url = `http://127.0.0.1:${broker.dashboard}/api/v1/buckets/${bucket}`;
  return ((await (await fetch(url)).json()) as { ready: number }).ready;
}

/** All of a bucket, up to a message. */
async function drain(bucket: number, last: string): Promise<string[]> {
  const consumer = await TestConsumer.join(broker.exhaust, BigInt(bucket), 1000);
  const found: string[] = [];
  while (found.at(-1) !== last) {
    const bodies = texts(await consumer.batch());
    found.push(...bodies);
    consumer.ack(...bodies.map(() => 1));
  }
  consumer.leave();
  return found;
}

test('kill -9 while it publishes: in all of them or in none', async () => {
  const acked = new Set<string>();
  for (let round = 0; round < 3; round++) {
    const peer = await RawPeer.connect(broker.intake);
    const sent: string[] = [];
    for (let n = 0; n < 200; n++) {
      const bodies = Array.from({ length: BATCH }, (_, i) => `${round} ${n} ${i}`);
      peer.send(
        batchOf(
          7n,
          bodies.map((body) => Buffer.from(body)),
        ),
      );
      sent.push(...bodies);
    }
    const some = (1 + round * 20) * BATCH;
    const acks = await peer.take(some);
    acks.forEach((ack, i) => {
      assert.equal(ack, 1);
      acked.add(sent[i]!);
    });
    await broker.kill();
    broker = await start();
  }
  assert.deepEqual(await publish(broker.intake, 7n, ['end']), [1]);
  const read = (bucket: number) => drain(bucket, 'end');
  const [own, first, second] = [await read(7), await read(8), await read(9)];
  assert.deepEqual([first.length, second.length], [own.length, own.length]);
  assert.deepEqual([first, second], [own, own]);
  assert.equal(new Set(own).size, own.length);
  const stored = new Set(own);
  for (const body of acked) assert.ok(stored.has(body), `${body} was acked and is not there`);
});

test('the largest message with sixteen copies; one that a bucket does not take', async () => {
  const large = Buffer.alloc(MIB, 'x');
  assert.deepEqual(await publish(broker.intake, 6n, [large, 'small', large]), [1, 1, 1]);
  for (const bucket of [6, ...TARGETS]) assert.equal(await readyIn(bucket), 3);
  assert.deepEqual(await publish(broker.intake, 5n, ['a', 'b', 'c']), [1, 1, 0]);
  assert.deepEqual(
    [await drain(5, 'b'), await drain(4, 'b')],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
  );
  const copied = async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${broker.dashboard}/metrics`)).text();
    return Number(/^thrustmq_messages_copied_total (\d+)$/m.exec(metrics)![1]);
  };
  const earlier = 2; // of "end"
  await until(copied, (count) => count === earlier + 3 * TARGETS.length + 2);
});
