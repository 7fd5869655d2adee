// The consumer against a scripted broker: reading in every way, acks in order, heartbeats,
// silence, lost connections, leaving.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import {
  type Consumer,
  type ConsumerOptions,
  createConsumer,
  type Message,
  type Status,
  ThrustError,
} from '../../src/client/index.ts';
import { encodeDelivery, encodeHeartbeat, type Wire } from '../../src/codec/wire.ts';
import { timeOf } from '../support/passing-time.ts';
import { type FakeConsumerLink, FakeExhaust } from './fake-broker.ts';

const FAST = { min: 1, max: 5, jitter: 0 };
const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2_147_483_647);
console.log(`consumer.test seed ${seed} (THRUSTMQ_TEST_SEED=${seed} repeats it)`);

const error =
  (code: string, message = /./) =>
  (thrown: unknown) => {
    assert.ok(thrown instanceof ThrustError, String(thrown));
    assert.equal(thrown.code, code, thrown.message);
    assert.match(thrown.message, message);
    return true;
  };

/** A listener, a consumer on it, and the broker's end of their connection. */
async function connected(options: Partial<ConsumerOptions> = {}) {
  const exhaust = await new FakeExhaust(options.wire).start();
  const consumer = createConsumer({
    port: exhaust.port,
    bucket: 7,
    reconnect: FAST,
    ...options,
  });
  const link = await exhaust.links.next();
  const end = async () => {
    await consumer.close();
    await exhaust.stop();
  };
  return { exhaust, consumer, link, [Symbol.asyncDispose]: end };
}

const reader = (consumer: Consumer) => consumer[Symbol.asyncIterator]();
const value = <T>(result: IteratorResult<T, unknown>): T => {
  assert.equal(result.done, false);
  return result.value as T;
};

describe('header', () => {
  test('says who asks for what', async () => {
    const options = { bucket: '18446744073709551615', consumerId: 777n, batchSize: 65_536 };
    await using broker = await connected(options);
    assert.deepEqual(broker.link.header, {
      consumerId: 777n,
      bucket: 2n ** 64n - 1n,
      batchSize: 65_536,
    });
  });

  test('has defaults', async () => {
    await using broker = await connected();
    const expected = { consumerId: BigInt(process.pid), bucket: 7n, batchSize: 100 };
    assert.deepEqual(broker.link.header, expected);
  });

  test('wrong options are USAGE', () => {
    for (const options of [
      { bucket: -1 },
      { bucket: 'mail' },
      { bucket: undefined as never },
      { bucket: 1, batchSize: 0 },
      { bucket: 1, batchSize: 65_537 },
      { bucket: 1, ack: 'none' as never },
      { bucket: 1, consumerId: 1.5 },
      { bucket: 1, idleTimeoutMs: -5 },
    ])
      assert.throws(() => createConsumer(options), error('USAGE'));
  });
});

