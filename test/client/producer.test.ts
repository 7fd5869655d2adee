// The producer against a scripted broker: acks and refusals, batching, the window, lost
// connections with and without retry, aborting, closing.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import { MESSAGE_BYTES_CEILING } from '../../assembly/layout.ts';
import { createProducer, EncodedBatch, type Status, ThrustError } from '../../src/client/index.ts';
import type { WireMessage } from '../../src/codec/wire.ts';
import { timeOf } from '../support/passing-time.ts';
import { FakeIntake, Inbox } from './fake-broker.ts';

const FAST = { min: 1, max: 5, jitter: 0 };
const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2_147_483_647);
console.log(`producer.test seed ${seed} (THRUSTMQ_TEST_SEED=${seed} repeats it)`);

const text = ({ body }: WireMessage) => Buffer.from(body).toString();
const texts = (messages: readonly WireMessage[]) => messages.map(text);
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `${from + i}`);
const manual = () => undefined;
const error =
  (code: string, message = /./) =>
  (thrown: unknown) => {
    assert.ok(thrown instanceof ThrustError, String(thrown));
    assert.equal(thrown.code, code, thrown.message);
    assert.match(thrown.message, message);
    return true;
  };
/** Settles to 'open' while the promise has not settled after the current I/O. */
const stateOf = async (promise: Promise<unknown>) => {
  await tick();
  return Promise.race([
    promise.then(
      () => 'resolved',
      () => 'rejected',
    ),
    tick('open'),
  ]);
};

describe('send', () => {
  for (const wire of ['u64', 'u32'] as const)
    test(`stores bytes and text unchanged, wire ${wire}`, async () => {
      await using intake = await new FakeIntake(wire).start();
      await using producer = createProducer({ port: intake.port, wire });
      await producer.send(2n ** 64n - 1n, 'grüße');
      await producer.send('7', Uint8Array.of(0, 255, 1));
      await producer.send(7, new Uint8Array(100_000).fill(5));
      const [first, second, third] = intake.stored;
      assert.equal(first.bucket, 2n ** 64n - 1n);
      assert.equal(text(first), 'grüße');
      assert.deepEqual([second.bucket, [...second.body]], [7n, [0, 255, 1]]);
      assert.equal(third.body.length, 100_000);
    });

  test('resolves with the ack, not before', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    await using producer = createProducer({ port: intake.port });
    const sent = producer.send(1, 'x');
    const { socket } = await intake.batches.next();
    assert.equal(await stateOf(sent), 'open');
    assert.equal(producer.inFlight, 1);
    socket.write(Uint8Array.of(1));
    await sent;
    assert.equal(producer.inFlight, 0);
  });

  test('rejects with REFUSED on 0 and leaves the neighbours alone', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = () => Uint8Array.of(1, 0, 1);
    await using producer = createProducer({ port: intake.port });
    const ends = await Promise.allSettled(['a', 'b', 'c'].map((body) => producer.send(9, body)));
    assert.deepEqual(
      ends.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    const { reason } = ends[1] as PromiseRejectedResult;
    error('REFUSED', /1 bytes for bucket 9/)(reason);
    assert.equal(reason.retryable, true);
  });

  test('wrong arguments are USAGE and reach no wire', async () => {
    await using intake = await new FakeIntake().start();
    await using producer = createProducer({ port: intake.port, messageBytesMax: 5 });
    await assert.rejects(producer.send(1, ''), error('USAGE', /0 bytes/));
    await assert.rejects(producer.send(1, '123456'), error('USAGE', /messageBytesMax, 5/));
    await assert.rejects(producer.send(-1, 'x'), error('USAGE', /2\^64-1/));
    await assert.rejects(producer.send('mail', 'x'), error('USAGE', /decimal/));
    await assert.rejects(producer.send(1, 5 as never), error('USAGE', /not number/));
    const batch = [
      { bucket: 1, body: 'ok' },
      { bucket: 1, body: '' },
    ];
    await assert.rejects(producer.sendBatch(batch), error('USAGE', /message 1: .*0 bytes/));
    await producer.send(1, '12345');
    assert.deepEqual(texts(intake.stored), ['12345']);
  });
});

