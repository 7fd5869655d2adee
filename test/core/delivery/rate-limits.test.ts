// So many a second: by a model that counts what was given in every stretch of time, with wake-ups
// that come late, and buckets that nobody watches for a while.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimits } from '../../../src/core/delivery/rate-limits.ts';
import { TICK_MS } from '../../../src/core/timing/alarm.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/delivery/rate-limits.test');
const LATE_MS = 2 * TICK_MS;
const limits = () => new RateLimits({ idOf: (slot) => `${slot}` });

test('a bucket begins with a burst, at least one message, and waits for the next', () => {
  for (const [rate, burst] of [
    [0.5, 1],
    [10, 1],
    [25, 2],
    [1000, 100],
  ] as const) {
    const rates = limits();
    assert.equal(rates.allowed(1, rate, 1000), burst);
    assert.equal(rates.nextMs, Number.POSITIVE_INFINITY);
    rates.took(1, rate, burst + 1000, 1000);
    assert.equal(rates.allowed(1, rate, 1000), 0);
    const until = rates.untilMs(1, rate);
    assert.ok(rates.nextMs >= until && rates.nextMs < until + TICK_MS, 'it is woken in time');
    assert.equal(rates.allowed(1, rate, until - 1000 / rate), 0);
    assert.equal(rates.allowed(1, rate, until), 1);
  }
});

test('over every stretch no more than its time allows and a burst; in the long run all of it', () => {
  const random = new Random(seed);
  for (const rate of [0.4, 3, 10, 17, 250, 9000]) {
    const rates = limits();
    const burst = Math.max(1, rate / 10);
    const given: [atMs: number, count: number][] = [];
    let total = 0;
    const end = 60_000 + 60_000 / rate;
    for (let nowMs = 0; nowMs < end; ) {
      const most = rates.allowed(1, rate, nowMs);
      assert.ok(most <= burst);
      if (most > 0) {
        const count = 1 + random.below(most);
        rates.took(1, rate, count, nowMs);
        given.push([nowMs, count]);
        total += count;
        continue;
      }
      nowMs = Math.max(nowMs + 1, rates.nextMs + random.below(TICK_MS));
      rates.advance(nowMs, (slot) => assert.equal(slot, 1));
    }
    for (let from = 0; from < given.length; from += 1 + random.below(20)) {
      let sum = 0;
      for (let to = from; to < Math.min(given.length, from + 200); to++) {
        sum += given[to]![1];
        const ms = given[to]![0] - given[from]![0] + LATE_MS;
        assert.ok(sum <= burst + (ms * rate) / 1000 + 1e-3, `rate ${rate}: ${sum} in ${ms} ms`);
      }
    }
    assert.ok(total >= (end / 1000) * rate * 0.95, `rate ${rate}: ${total} only`);
  }
});

test('who leaves and comes back owes what the bucket was given; with time it is paid', () => {
  const rates = limits();
  rates.took(1, 1, 5, 0);
  assert.equal(rates.allowed(1, 1, 0), 0);
  rates.left(1, 0);
  assert.equal(rates.nextMs, Number.POSITIVE_INFINITY, 'nobody is to be served');
  assert.equal(rates.allowed(2, 1, 0), 1, 'another bucket owes nothing');
  assert.equal(rates.allowed(1, 1, 1000), 0);
  rates.left(1, 1000);
  assert.equal(rates.allowed(1, 1, 5000), 1);
});

test('who leaves again and again is given no more than who stays', () => {
  const rate = 60;
  const rates = limits();
  let total = 0;
  // What the first was given has just gone when it leaves; lateness is made good once only.
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 2 * LATE_MS) {
    rates.left(1, nowMs);
    for (let most = rates.allowed(1, rate, nowMs); most > 0; ) {
      rates.took(1, rate, most, nowMs);
      total += most;
      most = rates.allowed(1, rate, nowMs);
    }
  }
  const most = rate / 10 + ((10_000 + LATE_MS) * rate) / 1000;
  assert.ok(total <= most && total > most - 10, `${total} of ${most}`);
});

test('debts of more buckets than are remembered: the first are forgotten', () => {
  const rates = limits();
  for (let slot = 1; slot <= 65_537; slot++) {
    rates.took(slot, 0.001, 1, 0);
    rates.left(slot, 0);
  }
  assert.equal(rates.allowed(1, 0.001, 0), 1);
  assert.equal(rates.allowed(2, 0.001, 0), 0);
});