for (const wire of ['u64', 'u32'] as const)
  describe(`messages, wire ${wire}`, () => {
    test('come in order, byte by byte, each with its own body', async () => {
      await using broker = await connected({ wire, ack: 'auto' });
      const { consumer, link } = broker;
      const bodies = [Uint8Array.of(0, 255), Buffer.from('grüße'), Buffer.from('{"a":[1]}')];
      for (const byte of encodeDelivery(bodies, wire)) {
        link.socket.write(Uint8Array.of(byte));
        await tick();
      }
      const messages: Message[] = [];
      for await (const message of consumer) {
        messages.push(message);
        if (messages.length === 3) break;
      }
      const [first, second, third] = messages;
      assert.equal(first.bucket, 7n);
      assert.deepEqual([first.size, [...first.body]], [2, [0, 255]]);
      assert.equal(second.text(), 'grüße');
      assert.deepEqual(third.json(), { a: [1] });
      assert.throws(() => second.json(), SyntaxError);
    });

    test('a body is a copy that nobody else holds', async () => {
      await using broker = await connected({ wire });
      const messages = reader(broker.consumer);
      broker.link.deliver('abc', 'def');
      const one = value(await messages.next());
      const { body } = one;
      assert.deepEqual([body.byteOffset, body.buffer.byteLength], [0, 3]);
      assert.equal(one.body, body);
      body.fill(0x78);
      assert.equal(one.text(), 'xxx');
      assert.equal(value(await messages.next()).text(), 'def');
    });

    test('heartbeats are answered and never seen', async () => {
      await using broker = await connected({ wire });
      const messages = reader(broker.consumer);
      const next = messages.next();
      for (let beat = 0; beat < 3; beat++) {
        broker.link.heartbeat();
        assert.deepEqual(await broker.link.acks(1), [1]);
      }
      broker.link.socket.write(
        Buffer.concat([encodeHeartbeat(wire), encodeDelivery([Buffer.from('real')], wire)]),
      );
      assert.equal(value(await next).text(), 'real');
      assert.deepEqual(await broker.link.acks(1), [1]);
      assert.equal(broker.link.acksLeft, 0);
    });

    test('an empty message in company is a message', async () => {
      await using broker = await connected({ wire });
      broker.link.deliver('', 'x');
      const { value: batch } = await broker.consumer.batches().next();
      assert.deepEqual(
        (batch as Message[]).map((one) => one.text()),
        ['', 'x'],
      );
    });
  });

describe('acks', () => {
  test('go out as the longest decided prefix, whatever order they are decided in', async () => {
    await using broker = await connected();
    const { link, consumer } = broker;
    link.deliver('0', '1', '2', '3', '4');
    const messages = value(await consumer.batches().next());
    messages[2].ack();
    messages[1].fail();
    await tick();
    assert.equal(link.acksLeft, 0);
    messages[0].ack();
    assert.deepEqual(await link.acks(3), [1, 0, 1]);
    messages[4].fail();
    messages[3].fail();
    assert.deepEqual(await link.acks(2), [0, 0]);
  });

  test('decided in one tick share a write', async () => {
    await using broker = await connected();
    const { link, consumer } = broker;
    const chunks: number[] = [];
    link.socket.on('data', (chunk) => chunks.push(chunk.length));
    link.deliver(...Array.from({ length: 100 }, (_, index) => `${index}`));
    for (const message of value(await consumer.batches().next())) message.ack();
    await link.acks(100);
    assert.deepEqual(chunks, [100]);
  });

  test('the first decision counts', async () => {
    await using broker = await connected();
    broker.link.deliver('x', 'y');
    const [x, y] = value(await broker.consumer.batches().next());
    assert.deepEqual([x.ack(), x.fail(), x.ack()], [true, false, false]);
    assert.deepEqual([y.fail(), y.ack()], [true, false]);
    assert.deepEqual(await broker.link.acks(2), [1, 0]);
  });

  test('random orders of decision give the bytes in order', async () => {
    let state = seed;
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    await using broker = await connected();
    const batches = broker.consumer.batches();
    for (let round = 0; round < 50; round++) {
      const count = 1 + random(100);
      broker.link.deliver(...Array.from({ length: count }, (_, index) => `${index}!`));
      const open = value(await batches.next()).map((message, index) => ({ message, index }));
      const expected = new Array<number>(count);
      while (open.length > 0) {
        const [{ message, index }] = open.splice(random(open.length), 1);
        expected[index] = random(2);
        if (expected[index] === 1) message.ack();
        else message.fail();
        if (random(5) === 0) await tick();
      }
      assert.deepEqual(await broker.link.acks(count), expected);
    }
  });

  test('auto acks a message when the loop asks for the next one, not before', async () => {
    await using broker = await connected({ ack: 'auto' });
    const messages = reader(broker.consumer);
    broker.link.deliver('a', 'b');
    await messages.next();
    await tick();
    assert.equal(broker.link.acksLeft, 0);
    await messages.next();
    assert.deepEqual(await broker.link.acks(1), [1]);
    const third = messages.next();
    assert.deepEqual(await broker.link.acks(1), [1]);
    broker.link.deliver('c');
    assert.equal(value(await third).text(), 'c');
  });

  test('auto keeps a fail, and acks batches as a whole', async () => {
    await using broker = await connected({ ack: 'auto' });
    const batches = broker.consumer.batches();
    broker.link.deliver('a', 'b', 'c');
    value(await batches.next())[1].fail();
    const next = batches.next();
    assert.deepEqual(await broker.link.acks(3), [1, 0, 1]);
    broker.link.deliver('d');
    assert.equal(value(await next).length, 1);
  });
});

