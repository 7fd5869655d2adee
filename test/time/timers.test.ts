// Delays of any length, on a clock that the test moves and on the real one.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { after, cancel, every, sleep } from '../../src/time/timers.ts';

const PIECE_MS = 2 ** 31 - 1;
const HOURS_1000 = 3_600_000_000;

/** Calls `run` with a clock that goes where it is told. */
function onMovedClock(run: (goMs: (ms: number) => void) => void): void {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  try {
    run((ms) => {
      // Piece by piece: a timer made while the clock moves starts where the clock is then.
      for (let left = ms; left > 0; left -= PIECE_MS) mock.timers.tick(Math.min(left, PIECE_MS));
    });
  } finally {
    mock.timers.reset();
  }
}

for (const ms of [0, 1, PIECE_MS, PIECE_MS + 1, HOURS_1000, 3 * PIECE_MS])
  test(`${ms} ms last that long`, () => {
    onMovedClock((go) => {
      let calls = 0;
      after(ms, () => calls++);
      go(ms - 1);
      assert.equal(calls, 0);
      go(1);
      assert.equal(calls, 1);
      go(2 * PIECE_MS);
      assert.equal(calls, 1);
    });
  });

for (const ms of [1, PIECE_MS, PIECE_MS + 1, HOURS_1000])
  test(`every ${ms} ms is as often as that`, () => {
    onMovedClock((go) => {
      let calls = 0;
      const timer = every(ms, () => calls++);
      for (let turn = 1; turn <= 3; turn++) {
        go(ms - 1);
        assert.equal(calls, turn - 1);
        go(1);
        assert.equal(calls, turn);
      }
      cancel(timer);
      go(2 * ms);
      assert.equal(calls, 3);
    });
  });

test('a long period can end itself', () => {
  onMovedClock((go) => {
    let calls = 0;
    const timer = every(HOURS_1000, () => {
      calls += 1;
      cancel(timer);
    });
    go(3 * HOURS_1000);
    assert.equal(calls, 1);
  });
});

test('a cancelled wait never ends, whichever piece it was in', () => {
  for (const goneMs of [0, PIECE_MS, PIECE_MS + 7])
    onMovedClock((go) => {
      const timer = after(HOURS_1000, () => assert.fail('cancelled'));
      go(goneMs);
      cancel(timer);
      go(HOURS_1000);
    });
  cancel(undefined);
});

test('Infinity is for ever, and NaN is no time', () => {
  onMovedClock((go) => {
    after(Number.POSITIVE_INFINITY, () => assert.fail('for ever'));
    go(10 * PIECE_MS);
  });
  assert.throws(() => after(Number.NaN, () => {}), /not NaN/);
  assert.throws(() => every(Number.NaN, () => {}), /not NaN/);
});

test('Node.js is handed no delay that it makes 1 ms of', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const fail = () => assert.fail('far too early');
  const timers = [after(HOURS_1000, fail), every(HOURS_1000, fail), after(2 ** 31, fail)];
  await sleep(20);
  for (const timer of timers) cancel(timer);
  process.off('warning', onWarning);
  assert.ok(!warnings.some(({ name }) => name === 'TimeoutOverflowWarning'));
});

test('an unref keeps no process alive, also of a long wait', () => {
  for (const timer of [
    after(50, () => {}),
    after(HOURS_1000, () => {}),
    every(HOURS_1000, () => {}),
  ])
    assert.equal(timer.unref(), timer); // this file would not end
});