describe('batching', () => {
  test('what is sent in one tick shares a wire batch, in order', async () => {
    await using intake = await new FakeIntake().start();
    await using producer = createProducer({ port: intake.port });
    await producer.ready();
    const sent: Promise<unknown>[] = [
      producer.send(1, 'a'),
      producer.sendBatch([{ bucket: 2, body: 'b' }]),
    ];
    sent.push(Promise.resolve().then(() => producer.send(3, 'c')));
    await Promise.all(sent);
    const { messages } = await intake.batches.next();
    assert.deepEqual(texts(messages), ['a', 'b', 'c']);
  });

  test('count and bytes bound a wire batch; a larger message travels alone', async () => {
    await using intake = await new FakeIntake().start();
    const limits = { batchMessagesMax: 3, batchBytesMax: 4 + 3 * 26 };
    await using producer = createProducer({ port: intake.port, ...limits });
    const bodies = [...numbers(4), 'x'.repeat(10), 'y'.repeat(10), 'z'.repeat(10)];
    bodies.push('l'.repeat(500), 's');
    const results = await producer.sendBatch(bodies.map((body) => ({ bucket: 1, body })));
    assert.deepEqual(results, new Array(bodies.length).fill(true));
    const sizes: number[][] = [];
    while (intake.batches.size > 0)
      sizes.push((await intake.batches.next()).messages.map(({ body }) => body.length));
    assert.deepEqual(sizes, [[1, 1, 1], [1, 10, 10], [10], [500], [1]]);
  });

  test('sendBatch tells stored from refused, across wire batches and split acks', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    await using producer = createProducer({ port: intake.port, batchMessagesMax: 4 });
    const sent = producer.sendBatch(numbers(10).map((body) => ({ bucket: 1, body })));
    const { socket } = await intake.batches.next();
    await intake.batches.next();
    await intake.batches.next(); // all three on the wire before any ack
    for (let index = 0; index < 10; index++) {
      assert.equal(producer.inFlight, 10 - index);
      socket.write(Uint8Array.of(index % 3 === 0 ? 0 : 1));
      while (producer.inFlight === 10 - index) await tick();
    }
    assert.deepEqual(
      await sent,
      numbers(10).map((_, index) => index % 3 !== 0),
    );
  });

  test('an empty sendBatch is no goodbye', async () => {
    await using intake = await new FakeIntake().start();
    await using producer = createProducer({ port: intake.port });
    assert.deepEqual(await producer.sendBatch([]), []);
    await producer.send(1, 'still here');
    assert.equal(intake.goodbyes.size, 0);
  });

  for (const wire of ['u64', 'u32'] as const)
    test(`sendEncoded sends a prepared batch as it is, wire ${wire}`, async () => {
      await using intake = await new FakeIntake(wire).start();
      intake.reply = ({ messages }) => Uint8Array.from(messages, (_, index) => index & 1);
      await using producer = createProducer({ port: intake.port, wire });
      const batch = new EncodedBatch(
        numbers(3).map((body) => ({ bucket: 5, body })),
        wire,
      );
      const [first, , third] = await Promise.all([
        producer.sendEncoded(batch),
        producer.sendBatch([{ bucket: 6, body: 'between' }]),
        producer.sendEncoded(batch),
      ]);
      assert.deepEqual(
        [[...first], [...third]],
        [
          [0, 1, 0],
          [0, 1, 0],
        ],
      );
      assert.deepEqual(texts(intake.stored), ['0', '1', '2', 'between', '0', '1', '2']);
      const other = new EncodedBatch([{ bucket: 1, body: 'x' }], wire === 'u64' ? 'u32' : 'u64');
      await assert.rejects(producer.sendEncoded(other), error('USAGE', new RegExp(wire)));
    });

  test('an encoded batch is checked when it is made', () => {
    assert.throws(() => new EncodedBatch([]), error('USAGE', /1 to 65536/));
    assert.throws(() => new EncodedBatch([{ bucket: 1, body: '' }]), error('USAGE'));
    assert.throws(() => new EncodedBatch([{ bucket: -1, body: 'x' }]), error('USAGE'));
  });
});