describe('run', () => {
  test('resolving acks, throwing fails, deciding in the handler wins', async () => {
    await using broker = await connected();
    broker.link.deliver('ok', 'bad', 'kept');
    const errors: string[] = [];
    const running = broker.consumer.run(
      async (message) => {
        if (message.text() === 'bad') throw new Error('no good');
        if (message.text() === 'kept') message.fail();
      },
      { onError: (thrown, message) => errors.push(`${message.text()}: ${thrown}`) },
    );
    assert.deepEqual(await broker.link.acks(3), [1, 0, 0]);
    assert.deepEqual(errors, ['bad: Error: no good']);
    await broker.consumer.close();
    await running;
  });

  test('runs as many handlers as concurrency says', async () => {
    await using broker = await connected();
    const controller = new AbortController();
    const waiting: { text: string; finish: () => void }[] = [];
    let started: () => void = () => {};
    const running = broker.consumer.run(
      (message) =>
        new Promise<void>((finish) => {
          waiting.push({ text: message.text(), finish });
          started();
        }),
      { concurrency: 3, signal: controller.signal },
    );
    broker.link.deliver('0', '1', '2', '3', '4');
    const until = (count: number) =>
      new Promise<void>((resolve) => {
        started = () => waiting.length === count && resolve();
        started();
      });
    await until(3);
    await tick();
    assert.deepEqual(
      waiting.map(({ text }) => text),
      ['0', '1', '2'],
    );
    waiting[2].finish();
    await until(4);
    assert.equal(broker.link.acksLeft, 0); // 0 is not decided yet
    waiting[0].finish();
    assert.deepEqual(await broker.link.acks(1), [1]);
    await until(5);
    controller.abort(); // polite: what runs is finished and acked
    for (const { finish } of waiting) finish();
    await running;
    assert.deepEqual(await broker.link.acks(4), [1, 1, 1, 1]);
    assert.equal(broker.consumer.status, 'closed');
  });

  test('signal leaves untaken messages to others', async () => {
    await using broker = await connected();
    const controller = new AbortController();
    broker.link.deliver('a', 'b', 'c');
    const seen: string[] = [];
    await broker.consumer.run(
      (message) => {
        seen.push(message.text());
        controller.abort();
      },
      { signal: controller.signal },
    );
    await broker.link.closed;
    assert.deepEqual(seen, ['a']);
    assert.deepEqual(await broker.link.acks(1), [1]);
    assert.equal(broker.link.acksLeft, 0);
  });

  test('wrong arguments are USAGE and leave the consumer to others', async () => {
    await using broker = await connected();
    const { consumer } = broker;
    await assert.rejects(consumer.run('x' as never), error('USAGE', /handler is a function/));
    const onError = {} as never;
    await assert.rejects(
      consumer.run(() => {}, { onError }),
      error('USAGE', /onError must be/),
    );
    broker.link.deliver('a');
    for await (const message of consumer) if (message.ack()) break;
  });

  test('wrong concurrency is USAGE', async () => {
    await using broker = await connected();
    await assert.rejects(
      broker.consumer.run(() => {}, { concurrency: 0 }),
      error('USAGE'),
    );
  });
});

