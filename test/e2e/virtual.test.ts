// A virtual bucket over real sockets: consumers of one bucket are given what hundreds of others
// have, each in its order and none much before its turn, also when the broker was killed meanwhile
// and knows none of them any more.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type BrokerProcess, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish, TestConsumer, texts } from '../support/client.ts';

const TENANTS = 200;
const EACH = 5;
const HEAVY = 2000;
const BATCH = 20;

const dataDir = temporaryFolder();
const config = path.join(temporaryFolder(), 'rules.toml');
fs.writeFileSync(
  config,
  '[[rule]]\nname = "tenants"\nmatch = 1\nsources = "1000-1999"\n[[rule]]\nname = "keys"\nmatch = 2\nsources = "2000-2999"\n[[rule]]\nname = "one"\nmatch = "2000-2999"\nmax_in_flight = 1\n',
);
const start = () => startBroker({ dataDir, dashboard: true, flags: ['--config', config] });
let broker: BrokerProcess;

before(async () => {
  broker = await start();
});

after(async () => {
  assert.equal(await broker.stop(), 0);
});

test('fair, after kill -9, too: a heavy tenant delays nobody by more than its turns', async () => {
  const heavy = Array.from({ length: HEAVY }, (_, i) => `0.${i}`);
  await publish(broker.intake, 1000n, heavy);
  for (let tenant = 1; tenant < TENANTS; tenant++) {
    const own = Array.from({ length: EACH }, (_, i) => `${tenant}.${i}`);
    await publish(broker.intake, BigInt(1000 + tenant), own);
  }
  await broker.kill();
  broker = await start();
  const consumer = await TestConsumer.join(broker.exhaust, 1n, BATCH);
  const seen = new Map<string, number>();
  const all = HEAVY + (TENANTS - 1) * EACH;
  let light = 0;
  for (let got = 0; got < all; ) {
    const batch = texts(await consumer.batch());
    for (const text of batch) {
      const [tenant, number] = text.split('.') as [string, string];
      assert.equal(Number(number), seen.get(tenant) ?? 0, `in its order, once: ${text}`);
      seen.set(tenant, Number(number) + 1);
      if (tenant !== '0' && ++light === (TENANTS - 1) * EACH)
        assert.ok(seen.get('0')! <= EACH * 4, `the heavy one had ${seen.get('0')} turns`);
    }
    got += batch.length;
    consumer.ack(...batch.map(() => 1));
  }
  assert.equal(seen.size, TENANTS);
  consumer.leave();
});

test('one at a time for each key, whoever of the consumers has it', async () => {
  for (const key of [2000, 2001, 2002])
    await publish(
      broker.intake,
      BigInt(key),
      ['a', 'b', 'c'].map((each) => `${key}${each}`),
    );
  const [one, two] = [
    await TestConsumer.join(broker.exhaust, 2n, 2),
    await TestConsumer.join(broker.exhaust, 2n, 2),
  ];
  const [first, second] = [texts(await one.batch()), texts(await two.batch())];
  assert.deepEqual([...first, ...second].sort(), ['2000a', '2001a', '2002a']);
  one.ack(...first.map(() => 1));
  const next = texts(await one.batch());
  assert.deepEqual(
    next,
    first.map((text) => text.replace('a', 'b')),
  );
  const url = `http://127.0.0.1:${broker.dashboard}/api/v1/buckets`;
  const info = async (bucket: number) =>
    (await (await fetch(`${url}/${bucket}`)).json()) as { virtual?: string; why: { code: string } };
  const held = await info(Number(second[0]!.slice(0, 4)));
  assert.deepEqual([held.virtual, held.why.code], ['2', 'at-max-in-flight']);
  const rule = await (await fetch(`${url}/2001/rule`)).json();
  assert.deepEqual((rule as { virtual: unknown }).virtual, { bucket: '2', rule: 'keys' });
  for (const consumer of [one, two]) consumer.leave();
});