describe('window', () => {
  test('maxInFlight bounds what is on the wire and acks let the rest follow', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    await using producer = createProducer({ port: intake.port, maxInFlight: 10 });
    const sent = numbers(25).map((body) => producer.send(1, body));
    for (const [count, waiting] of [
      [10, 15],
      [10, 5],
      [5, 0],
    ]) {
      const { socket, messages } = await intake.batches.next();
      assert.equal(messages.length, count);
      assert.deepEqual([producer.inFlight, producer.waiting], [count, waiting]);
      socket.write(new Uint8Array(count).fill(1));
    }
    await Promise.all(sent);
    assert.deepEqual(texts(intake.stored), numbers(25));
  });

  test('maxInFlightBytes bounds it too, and one larger message still gets through', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    const options = { port: intake.port, maxInFlightBytes: 4 + 2 * 116 };
    await using producer = createProducer(options);
    const small = 'x'.repeat(100);
    const sent = [small, small, small, 'y'.repeat(5000), small].map((b) => producer.send(1, b));
    for (const sizes of [[100, 100], [100], [5000], [100]]) {
      const { socket, messages } = await intake.batches.next();
      assert.deepEqual(
        messages.map(({ body }) => body.length),
        sizes,
      );
      socket.write(new Uint8Array(sizes.length).fill(1));
    }
    await Promise.all(sent);
  });

  test('an encoded batch larger than the window waits until it is alone', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    await using producer = createProducer({ port: intake.port, maxInFlight: 2 });
    const batch = new EncodedBatch(numbers(5).map((body) => ({ bucket: 1, body })));
    const sent = Promise.all([producer.send(1, 'first'), producer.sendEncoded(batch)]);
    const { socket, messages } = await intake.batches.next();
    assert.deepEqual([messages.length, producer.waiting], [1, 5]);
    socket.write(Uint8Array.of(1));
    assert.equal((await intake.batches.next()).messages.length, 5);
    socket.write(Uint8Array.of(1, 1, 1, 1, 1));
    await sent;
  });

  test('while a broker does not read, messages wait in the producer, not in its socket', async () => {
    await using intake = await new FakeIntake().start();
    const options = { port: intake.port, maxInFlightBytes: 64 * 1024 * 1024 };
    await using producer = createProducer(options);
    await producer.send(1, 'hello');
    const [socket] = intake.sockets;
    socket.pause();
    const body = new Uint8Array(1024 * 1024);
    const sent = Promise.all(numbers(40).map(() => producer.send(1, body)));
    while (producer.inFlight === 0) await tick();
    assert.ok(producer.waiting > 10, `${producer.waiting} still wait`);
    socket.resume();
    await sent;
    assert.equal(intake.stored.length, 41);
  });
});