describe('leaving', () => {
  test('break sends what was decided and closes, so the rest is ready again', async () => {
    await using broker = await connected();
    broker.link.deliver('a', 'b', 'c');
    for await (const message of broker.consumer) {
      message.ack();
      if (message.text() === 'b') break;
    }
    await broker.link.closed;
    assert.deepEqual(await broker.link.acks(2), [1, 1]);
    assert.equal(broker.link.acksLeft, 0);
    assert.equal(await broker.consumer.closed, undefined);
  });

  test('throwing out of the loop closes too', async () => {
    await using broker = await connected({ ack: 'auto' });
    broker.link.deliver('a', 'b');
    const boom = new Error('boom');
    const loop = async () => {
      for await (const message of broker.consumer) if (message.text() === 'b') throw boom;
    };
    await assert.rejects(loop(), boom);
    await broker.link.closed;
    assert.deepEqual(await broker.link.acks(1), [1]);
    assert.equal(broker.link.acksLeft, 0);
  });

  test('close keeps acks behind undecided messages by releasing those', async () => {
    await using broker = await connected();
    broker.link.deliver('a', 'b', 'c', 'd', 'e');
    const messages = value(await broker.consumer.batches().next());
    messages[1].ack();
    messages[3].ack();
    await broker.consumer.close();
    await broker.link.closed;
    assert.deepEqual(await broker.link.acks(4), [3, 1, 3, 1]);
    assert.equal(broker.link.acksLeft, 0);
    assert.deepEqual([messages[0].ack(), messages[4].ack()], [false, false]);
  });

  test('close ends a loop that waits, and can be called again', async () => {
    await using broker = await connected();
    const next = reader(broker.consumer).next();
    await Promise.all([broker.consumer.close(), broker.consumer.close()]);
    assert.deepEqual(await next, { done: true, value: undefined });
    assert.equal(broker.consumer.status, 'closed');
  });

  test('an iterator can be left while it waits, and before it was begun', async () => {
    await using waiting = await connected();
    const messages = reader(waiting.consumer);
    const next = messages.next();
    assert.deepEqual(await messages.return(), { done: true, value: undefined });
    assert.deepEqual(await next, { done: true, value: undefined });
    assert.equal(waiting.consumer.status, 'closed');
    await using fresh = await connected();
    await fresh.consumer.batches().return();
    assert.equal(fresh.consumer.status, 'closed');
  });

  test('close comes back although the broker never closes its side', async () => {
    await using broker = await connected();
    broker.link.socket.pause();
    broker.link.socket.allowHalfOpen = true;
    await broker.consumer.close();
    assert.equal(broker.consumer.status, 'closed');
  });

  test('await using closes', async () => {
    const exhaust = await new FakeExhaust().start();
    {
      await using consumer = createConsumer({ port: exhaust.port, bucket: 1 });
      await consumer.ready();
    }
    await (await exhaust.links.next()).closed;
    await exhaust.stop();
  });

  test('signal ends a loop with ABORTED', async () => {
    const controller = new AbortController();
    await using broker = await connected({ signal: controller.signal });
    const next = reader(broker.consumer).next();
    controller.abort('enough');
    await assert.rejects(next, (thrown: ThrustError) => {
      assert.equal(thrown.cause, 'enough');
      return error('ABORTED')(thrown);
    });
  });

  test('a consumer is read once', async () => {
    await using broker = await connected();
    void reader(broker.consumer).next();
    await assert.rejects(broker.consumer.batches().next(), error('USAGE', /read once/));
  });
});

