// The address said once, and what all options of connections have in common.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Client, ThrustError } from '../../src/client/index.ts';
import { resolveTarget } from '../../src/client/options.ts';
import { FakeExhaust, FakeIntake } from './fake-broker.ts';

test('a client makes producers and consumers on its broker and closes them', async () => {
  await using intake = await new FakeIntake('u32').start();
  await using exhaust = await new FakeExhaust('u32').start();
  const ports = { intakePort: intake.port, exhaustPort: exhaust.port };
  const client = new Client({ ...ports, wire: 'u32' });
  const producer = client.producer();
  const consumer = client.consumer({ bucket: 3 });
  const sent = producer.send(3, 'x');
  const running = consumer.run(() => {});
  const link = await exhaust.links.next();
  link.deliver('x');
  assert.deepEqual(await link.acks(1), [1]);
  await client.close();
  await Promise.all([sent, running, link.closed, intake.goodbyes.next()]);
  assert.deepEqual([producer.status, consumer.status], ['closed', 'closed']);
});

test('await using closes a client', async () => {
  await using intake = await new FakeIntake().start();
  {
    await using client = new Client({ intakePort: intake.port });
    void client.producer().send(1, 'x');
  }
  await intake.goodbyes.next();
  assert.equal(intake.stored.length, 1);
});

test('one signal serves many producers without a warning', async () => {
  await using intake = await new FakeIntake().start();
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const controller = new AbortController();
  const client = new Client({ intakePort: intake.port, signal: controller.signal });
  const producers = Array.from({ length: 20 }, () => client.producer());
  await Promise.all(producers.map((producer) => producer.send(1, 'x')));
  controller.abort();
  for (const producer of producers) assert.equal((await producer.closed)?.code, 'ABORTED');
  process.off('warning', onWarning);
  assert.deepEqual(warnings, []);
});

test('addresses', () => {
  const cases: [Parameters<typeof resolveTarget>[0], string, number, string][] = [
    [{}, '127.0.0.1', 1888, 'u64'],
    [{ url: 'thrustmq://queue.example' }, 'queue.example', 1888, 'u64'],
    [{ url: 'thrustmq://queue.example:99?wire=u32' }, 'queue.example', 99, 'u32'],
    [{ url: 'thrustmq://[::1]:99' }, '::1', 99, 'u64'],
    [{ host: '[::1]', port: 99 }, '::1', 99, 'u64'],
    [{ url: 'thrustmq://a:1', host: 'b', port: 2, wire: 'u32' }, 'b', 2, 'u32'],
  ];
  for (const [options, host, port, wire] of cases)
    assert.deepEqual(resolveTarget(options, 1888), { host, port, wire });
  for (const url of ['a:1', 'http://a', 'thrustmq://', 'thrustmq://a:99999', ''])
    assert.throws(() => resolveTarget({ url }, 1888), ThrustError, url);
});

test('errors say whether trying again makes sense', () => {
  const retryable = (code: ThrustError['code']) => new ThrustError(code, 'x').retryable;
  const all = ['TIMEOUT', 'REFUSED', 'UNKNOWN_OUTCOME', 'CONNECTION'] as const;
  for (const code of all) assert.equal(retryable(code), true, code);
  for (const code of ['CLOSED', 'ABORTED', 'PROTOCOL', 'USAGE'] as const)
    assert.equal(retryable(code), false, code);
});

test('the client reaches nothing but the wire, the layout, timers and Node', async () => {
  const folder = new URL('../../../src/client/', import.meta.url);
  const own = /^\.\/[a-z-]+\.ts$|^\.\.\/time\/[a-z]+\.ts$|^node:[a-z]+$/;
  const wire = /^\.\.\/codec\/(?:wire|retry-bytes)\.ts$|^\.\.\/\.\.\/assembly\/layout\.ts$/;
  const allowed = new RegExp(`${own.source}|${wire.source}`);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.ts'));
  assert.ok(files.includes('index.ts'));
  for (const file of files) {
    const source = await readFile(new URL(file, folder), 'utf8');
    for (const [, from] of source.matchAll(/^(?:import|export|\}) .*from '([^']+)';$/gm))
      assert.match(from, allowed, `${file} imports ${from}`);
  }
});