describe('lost connections', () => {
  test('acked stay acked, the others are UNKNOWN_OUTCOME, later ones use a new one', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    const statuses: Status[] = [];
    await using producer = createProducer({
      port: intake.port,
      reconnect: FAST,
      onStatus: (status) => statuses.push(status),
    });
    const sent = numbers(5).map((body) => producer.send(1, body));
    const { socket } = await intake.batches.next();
    socket.write(Uint8Array.of(1, 1, 1));
    while (producer.inFlight > 2) await tick();
    socket.destroy();
    await Promise.all(sent.slice(0, 3));
    for (const lost of sent.slice(3))
      await assert.rejects(lost, error('UNKNOWN_OUTCOME', /stored or not/));
    intake.reply = () => Uint8Array.of(1);
    await producer.send(1, 'after');
    assert.deepEqual(texts(intake.stored), [...numbers(5), 'after']);
    assert.deepEqual(statuses, ['connected', 'reconnecting', 'connected']);
  });

  test('sendBatch says what is known of each message', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    await using producer = createProducer({ port: intake.port, reconnect: FAST });
    const sent = producer.sendBatch(numbers(4).map((body) => ({ bucket: 1, body })));
    const { socket } = await intake.batches.next();
    socket.end(Uint8Array.of(1, 0));
    await assert.rejects(sent, (thrown: ThrustError) => {
      assert.deepEqual(thrown.results, [true, false, undefined, undefined]);
      assert.equal(thrown.retryable, true);
      return error('UNKNOWN_OUTCOME')(thrown);
    });
    assert.deepEqual([producer.inFlight, producer.waiting], [0, 0]);
  });

  test('retry: true sends what was not acked again, in order and before the rest', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    const options = { port: intake.port, reconnect: FAST, retry: true, maxInFlight: 4 };
    await using producer = createProducer(options);
    const sent = Promise.all(numbers(6).map((body) => producer.send(1, body)));
    const { socket } = await intake.batches.next();
    socket.destroy();
    const again = await intake.batches.next();
    assert.deepEqual(texts(again.messages), numbers(4));
    intake.reply = ({ messages }) => new Uint8Array(messages.length).fill(1);
    again.socket.write(new Uint8Array(4).fill(1));
    await sent;
    assert.deepEqual(texts(intake.stored), [...numbers(4), ...numbers(6)]);
  });

  test('retry: true does not send again what was acked', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    await using producer = createProducer({ port: intake.port, reconnect: FAST, retry: true });
    const sent = producer.sendBatch(numbers(5).map((body) => ({ bucket: 1, body })));
    const { socket } = await intake.batches.next();
    socket.end(Uint8Array.of(1, 0));
    const again = await intake.batches.next();
    assert.deepEqual(texts(again.messages), ['2', '3', '4']);
    again.socket.write(Uint8Array.of(1, 1, 1));
    assert.deepEqual(await sent, [true, false, true, true, true]);
  });

  test('retry: true sends an encoded batch again as a whole', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    await using producer = createProducer({ port: intake.port, reconnect: FAST, retry: true });
    const batch = new EncodedBatch(numbers(3).map((body) => ({ bucket: 1, body })));
    const sent = producer.sendEncoded(batch);
    const { socket } = await intake.batches.next();
    socket.end(Uint8Array.of(0));
    const again = await intake.batches.next();
    again.socket.write(Uint8Array.of(1, 1, 0));
    assert.deepEqual([...(await sent)], [1, 1, 0]);
  });

  test('what waits while the broker is away is sent when it is back', async () => {
    const intake = await new FakeIntake().start();
    await using producer = createProducer({ port: intake.port, reconnect: FAST });
    await producer.ready();
    await intake.stop();
    while (producer.status !== 'reconnecting') await tick();
    const sent = producer.send(1, 'patience');
    assert.equal(await stateOf(sent), 'open');
    await intake.start();
    await sent;
    await producer.close();
    await intake.stop();
    assert.deepEqual(texts(intake.stored), ['patience']);
  });

  test('seeded chaos with retry: everything is stored, first copies in order', async () => {
    let state = seed;
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    await using intake = await new FakeIntake().start();
    intake.reply = ({ socket, messages }) => {
      if (random(4) > 0) return new Uint8Array(messages.length).fill(1);
      socket.write(new Uint8Array(random(messages.length + 1)).fill(1));
      socket.destroySoon();
      return undefined;
    };
    const options = { reconnect: FAST, retry: true, maxInFlight: 50, batchMessagesMax: 7 };
    await using producer = createProducer({ port: intake.port, ...options });
    const waits: Promise<unknown>[] = [];
    for (let number = 0; number < 2000; ) {
      const size = 1 + random(20);
      const bodies = numbers(size, number);
      number += size;
      if (random(2) === 0)
        waits.push(producer.sendBatch(bodies.map((b) => ({ bucket: 1, body: b }))));
      else for (const body of bodies) waits.push(producer.send(1, body));
      if (random(3) === 0) await tick();
    }
    await Promise.all(waits);
    const first = [...new Set(texts(intake.stored))];
    assert.deepEqual(first, numbers(first.length));
    assert.ok(first.length >= 2000);
    assert.deepEqual([producer.inFlight, producer.waiting], [0, 0]);
  });

  test('silence while acks are due counts as a lost connection', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    const options = { port: intake.port, reconnect: FAST, ackTimeoutMs: 30 };
    await using producer = createProducer(options);
    await assert.rejects(producer.send(1, 'x'), (thrown: ThrustError) => {
      error('TIMEOUT', /no ack from 127\.0\.0\.1:\d+ for 30 ms/)(thrown.cause);
      return error('UNKNOWN_OUTCOME')(thrown);
    });
  });
});

