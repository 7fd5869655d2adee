// What the log is told of the traffic: two thresholds that look at different things.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ForegroundTraffic } from '../../../src/core/fairness/foreground.ts';

const NOBODY = { shared: false, large: false };

test('light traffic is some in a tick, but little of it', () => {
  const foreground = new ForegroundTraffic();
  const seen: [bytes: number, light: boolean, busy: boolean][] = [];
  let published = 0;
  for (const bytes of [0, 1, 524_287, 524_288, 10_000_000, 1, 0]) {
    published += bytes;
    foreground.tick(NOBODY, published);
    seen.push([bytes, foreground.lightTraffic, foreground.busy]);
  }
  assert.deepEqual(seen, [
    [0, false, false],
    [1, true, true],
    [524_287, true, true],
    [524_288, false, true],
    [10_000_000, false, true],
    [1, true, true],
    [0, false, false],
  ]);
});

test('who waits for acks is what the fair share says, as of the last tick', () => {
  const foreground = new ForegroundTraffic();
  const intake = { shared: true, large: false };
  const told = () => [foreground.latencySensitive, foreground.largeWrites];
  assert.deepEqual(told(), [false, false]);
  foreground.tick(intake, 0);
  assert.deepEqual(told(), [true, false]);
  intake.large = true;
  assert.deepEqual(told(), [true, false], 'between two ticks nothing changes');
  foreground.tick(intake, 0);
  assert.deepEqual(told(), [true, true]);
  assert.equal(foreground.lightTraffic, false, 'nothing was published');
  foreground.tick(NOBODY, 0);
  assert.deepEqual(told(), [false, false]);
});
