// A client that is told anew where its broker is, before every attempt to connect again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Consumer, createConsumer } from '../../src/client/consumer.ts';
import { createProducer } from '../../src/client/producer.ts';
import { FakeExhaust, FakeIntake, Inbox } from './fake-broker.ts';

const SOON = { min: 1, max: 5 };

/** Nowhere for two attempts, then at the port. */
function elsewhere(port: number): {
  calls: number;
  relocate: () => { host: string; port: number };
} {
  const self = {
    calls: 0,
    relocate: () => {
      self.calls += 1;
      if (self.calls <= 2) throw new Error('its broker is not there');
      return { host: '127.0.0.1', port };
    },
  };
  return self;
}

test('a producer sends nothing to whoever has the port now, and follows its broker', async () => {
  await using before = await new FakeIntake().start();
  await using now = await new FakeIntake().start();
  const place = elsewhere(now.port);
  const lost = new Inbox<true>();
  await using producer = createProducer({
    port: before.port,
    reconnect: SOON,
    relocate: place.relocate,
    onStatus: (status) => status === 'reconnecting' && lost.put(true),
  });
  await producer.send(1, 'one');
  assert.equal(place.calls, 0, 'the first attempt goes where it was told to');
  await before.stop();
  await before.start(); // another broker, on that port
  await lost.next();
  await producer.send(1, 'two');
  assert.deepEqual([before.stored.length, now.stored.length], [1, 1]);
  assert.equal(place.calls, 3);
});

async function first(consumer: Consumer): Promise<string> {
  for await (const message of consumer) return message.text();
  return '';
}

test('a consumer takes nothing from whoever has the port now, and follows its broker', async () => {
  await using before = await new FakeExhaust().start();
  await using now = await new FakeExhaust().start();
  const place = elsewhere(now.port);
  await using consumer = createConsumer({
    port: before.port,
    bucket: 7,
    reconnect: SOON,
    relocate: place.relocate,
  });
  const received = first(consumer);
  await before.links.next();
  await before.stop();
  await before.start();
  (await now.links.next()).deliver('its own');
  assert.equal(await received, 'its own');
  assert.equal(before.links.size, 0);
});

test('a broker that cannot be found is one that cannot be reached', async () => {
  await using intake = await new FakeIntake().start();
  await using producer = createProducer({
    port: intake.port,
    reconnect: { ...SOON, attempts: 2 },
    relocate: () => {
      throw new Error('its broker is not there');
    },
  });
  await producer.ready();
  await intake.stop();
  const error = await producer.closed;
  assert.deepEqual([error?.code, error?.message], ['CONNECTION', 'its broker is not there']);
});