test('idle time does not count as silence', async (t) => {
  const pass = timeOf(t);
  await using intake = await new FakeIntake().start();
  const options = { port: intake.port, reconnect: false, ackTimeoutMs: 600 } as const;
  await using producer = createProducer(options);
  await producer.send(1, 'starts the watch');
  await pass(450);
  intake.reply = manual;
  const sent = producer.send(1, 'sent shortly before the watch looks');
  const { socket } = await intake.batches.next().then(() => intake.batches.next());
  await pass(590); // beyond 600 ms since the first ack, not since the second message
  assert.equal(await stateOf(sent), 'open');
  socket.write(Uint8Array.of(1));
  await sent;
  const silent = producer.send(1, 'never answered');
  const refused = assert.rejects(silent, error('UNKNOWN_OUTCOME'));
  await intake.batches.next();
  await pass(600);
  await refused;
});

describe('no broker', () => {
  test('the first connection failing is the end, said to everybody', async () => {
    const intake = await new FakeIntake().start();
    await intake.stop();
    const producer = createProducer({ url: `thrustmq://127.0.0.1:${intake.port}` });
    const refused = error('CONNECTION', /cannot reach a broker at 127\.0\.0\.1:\d+ \(ECONNREFUSED/);
    await Promise.all([
      assert.rejects(producer.ready(), refused),
      assert.rejects(producer.send(1, 'x'), refused),
    ]);
    refused(await producer.closed);
    assert.equal(producer.status, 'closed');
    await assert.rejects(producer.send(1, 'later'), refused);
    await assert.rejects(producer.ready(), refused);
    await producer.flush();
    await producer.close();
  });

  test('reconnect.initial waits for a broker that starts later', async () => {
    const intake = await new FakeIntake().start();
    await intake.stop();
    const reconnect = { ...FAST, initial: true };
    await using producer = createProducer({ port: intake.port, reconnect });
    const sent = producer.send(1, 'x');
    await intake.start();
    await sent;
    await producer.close();
    await intake.stop();
  });

  test('reconnect.attempts ends it: waiting messages were not sent, CONNECTION', async () => {
    const intake = await new FakeIntake().start();
    const reconnect = { ...FAST, attempts: 3 };
    const producer = createProducer({ port: intake.port, reconnect });
    await producer.ready();
    await intake.stop();
    while (producer.status === 'connected') await tick();
    await assert.rejects(producer.send(1, 'x'), error('CONNECTION', /cannot reach/));
    error('CONNECTION')(await producer.closed);
  });

  test('connections that end without a word use up the attempts', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = ({ socket }) => {
      socket.destroy();
      return undefined;
    };
    const reconnect = { ...FAST, attempts: 3 };
    const producer = createProducer({ port: intake.port, reconnect, retry: true });
    await assert.rejects(producer.send(1, 'poison'), error('UNKNOWN_OUTCOME'));
    error('CONNECTION', /was lost/)(await producer.closed);
    assert.equal(intake.stored.length, 4);
  });

  test('a broker that answered has the attempts counted from 0 again', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = ({ socket }) => {
      socket.end(Uint8Array.of(1));
      return undefined;
    };
    const statuses = new Inbox<Status>();
    await using producer = createProducer({
      port: intake.port,
      reconnect: { ...FAST, attempts: 2 },
      onStatus: (status) => statuses.put(status),
    });
    for (let round = 0; round < 10; round++) {
      await producer.send(1, 'x');
      assert.equal(await statuses.next(), 'connected');
      assert.equal(await statuses.next(), 'reconnecting');
    }
    assert.equal(intake.stored.length, 10);
  });

  test('reconnect: false ends with the first lost connection', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    const producer = createProducer({ port: intake.port, reconnect: false, maxInFlight: 1 });
    const [first, second] = [producer.send(1, 'a'), producer.send(1, 'b')];
    const { socket } = await intake.batches.next();
    socket.destroy();
    await assert.rejects(first, error('UNKNOWN_OUTCOME'));
    await assert.rejects(second, error('CONNECTION', /was lost/));
    error('CONNECTION')(await producer.closed);
  });

  test('wrong options are USAGE', () => {
    for (const options of [
      { url: 'http://x:1' },
      { url: 'nonsense' },
      { url: 'thrustmq://x?wire=u16' },
      { port: 0 },
      { port: 70_000 },
      { wire: 'u8' as never },
      { maxInFlight: 0 },
      { batchMessagesMax: 65_537 },
      { messageBytesMax: MESSAGE_BYTES_CEILING + 1 },
      { reconnect: { jitter: 2 } },
      { reconnect: { min: Number.NaN } },
      { ackTimeoutMs: -1 },
    ])
      assert.throws(() => createProducer(options), error('USAGE'), JSON.stringify(options));
  });
});

