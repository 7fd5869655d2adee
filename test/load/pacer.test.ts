// When a batch may go: always, by the schedule, or not while too much waits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AckPace, Pacer } from '../../src/load/pacer.ts';

const options = { rate: undefined, backlogMessagesMax: undefined, waiting: () => 0 };

test('a closed loop grants at once, until the count is reached', () => {
  const pacer = new Pacer({ ...options, batchMessages: 10 });
  assert.equal(pacer.take(5), false);
  pacer.open(25, 5);
  const granted: number[] = [];
  while (pacer.take(6)) granted.push(pacer.messages);
  assert.deepEqual(granted, [10, 10, 5]);
  assert.equal(pacer.grantedDueMs, 6);
  assert.equal(pacer.exhausted, true);
});

test('an open loop keeps its schedule however late it is asked', () => {
  const pacer = new Pacer({ ...options, batchMessages: 10, rate: 1000 }); // one each 10 ms
  pacer.open(1000, 100);
  assert.equal(pacer.openLoop, true);
  const due: number[] = [];
  const take = (nowMs: number): void => {
    while (pacer.take(nowMs)) due.push(pacer.grantedDueMs);
  };
  take(100);
  take(109.9);
  assert.deepEqual(due, [100]);
  take(135); // three were missed: each has waited since its own time
  assert.deepEqual(due, [100, 110, 120, 130]);
  assert.equal(pacer.nextDueMs, 140);
  pacer.close();
  assert.equal(pacer.nextDueMs, Number.POSITIVE_INFINITY);
  assert.equal(pacer.take(1000), false);
});

test('what was due when the schedule ended is still granted, and no more', () => {
  const pacer = new Pacer({ ...options, batchMessages: 10, rate: 1000 });
  pacer.open(Number.POSITIVE_INFINITY, 100);
  pacer.finish(125);
  assert.equal(pacer.exhausted, false);
  const due: number[] = [];
  while (pacer.take(500)) due.push(pacer.grantedDueMs);
  assert.deepEqual(due, [100, 110, 120]);
  assert.equal(pacer.exhausted, true);
  assert.equal(pacer.nextDueMs, Number.POSITIVE_INFINITY);
  pacer.open(10, 600); // and it can begin again
  assert.equal(pacer.take(600), true);

  const closed = new Pacer({ ...options, batchMessages: 10 });
  closed.open(100, 0);
  closed.finish(1);
  assert.equal(closed.take(0), false);
});

test('nothing goes while more waits than may', () => {
  let waiting = 0;
  const bounded = { backlogMessagesMax: 100, waiting: () => waiting };
  const pacer = new Pacer({ ...options, ...bounded, batchMessages: 10 });
  pacer.open(Number.POSITIVE_INFINITY, 0);
  waiting = 101;
  assert.equal(pacer.take(1), false);
  waiting = 100;
  assert.equal(pacer.take(1), true);
});

test('a paced consumer acks when its share is due, and makes up for nothing', () => {
  const pace = new AckPace(1000); // one each millisecond
  assert.equal(pace.delayMs(10, 100), 0);
  assert.equal(pace.delayMs(10, 103), 7); // the first ten fill the time up to 110
  assert.equal(pace.delayMs(1, 115), 5);
  assert.equal(pace.delayMs(5, 500), 0);
  assert.equal(pace.delayMs(5, 500), 5);
});
