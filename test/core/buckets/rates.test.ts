// Rates of buckets: an average that forgets, the same for a steady stream however it is cut.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Buckets } from '../../../src/core/buckets/buckets.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';

const FADE_MS = 5000;

function setUp() {
  const fates = noOutcomes();
  const buckets = new Buckets<string>(1, fates);
  let sequence = 1;
  const publish = (slot: number, count: number) => {
    buckets.push(slot, sequence * 8, sequence, count, 10, 0);
    sequence += count;
  };
  return { buckets, rates: buckets.rates, slot: buckets.open(1, 0), publish };
}

const about = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) <= expected * 0.03, `${actual}, not about ${expected}`);

for (const stepMs of [25, 100, 250])
  test(`400 a second come to 400, published every ${stepMs} ms`, () => {
    const { rates, slot, publish } = setUp();
    for (let nowMs = 0; nowMs <= 10 * FADE_MS; nowMs += stepMs) {
      rates.nowMs = nowMs;
      publish(slot, (400 * stepMs) / 1000);
    }
    about(rates.publishedOf(slot), 400);
    assert.equal(rates.settledOf(slot), 0);
  });

test('what was counted fades, by the clock alone', () => {
  const { rates, slot, publish } = setUp();
  publish(slot, 1000);
  const first = rates.publishedOf(slot);
  assert.equal(first, 200); // a thousand over five seconds
  rates.nowMs = FADE_MS;
  about(rates.publishedOf(slot), first / Math.E);
  rates.nowMs = 20 * FADE_MS;
  assert.ok(rates.publishedOf(slot) < 0.001);
});

test('buckets have rates of their own; cleared, there are none', () => {
  const { buckets, rates, slot, publish } = setUp();
  const other = buckets.open(2, 0);
  publish(slot, 10);
  publish(other, 30);
  assert.equal(rates.publishedOf(other), 3 * rates.publishedOf(slot));
  rates.clear();
  assert.deepEqual([rates.publishedOf(slot), rates.publishedOf(other)], [0, 0]);
});