describe('abort', () => {
  test('before, while waiting and in flight', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    await using producer = createProducer({ port: intake.port, maxInFlight: 1 });
    await assert.rejects(
      producer.send(1, 'never', { signal: AbortSignal.abort('no') }),
      error('ABORTED', /not sent/),
    );
    const [one, two] = [new AbortController(), new AbortController()];
    const sent = producer.send(1, 'sent', { signal: one.signal });
    const waits = producer.send(1, 'waits', { signal: two.signal });
    const last = producer.send(1, 'last');
    const { socket } = await intake.batches.next();
    two.abort(new Error('changed my mind'));
    await assert.rejects(waits, (thrown: ThrustError) => {
      assert.equal((thrown.cause as Error).message, 'changed my mind');
      return error('ABORTED', /not sent/)(thrown);
    });
    one.abort();
    await assert.rejects(sent, error('ABORTED', /may be stored/));
    assert.deepEqual([producer.inFlight, producer.waiting], [1, 1]);
    socket.write(Uint8Array.of(1)); // belongs to the aborted one
    assert.deepEqual(texts((await intake.batches.next()).messages), ['last']);
    socket.write(Uint8Array.of(1));
    await last;
    assert.deepEqual(texts(intake.stored), ['sent', 'last']);
  });

  test('one signal for many sends, of which none is sent again after a retry', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    await using producer = createProducer({ port: intake.port, retry: true, reconnect: FAST });
    const controller = new AbortController();
    const options = { signal: controller.signal };
    const sent = Promise.allSettled(numbers(100).map((body) => producer.send(1, body, options)));
    const { socket } = await intake.batches.next();
    controller.abort();
    for (const { status } of await sent) assert.equal(status, 'rejected');
    socket.destroy();
    intake.reply = ({ messages }) => new Uint8Array(messages.length).fill(1);
    await producer.send(1, 'fresh');
    assert.deepEqual(texts(intake.stored), [...numbers(100), 'fresh']);
  });

  test('the producer’s own signal ends it at once', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    const controller = new AbortController();
    const options = { port: intake.port, signal: controller.signal, maxInFlight: 1 };
    const producer = createProducer(options);
    const [sent, waits] = [producer.send(1, 'a'), producer.send(1, 'b')];
    await intake.batches.next();
    controller.abort();
    await assert.rejects(sent, error('UNKNOWN_OUTCOME'));
    await assert.rejects(waits, error('ABORTED'));
    error('ABORTED')(await producer.closed);
    const late = createProducer({ port: intake.port, signal: controller.signal });
    await assert.rejects(late.send(1, 'c'), error('ABORTED'));
  });
});

