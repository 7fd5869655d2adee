// A live message, followed: a module that is loaded into a real broker's process hears what becomes
// of it, in order; trace lines tell it of one bucket; a module that throws ends nothing.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  type BrokerProcess,
  type LogLine,
  startBroker,
  temporaryFolder,
} from '../support/broker.ts';
import { publish, TestConsumer, texts } from '../support/client.ts';

/** A broker with a module that prints every event as a line, and throws where it says so. */
async function followed(flags: string[] = [], also = ''): Promise<BrokerProcess> {
  const folder = temporaryFolder();
  const module = path.join(folder, 'my.mjs');
  fs.writeFileSync(
    module,
    `import { subscribe } from 'node:diagnostics_channel';
     for (const name of ['sealed', 'durable', 'delivered', 'settled', 'requeued'])
       subscribe('thrustmq:' + name, (event) => {
         console.log(JSON.stringify({ heard: name, ...event }));
         ${also}
       });`,
  );
  const dataDir = path.join(folder, 'data');
  return startBroker({ dataDir, flags, env: { NODE_OPTIONS: `--import ${module}` } });
}

const heard = (name: string, sequence: number) => (line: LogLine) =>
  line.heard === name && line.sequence === sequence;

/** The events of a bucket so far, as a person would tell them. */
const story = ({ lines }: BrokerProcess, bucket: string) =>
  lines
    .filter((line) => line.heard !== undefined && line.bucket === bucket)
    .map(({ heard: name, sequence, count, attempts, cause, closed }) =>
      [name, `${sequence}+${count}`, attempts, cause, closed]
        .filter((it) => it !== undefined)
        .join(' '),
    );

test('one message: sealed, durable, delivered, settled', async () => {
  await using broker = await followed();
  assert.deepEqual(await publish(broker.intake, 42n, ['a']), [1]);
  const consumer = await TestConsumer.join(broker.exhaust, 42n, 10);
  assert.deepEqual(texts(await consumer.take(1)), ['a']);
  await broker.line(heard('settled', 1));
  assert.deepEqual(story(broker, '42'), [
    'sealed 1+1 0',
    'durable 1+1 0',
    'delivered 1+1 0',
    'settled 1+1 0 done',
  ]);
  const told = broker.lines.filter((line) => line.heard !== undefined);
  const times = told.map(({ timeMs }) => timeMs as number);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(told.map(({ position, bytes }) => `${position} ${bytes}`)).size, 1);
  const { consumer: who } = told[2]! as unknown as { consumer: { id: string; peer: string } };
  assert.equal(who.id, '777');
  assert.match(who.peer, /^127\.0\.0\.1:\d+$/);
  consumer.leave();
  assert.equal(await broker.stop(), 0);
});

test('what fails, and what a lost link held, is requeued and comes again', async () => {
  await using broker = await followed();
  await publish(broker.intake, 42n, ['a', 'b', 'c']);
  const first = await TestConsumer.join(broker.exhaust, 42n, 3);
  assert.equal((await first.batch()).length, 3);
  first.ack(1, 0);
  await broker.line(heard('requeued', 2));
  first.leave();
  await broker.line(heard('requeued', 3));
  const second = await TestConsumer.join(broker.exhaust, 42n, 3);
  // What was held when the link ended comes apart from the rest.
  assert.deepEqual(texts(await second.take(2)), ['c', 'b']);
  await broker.line((line) => line.heard === 'settled' && line.sequence === 2);
  assert.deepEqual(story(broker, '42').slice(0, 7), [
    'sealed 1+3 0',
    'durable 1+3 0',
    'delivered 1+3 0',
    'settled 1+1 0 done',
    'requeued 2+1 1 failed',
    'requeued 3+1 1 lost peer',
    'delivered 3+1 1',
  ]);
  second.leave();
});

test('a module that throws, or rejects, is reported; the broker goes on', async () => {
  // Of one event each: such lines are few, however much is thrown.
  const also = `if (name !== 'sealed') return;
                if (event.bucket === '1') throw new Error('mine');
                if (event.bucket === '2') Promise.reject(new Error('late'));
                if (event.bucket === '3') setTimeout(() => { throw new Error('later'); }, 1);`;
  await using broker = await followed([], also);
  for (const [bucket, text] of [
    [1n, 'mine'],
    [2n, 'late'],
    [3n, 'later'],
  ] as const) {
    await publish(broker.intake, bucket, ['a']);
    const line = await broker.line(({ msg }) => msg?.includes(`threw: ${text};`));
    assert.deepEqual([line.event, line.channel], ['subscriber.failed', 'thrustmq:sealed']);
    const consumer = await TestConsumer.join(broker.exhaust, bucket, 1);
    assert.deepEqual(texts(await consumer.take(1)), ['a']);
    consumer.leave();
  }
  assert.equal(await broker.stop(), 0);
});

test('--log-level trace prints one bucket', async () => {
  const flags = ['--log-level', 'trace', '--trace-bucket', '42'];
  await using broker = await startBroker({ dataDir: temporaryFolder(), flags });
  for (const bucket of [41n, 42n, 43n]) {
    await publish(broker.intake, bucket, ['a', 'b']);
    const consumer = await TestConsumer.join(broker.exhaust, bucket, 2);
    await consumer.take(2);
    consumer.leave();
  }
  await broker.line(({ event }) => event === 'trace.settled');
  assert.equal(await broker.stop(), 0);
  const traced = broker.lines.filter(({ level }) => level === 'trace');
  assert.deepEqual(
    traced.map(({ event, msg }) => [event, msg.replace(/127\.0\.0\.1:\d+/, 'PEER')]),
    [
      ['trace.sealed', 'messages 3 to 4 of bucket 42 sealed'],
      ['trace.durable', 'messages 3 to 4 of bucket 42 durable'],
      ['trace.delivered', 'messages 3 to 4 of bucket 42 delivered to PEER'],
      ['trace.settled', 'messages 3 to 4 of bucket 42 settled by PEER (done)'],
    ],
  );
});
