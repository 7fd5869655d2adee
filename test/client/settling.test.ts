// What a consumer says of its messages, as bytes: every way to decide, in any order, and signs of
// work between them, which take no place.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import fc from 'fast-check';
import { ACK_WORKING } from '../../assembly/layout.ts';
import { createConsumer, type Message, ThrustError } from '../../src/client/index.ts';
import { timeOf } from '../support/passing-time.ts';
import { type FakeConsumerLink, FakeExhaust } from './fake-broker.ts';

const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2_147_483_647);
console.log(`settling.test seed ${seed} (THRUSTMQ_TEST_SEED=${seed} repeats it)`);

async function connected() {
  const exhaust = await new FakeExhaust().start();
  const consumer = createConsumer({ port: exhaust.port, bucket: 7, reconnect: { min: 1, max: 5 } });
  const link = await exhaust.links.next();
  const end = async () => {
    await consumer.close();
    await exhaust.stop();
  };
  return { exhaust, consumer, link, [Symbol.asyncDispose]: end };
}

async function batchOf(broker: Awaited<ReturnType<typeof connected>>): Promise<Message[]> {
  const { value } = await broker.consumer.batches().next();
  return value as Message[];
}

const usage = (thrown: unknown) => thrown instanceof ThrustError && thrown.code === 'USAGE';

