// Programs that stand still for longer than their time-outs, while what they wait for arrives: it
// is read before anything is judged to be late. Broker and program share one process, so the broker
// sends first and then both stand still.

import assert from 'node:assert/strict';
import dns from 'node:dns';
import { describe, mock, test } from 'node:test';
import { createConsumer, createProducer, type Status } from '../../src/client/index.ts';
import { stall } from '../support/stall.ts';
import { FakeExhaust, FakeIntake } from './fake-broker.ts';

const TIMEOUT_MS = 100;
const STALL_MS = 250; // also longer than the time that is given again

const stored = Uint8Array.of(1);

/** The system has been asked to connect, and nothing was read since. */
async function connecting(): Promise<void> {
  for (let tick = 0; tick < 5; tick++) await new Promise<void>((done) => process.nextTick(done));
}

type Found = (error: null, addresses: dns.LookupAddress[]) => void;

describe('read first, judge then', { timeout: 60_000 }, () => {
  test('a connection that was made during a stall stands', async () => {
    await using intake = await new FakeIntake().start();
    await using exhaust = await new FakeExhaust().start();
    const options = { connectTimeoutMs: TIMEOUT_MS, reconnect: false } as const;
    await using producer = createProducer({ ...options, port: intake.port });
    await using consumer = createConsumer({ ...options, port: exhaust.port, bucket: 7 });
    await connecting();
    stall(STALL_MS);
    await Promise.all([producer.ready(), consumer.ready()]);
  });

  test('an address that answered during a stall is the one', async () => {
    await using intake = await new FakeIntake().start();
    const lookup = mock.method(dns, 'lookup', ((_name, _options, done) =>
      done(null, [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 }, // nobody is there
      ])) as (name: string, options: dns.LookupAllOptions, done: Found) => void);
    await using producer = createProducer({ host: 'broker.test', port: intake.port });
    await connecting();
    stall(600); // longer than Node.js gives an address
    await producer.ready();
    lookup.mock.restore();
  });

  test('an ack that came during a stall counts', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = ({ socket }) => {
      socket.write(stored);
      stall(STALL_MS);
      return undefined;
    };
    const options = { ackTimeoutMs: TIMEOUT_MS, reconnect: false } as const;
    await using producer = createProducer({ ...options, port: intake.port });
    await producer.send(1, 'once');
    await producer.send(1, 'more');
    assert.equal(intake.stored.length, 2);
  });

  test('an ack that came during a stall lets close end well', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = () => undefined;
    const producer = createProducer({ port: intake.port });
    const sent = producer.send(1, 'x');
    const { socket } = await intake.batches.next();
    const closing = producer.close({ timeoutMs: TIMEOUT_MS });
    socket.write(stored);
    stall(STALL_MS);
    await Promise.all([sent, closing]);
    assert.equal(await producer.closed, undefined);
    await intake.goodbyes.next();
  });

  for (const what of ['a message', 'a heartbeat'] as const)
    test(`${what} that came during a stall is a sign of life`, async () => {
      await using exhaust = await new FakeExhaust().start();
      const statuses: Status[] = [];
      await using consumer = createConsumer({
        port: exhaust.port,
        bucket: 7,
        idleTimeoutMs: TIMEOUT_MS,
        onStatus: (status) => statuses.push(status),
      });
      const next = consumer[Symbol.asyncIterator]().next();
      const link = await exhaust.links.next();
      if (what === 'a message') link.deliver('here');
      else link.heartbeat();
      stall(STALL_MS);
      if (what === 'a message') assert.equal((await next).value?.text(), 'here');
      else assert.deepEqual(await link.acks(1), [1]);
      assert.deepEqual(statuses, ['connected']);
    });
});
