// Deadlines of a program that stands still: what arrived meanwhile is read before they pass.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { deadline, signalAfter } from '../../src/time/deadline.ts';
import { cancel } from '../../src/time/timers.ts';
import { stall } from '../support/stall.ts';

/** Both ends of a connection. */
async function pair() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [
    [Socket],
    unknown,
  ];
  const end = () => {
    near.destroy();
    far.destroy();
    server.close();
  };
  return { near, far, [Symbol.dispose]: end };
}

test('what arrived during a stall is read before a deadline passes', async () => {
  using sockets = await pair();
  const events: string[] = [];
  sockets.near.on('data', () => events.push('read'));
  await new Promise<void>((resolve) => {
    deadline(5, () => {
      events.push('passed');
      resolve();
    });
    sockets.far.write('x');
    stall(6); // late, but hardly
  });
  assert.deepEqual(events, ['read', 'passed']);
});

test('and may cancel it', async () => {
  using sockets = await pair();
  const timer = deadline(5, () => assert.fail('it came in time'));
  const read = once(sockets.near, 'data');
  sockets.far.write('x');
  stall(50);
  await read;
  cancel(timer);
  await new Promise<void>((resolve) => deadline(60, resolve)); // longer than it was put off
});

test('the time of a stall is given again, at most as much as there was', async () => {
  for (const [ms, stallMs, leastMs] of [
    [20, 60, 79],
    [40, 60, 79],
  ]) {
    const startedMs = performance.now();
    const passed = new Promise<void>((resolve) => deadline(ms, resolve));
    stall(stallMs);
    await passed;
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs >= leastMs, `${ms} ms, a stall of ${stallMs} ms: over after ${tookMs} ms`);
  }
});

test('a program that stands still again and again is not waited for without end', async () => {
  let over = false;
  deadline(30, () => {
    over = true;
  });
  while (!over) {
    stall(45);
    await turn();
  }
});

test('a cancelled deadline does not pass, also in the turn in which it is due', async () => {
  const never = () => assert.fail('cancelled');
  cancel(deadline(1, never));
  await new Promise<void>((resolve) => {
    deadline(1, () => {
      cancel(later);
      resolve();
    });
    const later = deadline(1, never);
    stall(2); // both are due at once
  });
  for (let count = 0; count < 3; count++) await turn();
});

test('a signal after some time says what it is', async () => {
  const signal = signalAfter(2);
  const keep = deadline(60_000, () => {});
  await once(signal, 'abort');
  cancel(keep);
  assert.equal((signal.reason as DOMException).name, 'TimeoutError');
});