/** The program reads what has come, and what it does about it comes back. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await tick();
}

const WAYS: [name: string, byte: number, decide: (message: Message) => boolean][] = [
  ['ack', 1, (message) => message.ack()],
  ['fail', 0, (message) => message.fail()],
  ['reject', 2, (message) => message.reject()],
  ['release', 3, (message) => message.release()],
  ['retry(0)', 0x40, (message) => message.retry(0)],
  ['retry(1000)', 0x4a, (message) => message.retry(1000)],
  ['retry(30 s)', 0x4f, (message) => message.retry(30_000, { charge: true })],
  ['retry(30 s), uncharged', 0x6f, (message) => message.retry(30_000, { charge: false })],
  ['retry(2^31)', 0x5f, (message) => message.retry(2 ** 31)],
  ['retry(2^31), uncharged', 0x7f, (message) => message.retry(2 ** 31, { charge: false })],
];

describe('each way to decide', () => {
  test('has its byte, and only the first counts', async () => {
    await using broker = await connected();
    broker.link.deliver(...WAYS.map(([name]) => name));
    const messages = await batchOf(broker);
    for (const [i, [name, , decide]] of WAYS.entries()) {
      assert.equal(messages[i]!.isOpen, true, name);
      assert.equal(decide(messages[i]!), true, name);
      assert.equal(messages[i]!.isOpen, false, name);
      for (const [, , other] of WAYS) assert.equal(other(messages[i]!), false, name);
      assert.equal(messages[i]!.working(), false, name);
    }
    assert.deepEqual(
      await broker.link.acks(WAYS.length),
      WAYS.map(([, byte]) => byte),
    );
  });

  test('a delay that cannot be said is USAGE and decides nothing', async () => {
    await using broker = await connected();
    broker.link.deliver('x');
    const [message] = await batchOf(broker);
    for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31 + 1])
      assert.throws(() => message!.retry(ms), usage, String(ms));
    assert.equal(message!.ack(), true);
    assert.deepEqual(await broker.link.acks(1), [1]);
  });

  test('any order of them gives the bytes in order, with signs of work at any place', async () => {
    const step = fc.record({
      way: fc.integer({ min: 0, max: WAYS.length - 1 }),
      rank: fc.nat(),
      work: fc.boolean(),
      wait: fc.boolean(),
    });
    const plan = fc.array(step, { minLength: 1, maxLength: 100 });
    await using broker = await connected();
    const batches = broker.consumer.batches();
    await fc.assert(
      fc.asyncProperty(plan, async (steps) => {
        broker.link.deliver(...steps.map((_, i) => `${i}!`));
        const messages = (await batches.next()).value as Message[];
        const order = steps.map((one, i) => ({ ...one, i })).sort((a, b) => a.rank - b.rank);
        let signs = 0;
        for (const { way, work, wait, i } of order) {
          if (work && messages[i]!.working()) signs += 1;
          assert.equal(WAYS[way]![2](messages[i]!), true);
          if (wait) await tick();
        }
        assert.equal(signs, order.filter(({ work }) => work).length);
        const bytes = await broker.link.acks(steps.length + signs);
        const said = bytes.filter((byte) => byte !== ACK_WORKING);
        assert.deepEqual(
          said,
          steps.map(({ way }) => WAYS[way]![1]),
        );
        assert.notEqual(bytes.at(-1), ACK_WORKING, 'behind the last ack');
      }),
      { seed, numRuns: 200 },
    );
    await settle();
    assert.equal(broker.link.acksLeft, 0);
  });
});

describe('working()', () => {
  test('says nothing of messages whose connection is gone', async () => {
    await using broker = await connected();
    broker.link.deliver('a', 'b');
    const [a] = await batchOf(broker);
    assert.equal(a!.working(), true);
    assert.deepEqual(await broker.link.acks(1), [ACK_WORKING]);
    broker.link.socket.destroy();
    const link = await broker.exhaust.links.next();
    link.deliver('a', 'b');
    await settle();
    assert.equal(a!.working(), false);
    assert.equal(a!.isOpen, false);
    assert.equal(link.acksLeft, 0);
  });

  test('comes before the last acks when the consumer leaves, not after them', async () => {
    await using broker = await connected();
    broker.link.deliver('a', 'b');
    const [a, b] = await batchOf(broker);
    a!.ack();
    assert.equal(b!.working(), true);
    const closed = broker.consumer.close();
    assert.equal(b!.working(), false);
    await closed;
    await broker.link.closed;
    assert.deepEqual(await broker.link.acks(2), [ACK_WORKING, 1]);
    assert.equal(broker.link.acksLeft, 0);
  });
});

describe('run with workingMs', () => {
  function handled(link: FakeConsumerLink) {
    const waiting: { message: Message; finish: () => void }[] = [];
    const handler = (message: Message) =>
      new Promise<void>((finish) => waiting.push({ message, finish }));
    link.deliver('a', 'b');
    return { waiting, handler };
  }

  test('says so that often while a handler runs, and only then', async (t) => {
    const pass = timeOf(t);
    await using broker = await connected();
    const { link } = broker;
    const { waiting, handler } = handled(link);
    const running = broker.consumer.run(handler, { workingMs: 50 });
    while (waiting.length < 1) await tick();
    await pass(45);
    await settle();
    assert.equal(link.acksLeft, 0);
    await pass(60);
    assert.deepEqual(await link.acks(2), [ACK_WORKING, ACK_WORKING]);
    waiting[0]!.message.ack(); // decided early: handler and delivery go on
    await pass(50);
    assert.deepEqual(await link.acks(2), [1, ACK_WORKING]);
    waiting[0]!.finish();
    while (waiting.length < 2) await tick();
    waiting[1]!.message.ack();
    assert.deepEqual(await link.acks(1), [1]);
    await pass(200); // its handler still runs, and nothing is unacked
    waiting[1]!.finish();
    await settle();
    link.deliver('c');
    while (waiting.length < 3) await tick();
    await pass(50);
    assert.deepEqual(await link.acks(1), [ACK_WORKING]);
    const closing = broker.consumer.close();
    waiting[2]!.finish();
    await Promise.all([closing, running]);
    await settle();
    assert.equal(link.acksLeft, 0);
  });

  test('without it nothing is said, because an older broker would take it for an ack', async (t) => {
    const pass = timeOf(t);
    await using broker = await connected();
    const { waiting, handler } = handled(broker.link);
    const running = broker.consumer.run(handler);
    while (waiting.length < 1) await tick();
    await pass(60_000);
    await settle();
    assert.equal(broker.link.acksLeft, 0);
    const closing = broker.consumer.close();
    waiting[0]!.finish();
    await Promise.all([closing, running]);
  });

  test('wrong options are USAGE', async () => {
    await using broker = await connected();
    for (const options of [{ workingMs: -1 }, { workingMs: 1.5 }, { onFail: 'reject' as never }])
      await assert.rejects(
        broker.consumer.run(() => {}, options),
        usage,
      );
  });
});

describe('run with onFail', () => {
  test('decides what the handler did not, and what it does not decide has failed', async (t) => {
    const warned: string[] = [];
    const warn = (text: string) => void warned.push(text);
    t.mock.method(process, 'emitWarning', warn);
    await using broker = await connected();
    const names = ['fine', 'reject', 'later', 'release', 'nothing', 'slowly', 'throws', 'decided'];
    broker.link.deliver(...names);
    const told: string[] = [];
    const running = broker.consumer.run(
      (message) => {
        if (message.text() === 'decided') message.ack();
        if (message.text() !== 'fine') throw new Error(message.text());
      },
      {
        onFail: async (error, message) => {
          told.push((error as Error).message);
          const text = message.text();
          if (text === 'reject') message.reject();
          else if (text === 'later') message.retry(30_000, { charge: false });
          else if (text === 'release') message.release();
          else if (text === 'slowly') await tick().then(() => message.retry(1));
          else if (text === 'throws') throw new Error('in onFail');
        },
      },
    );
    assert.deepEqual(await broker.link.acks(8), [1, 2, 0x6f, 3, 0, 0x40, 0, 1]);
    assert.deepEqual(told, ['reject', 'later', 'release', 'nothing', 'slowly', 'throws']);
    assert.match(warned.join('\n'), /onFail threw .*in onFail/);
    await broker.consumer.close();
    await running;
  });

  test('onError is told when it has been decided', async () => {
    await using broker = await connected();
    broker.link.deliver('a');
    const open: boolean[] = [];
    const running = broker.consumer.run(
      () => {
        throw new Error('no');
      },
      {
        onFail: (_, message) => open.push(message.isOpen) && message.reject(),
        onError: (_, message) => open.push(message.isOpen),
      },
    );
    assert.deepEqual(await broker.link.acks(1), [2]);
    await broker.consumer.close();
    await running;
    assert.deepEqual(open, [true, false]);
  });
});
