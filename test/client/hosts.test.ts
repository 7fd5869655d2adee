// Clients that are given several nodes: tried in turn, when they connect and when they lost one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../../src/client/client.ts';
import { type Consumer, createConsumer } from '../../src/client/consumer.ts';
import { ThrustError } from '../../src/client/errors.ts';
import { createProducer } from '../../src/client/producer.ts';
import { FakeExhaust, FakeIntake, Inbox } from './fake-broker.ts';

const SOON = { min: 1, max: 5 };
const at = ({ port }: { port: number }) => `127.0.0.1:${port}`;

async function nobody(): Promise<string> {
  const intake = await new FakeIntake().start();
  await intake.stop();
  return at(intake);
}

test('the first that is there is taken, without a wait in between', async () => {
  await using intake = await new FakeIntake().start();
  const hosts = [await nobody(), await nobody(), at(intake)];
  // Nothing is tried again: all three are one attempt.
  await using producer = createProducer({ hosts, reconnect: false });
  await producer.send(1, 'one');
  assert.equal(intake.stored.length, 1);
});

test('the first attempt fails when none of them is there, and names all', async () => {
  const hosts = [await nobody(), await nobody()];
  const producer = createProducer({ hosts });
  const error = await producer.ready().catch((reason) => reason);
  assert.ok(error instanceof ThrustError);
  assert.equal(error.code, 'CONNECTION');
  assert.ok(error.message.includes(hosts.join(', ')), error.message);
});

test('a producer goes on at the next node, and round again', async () => {
  await using first = await new FakeIntake().start();
  await using second = await new FakeIntake().start();
  const lost = new Inbox<true>();
  await using producer = createProducer({
    hosts: [at(first), at(second)],
    reconnect: SOON,
    onStatus: (status) => status === 'reconnecting' && lost.put(true),
  });
  await producer.send(1, 'one');
  await first.stop();
  await lost.next();
  await producer.send(1, 'two');
  assert.deepEqual([first.stored.length, second.stored.length], [1, 1]);
  await first.start();
  await second.stop();
  await lost.next();
  await producer.send(1, 'three');
  assert.equal(first.stored.length, 2);
});

async function next(consumer: Consumer): Promise<string> {
  for await (const message of consumer) return message.text();
  return '';
}

test('a consumer goes on at the next node', async () => {
  await using first = await new FakeExhaust().start();
  await using second = await new FakeExhaust().start();
  const hosts = [at(first), await nobody(), at(second)];
  await using consumer = createConsumer({ hosts, bucket: 7, reconnect: SOON });
  const received = next(consumer);
  await first.links.next();
  await first.stop();
  (await second.links.next()).deliver('from the next');
  assert.equal(await received, 'from the next');
});

test('ports that are not said are those of the side', async () => {
  await using intake = await new FakeIntake().start();
  await using exhaust = await new FakeExhaust().start();
  await using client = new Client({
    hosts: ['127.0.0.1', '[::1]'],
    intakePort: intake.port,
    exhaustPort: exhaust.port,
  });
  await client.producer().send(1, 'one');
  client.consumer({ bucket: 7 });
  await exhaust.links.next();
  assert.equal(intake.stored.length, 1);
});

test('hosts that cannot be meant are a mistake of usage', () => {
  for (const hosts of [[], [''], ['a b'], ['a:'], ['a:0'], ['a:65536'], ['a:1:2'], ['[::1']])
    assert.throws(
      () => createProducer({ hosts }),
      (error) => error instanceof ThrustError && error.code === 'USAGE',
      hosts.join(),
    );
});
