// Rounds of attempts to connect, with sockets that answer when the test says so.

import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { Dialing, type DialingOptions } from '../../src/client/dialing.ts';
import { Inbox } from './fake-broker.ts';

type Told = { connected: [socket: Socket, port: number] } | { failed: string | undefined };

function dialing(ports: number[], changed: Partial<DialingOptions> = {}) {
  const dialed = new Inbox<Socket & { port: number }>();
  const told = new Inbox<Told>();
  const round = new Dialing({
    addresses: ports.map((port) => ({ host: 'a node', port })),
    timeoutMs: Number.POSITIVE_INFINITY,
    connected: (socket, { port }) => told.put({ connected: [socket, port] }),
    failed: (reason) => told.put({ failed: reason?.message }),
    connect: ({ port }) => {
      const socket = Object.assign(new Socket(), { port });
      dialed.put(socket);
      return socket;
    },
    ...changed,
  });
  return { round, dialed, told };
}

const refuse = (socket: Socket) => void socket.destroy(new Error('refused'));

test('an address that does not answer is not waited for alone', { timeout: 20_000 }, async () => {
  const { dialed, told } = dialing([1, 2, 3]);
  const first = await dialed.next();
  const second = await dialed.next();
  second.emit('connect');
  assert.deepEqual(await told.next(), { connected: [second, 2] });
  assert.deepEqual([first.port, first.destroyed, second.destroyed], [1, true, false]);
});

test('the one that answers first is taken, be it the first or another', async () => {
  const { dialed, told } = dialing([1, 2]);
  const [first, second] = [await dialed.next(), await dialed.next()];
  first.emit('connect');
  assert.deepEqual(await told.next(), { connected: [first, 1] });
  assert.ok(second.destroyed);
});

test('the next one is tried as soon as one refuses, and all must have failed', async () => {
  const { dialed, told } = dialing([1, 2, 3]);
  const silent = await dialed.next();
  refuse(await dialed.next());
  const last = await dialed.next();
  assert.equal(last.port, 3);
  refuse(last);
  silent.destroy(new Error('no answer'));
  assert.deepEqual(await told.next(), { failed: 'no answer' });
});

test('each has its time, and one that is over says nothing more', async () => {
  const { dialed, told } = dialing([1], { timeoutMs: 1 });
  assert.deepEqual(await told.next(), { failed: 'no connection within 1 ms' });
  assert.ok((await dialed.next()).destroyed);
  const other = dialing([1, 2]);
  const sockets = [await other.dialed.next(), await other.dialed.next()];
  other.round.cancel();
  assert.deepEqual(
    sockets.map(({ destroyed }) => destroyed),
    [true, true],
  );
  for (const socket of sockets) socket.emit('connect');
  const third = dialing([3]);
  refuse(await third.dialed.next());
  await third.told.next();
  assert.equal(other.told.size, 0);
});

test('a name whose addresses were cut short is tried once more', async () => {
  const { dialed, told } = dialing([1]);
  const late = Object.assign(new Error('late'), { code: 'ETIMEDOUT' });
  for (let i = 0; i < 2; i++) (await dialed.next()).destroy(new AggregateError([late], 'all late'));
  assert.deepEqual(await told.next(), { failed: 'all late' });
});
