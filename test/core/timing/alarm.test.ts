// When the broker is woken: in ticks while something goes on, else when something is due.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Alarm, TICK_MS } from '../../../src/core/timing/alarm.ts';

function setUp() {
  const seen = { nowMs: 0, stirs: 0, told: [] as number[] };
  const alarm = new Alarm(
    () => {
      seen.stirs++;
      return seen.nowMs;
    },
    (nowMs) => void seen.told.push(nowMs),
  );
  return { alarm, seen };
}

test('awake, it is called a tick from now; what is due later lets it sleep', () => {
  const { alarm, seen } = setUp();
  assert.equal(alarm.tick(TICK_MS), TICK_MS);
  assert.equal(alarm.rest(0), 2 * TICK_MS, 'never at once');
  assert.equal(alarm.stir(), TICK_MS);
  assert.equal(seen.stirs, 0, 'it was awake');
  assert.equal(alarm.rest(1000), 1000);
  seen.nowMs = 400;
  assert.equal(alarm.stir(), 400, 'it learns what time it is');
  assert.equal(alarm.stir(), 400);
  assert.equal(seen.stirs, 1, 'and is stirred once');
  assert.deepEqual(seen.told, [TICK_MS, 400]);
});

test('to the ms it looks at the clock, awake or asleep, and the tick is as long as before', () => {
  const { alarm, seen } = setUp();
  alarm.tick(100);
  seen.nowMs = 113.5;
  assert.equal(alarm.stir(), 100);
  assert.equal(alarm.exact(), 113.5);
  assert.equal(alarm.nowMs, 113.5);
  assert.equal(alarm.tick(125), 25);
  alarm.rest(10_000);
  seen.nowMs = 5000;
  assert.equal(alarm.exact(), 5000);
  assert.equal(alarm.tick(5025), 25);
});

test('what was slept is no tick, however long it was', () => {
  const { alarm, seen } = setUp();
  alarm.rest(10_000);
  assert.equal(alarm.tick(10_000), TICK_MS);
  alarm.rest(20_000);
  seen.nowMs = 15_000;
  alarm.stir();
  assert.equal(alarm.tick(15_010), 10);
  assert.equal(alarm.tick(15_090), 80, 'awake, a late tick is as long as it was');
});

test('time that runs backwards is a bug that is said', () => {
  const { alarm } = setUp();
  alarm.at(100);
  assert.throws(() => alarm.at(99), /time ran backwards/);
});