describe('lost connections', () => {
  test('reading goes on with the new one; late acks of the old one are refused', async () => {
    const statuses: Status[] = [];
    await using broker = await connected({ onStatus: (status) => statuses.push(status) });
    const messages = reader(broker.consumer);
    broker.link.deliver('a', 'b');
    const a = value(await messages.next());
    broker.link.socket.destroy();
    const link = await broker.exhaust.links.next();
    assert.equal(a.ack(), false);
    link.deliver('a', 'b');
    const again = value(await messages.next());
    assert.equal(again.text(), 'a'); // the old b was dropped, not handed out twice
    assert.equal(again.ack(), true);
    assert.deepEqual(await link.acks(1), [1]);
    assert.equal(value(await messages.next()).text(), 'b');
    assert.equal(link.acksLeft, 0);
    assert.deepEqual(statuses, ['connected', 'reconnecting', 'connected']);
  });

  test('a connection lost inside a frame leaves nothing behind', async () => {
    await using broker = await connected();
    const messages = reader(broker.consumer);
    const next = messages.next();
    const frame = encodeDelivery([Buffer.from('half a message')], 'u64');
    broker.link.socket.end(frame.subarray(0, frame.length - 3));
    const link = await broker.exhaust.links.next();
    link.deliver('whole');
    assert.equal(value(await next).text(), 'whole');
  });

  test('silence with nothing unacked makes a new connection', async () => {
    await using broker = await connected({ idleTimeoutMs: 30 });
    const next = reader(broker.consumer).next();
    const link = await broker.exhaust.links.next();
    await broker.link.closed;
    link.deliver('x');
    assert.equal(value(await next).text(), 'x');
  });

  test('silence while messages are unacked is the broker’s right', async (t) => {
    const pass = timeOf(t);
    await using broker = await connected({ idleTimeoutMs: 20 });
    broker.link.deliver('slow');
    const message = value(await reader(broker.consumer).next());
    await pass(80); // longer than the limit
    assert.equal(message.ack(), true);
    assert.deepEqual(await broker.link.acks(1), [1]);
    let link: FakeConsumerLink | undefined;
    void broker.exhaust.links.next().then((next) => {
      link = next;
    });
    while (link === undefined) await pass(20); // and now silence counts again
    assert.equal(link.header.bucket, 7n);
  });

  test('the first connection failing, and reconnect: false, end with CONNECTION', async () => {
    const exhaust = await new FakeExhaust().start();
    const options = { port: exhaust.port, bucket: 1, reconnect: false } as const;
    const once = createConsumer(options);
    const next = reader(once).next();
    (await exhaust.links.next()).socket.destroy();
    await assert.rejects(next, error('CONNECTION', /was lost/));
    await exhaust.stop();
    const never = createConsumer({ port: exhaust.port, bucket: 1 });
    await assert.rejects(
      never.run(() => {}),
      error('CONNECTION', /cannot reach/),
    );
    error('CONNECTION')(await never.closed);
  });
});

describe('a peer that is no exhaust', () => {
  const foreign: [string, Wire, Uint8Array][] = [
    ['HTTP', 'u64', Buffer.from('HTTP/1.1 400 Bad Request\r\n')],
    ['a batch of 0', 'u64', Uint8Array.of(0, 0, 0, 0)],
    ['more than batchSize', 'u64', encodeDelivery(new Array(3).fill(Uint8Array.of(1)), 'u64')],
    ['a u64 heartbeat on u32', 'u32', encodeHeartbeat('u64')],
    ['a u32 heartbeat on u64', 'u64', encodeHeartbeat('u32')],
    ['a message over messageBytesMax', 'u64', encodeDelivery([new Uint8Array(50)], 'u64')],
  ];
  for (const [what, wire, chunk] of foreign)
    test(`${what} is PROTOCOL and final`, async () => {
      const options = { wire, batchSize: 2, messageBytesMax: 49, idleTimeoutMs: 30 };
      await using broker = await connected(options);
      const next = reader(broker.consumer).next();
      broker.link.socket.write(chunk);
      await assert.rejects(next, error('PROTOCOL', new RegExp(`dialect ${wire}.*check port`)));
      assert.equal(broker.consumer.status, 'closed');
    });

  test('a batch before the last one was acked is PROTOCOL', async () => {
    await using broker = await connected();
    const messages = reader(broker.consumer);
    broker.link.deliver('a');
    value(await messages.next());
    broker.link.deliver('b');
    error('PROTOCOL', /before the last one was acked/)(await broker.consumer.closed);
  });
});
