// A node is as late as what it has not come up to was seen, and not for being behind all the time
// by what was stored just now.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lag } from '../../../src/core/cluster/lag.ts';

test('under load it is not late, however long that goes on', () => {
  const lag = new Lag();
  for (let second = 1; second <= 100; second++) {
    const nowMs = second * 1000;
    lag.saw(second * 50, nowMs);
    assert.equal(lag.ms(second * 50 - 3, nowMs + 20), 20, 'a few are on their way');
    assert.equal(lag.ms(second * 50 + 7, nowMs + 900), 0, 'it has come further since');
  }
});

test('who stands still falls behind, and is on time when it has come up', () => {
  const lag = new Lag();
  for (let second = 1; second <= 10; second++) lag.saw(second * 50, second * 1000);
  assert.equal(lag.ms(100, 10_500), 7500, 'it has not what was seen in the third second');
  assert.equal(lag.ms(100, 11_000), 8000);
  assert.equal(lag.ms(420, 11_000), 2000);
  assert.equal(lag.ms(500, 11_000), 0);
  lag.saw(500, 12_000);
  assert.equal(lag.ms(500, 20_000), 0, 'nothing new is nothing to be late for');
});

test('however far it is behind, few looks are kept, the oldest among them', () => {
  const lag = new Lag();
  for (let second = 1; second <= 5000; second++) lag.saw(second, second * 1000);
  assert.equal(lag.ms(0, 5_000_000), 4_999_000);
  assert.ok(lag.ms(2, 5_000_000) < 4_998_000);
  assert.equal(lag.ms(5000, 5_000_000), 0);
});