describe('flush and close', () => {
  test('flush waits for what was sent before it, not for what came after', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    await using producer = createProducer({ port: intake.port, maxInFlight: 1 });
    await producer.flush();
    const first = producer.send(1, 'a');
    const flushed = producer.flush();
    const second = producer.send(1, 'b');
    const { socket } = await intake.batches.next();
    assert.equal(await stateOf(flushed), 'open');
    socket.write(Uint8Array.of(0));
    await assert.rejects(first, error('REFUSED'));
    await flushed;
    await intake.batches.next();
    socket.write(Uint8Array.of(1));
    await second;
  });

  test('close finishes what was sent, says goodbye and takes no more', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    const producer = createProducer({ port: intake.port });
    const sent = producer.send(1, 'a');
    const { socket } = await intake.batches.next();
    const closed = producer.close();
    assert.equal(producer.status, 'closing');
    await assert.rejects(producer.send(1, 'b'), error('CLOSED', /closing/));
    assert.equal(await stateOf(closed), 'open');
    assert.equal(intake.goodbyes.size, 0);
    socket.write(Uint8Array.of(1));
    await sent;
    await intake.goodbyes.next();
    await closed;
    await producer.close();
    assert.equal(await producer.closed, undefined);
    assert.equal(producer.status, 'closed');
    await assert.rejects(producer.send(1, 'b'), error('CLOSED'));
  });

  test('close before the connection stands still sends everything', async () => {
    await using intake = await new FakeIntake().start();
    const producer = createProducer({ port: intake.port });
    const sent = producer.send(1, 'quick');
    await producer.close();
    await sent;
    await intake.goodbyes.next();
  });

  test('close checks its time; one without end is fine', async () => {
    await using intake = await new FakeIntake().start();
    const producer = createProducer({ port: intake.port });
    for (const timeoutMs of [Number.NaN, -1, 'soon' as never])
      await assert.rejects(producer.close({ timeoutMs }), error('USAGE', /timeoutMs/));
    await producer.send(1, 'still open');
    await producer.close({ timeoutMs: Number.POSITIVE_INFINITY });
    await intake.goodbyes.next();
  });

  test('await using closes', async () => {
    await using intake = await new FakeIntake().start();
    let escaped: ReturnType<typeof createProducer>;
    {
      await using producer = createProducer({ port: intake.port });
      void producer.send(1, 'x');
      escaped = producer;
    }
    assert.equal(escaped.status, 'closed');
    assert.deepEqual(texts(intake.stored), ['x']);
  });

  test('close gives up on a silent broker after timeoutMs', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = manual;
    const producer = createProducer({ port: intake.port });
    const sent = producer.send(1, 'x');
    await intake.batches.next();
    await Promise.all([
      assert.rejects(sent, error('UNKNOWN_OUTCOME')),
      producer.close({ timeoutMs: 20 }),
    ]);
    error('TIMEOUT', /1 messages open/)(await producer.closed);
  });
});

describe('a peer that is no intake', () => {
  for (const [what, reply] of [
    ['an ack byte of 7', Uint8Array.of(7)],
    ['more acks than messages', Uint8Array.of(1, 1)],
  ] as const)
    test(`${what} is PROTOCOL and final`, async () => {
      await using intake = await new FakeIntake().start();
      intake.reply = () => reply;
      const producer = createProducer({ port: intake.port, reconnect: FAST });
      const [sent] = await Promise.allSettled([producer.send(1, 'x')]);
      assert.equal(sent.status, reply.length === 1 ? 'rejected' : 'fulfilled');
      error('PROTOCOL', /like a broker's intake/)(await producer.closed);
    });
});
