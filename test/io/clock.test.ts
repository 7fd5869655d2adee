// The wall clock is set while the broker runs: dates follow it, and what is between them does not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Clock } from '../../src/io/clock.ts';

const DAY_MS = 86_400_000;

function setUp() {
  const host = { wallMs: 1_700_000_000_000, ms: 5000.25 };
  const clock = new Clock(
    () => host.wallMs,
    () => host.ms,
  );
  const pass = (ms: number) => {
    host.ms += ms;
    host.wallMs += ms;
  };
  return { host, clock, pass };
}

for (const jumpMs of [-DAY_MS, DAY_MS, -1500, 1500])
  test(`set by ${jumpMs} ms: now is what it says, and before is as long ago as it was`, () => {
    const { host, clock, pass } = setUp();
    const begunMs = clock.nowMs;
    assert.equal(clock.wallMs(begunMs), 1_700_000_000_000);
    pass(60_000);
    host.wallMs += jumpMs;
    assert.equal(clock.wallMs(), host.wallMs);
    assert.equal(clock.wallMs() - clock.wallMs(begunMs), 60_000);
    assert.equal(clock.nowMs - begunMs, 60_000);
    assert.equal(clock.date(), new Date(host.wallMs).toISOString());
  });

test('adjusted a little, dates stay as they are', () => {
  const { host, clock, pass } = setUp();
  const begunMs = clock.nowMs;
  const before = clock.wallMs(begunMs);
  for (let i = 0; i < 9; i++) {
    pass(1000);
    host.wallMs += 100;
    assert.equal(clock.wallMs(begunMs), before);
  }
  assert.ok(Math.abs(clock.wallMs() - host.wallMs) < 1000);
});
