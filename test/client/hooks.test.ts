// What users hand in to be called may throw, reject or say nothing: the program and the run go on.
// And the signals that tell handlers that their message is gone.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  createConsumer,
  createProducer,
  type Message,
  type RunOptions,
  type Status,
  ThrustError,
} from '../../src/client/index.ts';
import { FakeExhaust, FakeIntake, Inbox } from './fake-broker.ts';

const FAST = { min: 1, max: 5, jitter: 0 };

/** Ways of a hook to fail, each with what is said of it. */
const FAULTS: [string, () => unknown, RegExp][] = [
  [
    'throws',
    () => {
      throw new Error('boom');
    },
    /threw \(connection to 127\.0\.0\.1:\d+\): Error: boom/,
  ],
  ['rejects', () => Promise.reject(new Error('boom')), /rejected \(.*: Error: boom/],
  [
    'throws undefined',
    () => {
      throw undefined;
    },
    /threw \(.*: undefined/,
  ],
  [
    'rejects with what has no text',
    () => Promise.reject(Object.create(null)),
    /rejected .* no text/,
  ],
];

async function warning(): Promise<Error> {
  for (;;) {
    const [one] = (await once(process, 'warning')) as [Error];
    if (one.name === 'ThrustWarning') return one;
  }
}

/** A consumer on a scripted broker. */
async function connected(options: { onStatus?: (status: Status) => unknown } = {}) {
  const exhaust = await new FakeExhaust().start();
  const { port } = exhaust;
  const consumer = createConsumer({ port, bucket: 7, reconnect: FAST, ...options });
  const link = await exhaust.links.next();
  const end = async () => {
    await consumer.close();
    await exhaust.stop();
  };
  return { exhaust, consumer, link, [Symbol.asyncDispose]: end };
}

describe('hooks', { timeout: 60_000 }, () => {
  for (const [what, fault, text] of FAULTS) {
    test(`an onStatus that ${what} is a warning`, async () => {
      await using intake = await new FakeIntake().start();
      const warned = warning();
      await using producer = createProducer({ port: intake.port, onStatus: fault });
      await producer.send(1, 'x');
      const { message } = await warned;
      assert.match(message, /^onStatus /);
      assert.match(message, text);
    });

    test(`an onError that ${what} is a warning, and the run goes on`, async () => {
      await using broker = await connected();
      const warned = warning();
      const seen: string[] = [];
      const running = broker.consumer.run(
        (message) => {
          seen.push(message.text());
          if (message.text() === 'bad') throw new Error('no good');
        },
        { onError: fault },
      );
      broker.link.deliver('bad', 'good');
      assert.deepEqual(await broker.link.acks(2), [0, 1]);
      const { message } = await warned;
      assert.match(message, /^onError /);
      assert.match(message, text);
      broker.link.deliver('more');
      assert.deepEqual(await broker.link.acks(1), [1]);
      assert.deepEqual(seen, ['bad', 'good', 'more']);
      await broker.consumer.close();
      await running;
    });

    test(`a handler that ${what} fails its message and no other`, async () => {
      await using broker = await connected();
      const thrown: unknown[] = [];
      const running = broker.consumer.run(
        (message) => (message.text() === 'bad' ? fault() : undefined),
        { onError: (error) => thrown.push(error), concurrency: 2 },
      );
      broker.link.deliver('bad', 'good');
      assert.deepEqual(await broker.link.acks(2), [0, 1]);
      assert.equal(thrown.length, 1);
      await broker.consumer.close();
      await running;
    });
  }

  test('without onError, errors of handlers are warnings, however many, at most one a second', async () => {
    await using broker = await connected();
    const warnings: Error[] = [];
    const onWarning = (one: Error) => one.name === 'ThrustWarning' && warnings.push(one);
    process.on('warning', onWarning);
    const begun = performance.now();
    const running = broker.consumer.run(() => {
      throw new Error('no good');
    });
    broker.link.deliver(...Array.from({ length: 50 }, (_, index) => `${index}`));
    assert.deepEqual(await broker.link.acks(50), new Array(50).fill(0));
    await broker.consumer.close();
    await running;
    await turn();
    process.off('warning', onWarning);
    const seconds = (performance.now() - begun) / 1000;
    assert.ok(warnings.length > 0 && warnings.length <= 1 + seconds, `${warnings.length}`);
    assert.match(warnings[0].message, /a message failed, because its handler threw \(.*no good/);
  });

  test('an onStatus that is no function is USAGE', () => {
    const options = { bucket: 1, onStatus: 'log' as never };
    assert.throws(() => createConsumer(options), /onStatus must be a function, not string/);
  });
});

/** Handles one message by waiting for its signal; gives the message and what the signal said. */
function stopped(
  run: (handler: (message: Message) => unknown, options: RunOptions) => Promise<void>,
) {
  const started = new Inbox<Message>();
  const reason = new Inbox<unknown>();
  const running = run(
    (message) =>
      new Promise<void>((resolve) => {
        started.put(message);
        message.signal.addEventListener('abort', () => {
          reason.put(message.signal.reason);
          resolve();
        });
      }),
    { onError: () => {} },
  );
  return { started: started.next(), reason: reason.next(), running };
}

describe('the signal of a message', { timeout: 60_000 }, () => {
  test('fires when its connection is lost, and the handler may stop', async () => {
    await using broker = await connected();
    const { consumer, link } = broker;
    const { started, reason, running } = stopped((handler, options) =>
      consumer.run(handler, options),
    );
    link.deliver('x');
    const message = await started;
    assert.equal(message.signal.aborted, false);
    link.socket.destroy();
    const why = await reason;
    assert.ok(why instanceof ThrustError && why.code === 'CONNECTION', String(why));
    assert.equal(message.ack(), false);
    (await broker.exhaust.links.next()).deliver('x'); // again
    await consumer.close();
    await running;
  });

  test('fires when the consumer is closed', async () => {
    await using broker = await connected();
    const { started, reason, running } = stopped((handler, options) =>
      broker.consumer.run(handler, options),
    );
    broker.link.deliver('x');
    await started;
    await broker.consumer.close();
    const why = await reason;
    assert.ok(why instanceof ThrustError && why.code === 'CLOSED', String(why));
    await running;
  });

  test('fires for what is undecided when a loop is left, also between decided ones', async () => {
    await using broker = await connected();
    broker.link.deliver('a', 'b', 'c', 'd');
    let messages: Message[] = [];
    for await (const batch of broker.consumer.batches()) {
      messages = batch;
      batch[0].ack();
      batch[2].ack();
      assert.ok(batch.every((message) => !message.signal.aborted));
      break;
    }
    assert.deepEqual(await broker.link.acks(3), [1, 3, 1]);
    assert.deepEqual(
      messages.map(({ signal }) => signal.aborted),
      [false, true, false, true],
    );
  });

  test('asked for too late has fired; it is one signal for a message', async () => {
    await using broker = await connected();
    broker.link.deliver('a', 'b');
    const batches = broker.consumer.batches();
    const [a, b] = (await batches.next()).value as Message[];
    assert.equal(a.signal, a.signal);
    assert.notEqual(a.signal, b.signal);
    await broker.consumer.close();
    assert.deepEqual([a.signal.aborted, b.signal.aborted], [true, true]);
  });

  test('does not fire on a polite stop: handlers that run may finish', async () => {
    await using broker = await connected();
    const controller = new AbortController();
    let aborted: boolean | undefined;
    const running = broker.consumer.run(
      async (message) => {
        const { signal } = message;
        controller.abort();
        await turn();
        aborted = signal.aborted;
      },
      { signal: controller.signal },
    );
    broker.link.deliver('x');
    await running;
    assert.equal(aborted, false);
    assert.deepEqual(await broker.link.acks(1), [1]);
  });

  test('a handler that ends by its signal is no warning', async () => {
    await using broker = await connected();
    const warnings: Error[] = [];
    const onWarning = (one: Error) => one.name === 'ThrustWarning' && warnings.push(one);
    process.on('warning', onWarning);
    const started = new Inbox<boolean>();
    const running = broker.consumer.run((message) => {
      started.put(true);
      return once(message.signal, 'abort').then(() => message.signal.throwIfAborted());
    });
    broker.link.deliver('x');
    await started.next();
    await broker.consumer.close();
    await running;
    await turn();
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
  });

  test('fifty handlers that hand theirs on are no leak', async () => {
    await using broker = await connected();
    const warnings: Error[] = [];
    const onWarning = (one: Error) => warnings.push(one);
    process.on('warning', onWarning);
    const running = broker.consumer.run((message) => once(message.signal, 'abort'), {
      concurrency: 50,
      onError: () => {},
    });
    broker.link.deliver(...Array.from({ length: 50 }, (_, index) => `${index}`));
    await turn();
    await broker.consumer.close();
    await running;
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
  });
});
