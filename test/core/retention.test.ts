// What may be given back, against a model.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BugError } from '../../src/core/assert.ts';
import { Retention } from '../../src/core/retention.ts';
import { Random, seedOf } from '../support/random.ts';

const seed = seedOf('core/retention.test');

describe('retention', () => {
  test('the oldest segment with a live message bounds what may go', () => {
    const retention = new Retention();
    for (const base of [0, 100, 200, 300]) retention.open(base);
    retention.count(10, 2);
    retention.count(110, 1);
    retention.count(299, 4);
    assert.equal(retention.needed(350), 0);
    retention.count(99, -2);
    assert.equal(retention.needed(350), 100);
    retention.count(110, -1);
    assert.equal(retention.needed(350), 200);
    retention.count(200, -4);
    assert.equal(retention.needed(350), 300);
    assert.equal(retention.needed(299), 200, 'never beyond what is durable');
    retention.trimmed(300);
    assert.equal(retention.needed(350), 300);
    retention.count(310, 1);
    assert.throws(() => retention.count(299, 1), BugError);
    assert.throws(() => retention.count(310, -2), BugError);
  });

  test('segments open in order', () => {
    const retention = new Retention();
    assert.equal(retention.needed(0), 0);
    retention.open(64);
    assert.throws(() => retention.open(64), BugError);
    assert.throws(() => retention.open(0), BugError);
  });

  test('random counts against a model', () => {
    const random = new Random(seed);
    const retention = new Retention();
    const live: number[] = [];
    let oldest = 0;
    for (let step = 0; step < 5000; step++) {
      if (live.length === 0 || random.chance(0.02)) {
        retention.open(live.length * 1000);
        live.push(0);
      }
      const segment = oldest + random.below(live.length - oldest);
      const change = random.chance(0.45) ? 1 : -Math.min(live[segment]!, 1 + random.below(3));
      retention.count(segment * 1000 + random.below(1000), change);
      live[segment]! += change;
      let needed = oldest;
      while (needed < live.length - 1 && live[needed] === 0) needed++;
      assert.equal(retention.needed(Number.MAX_SAFE_INTEGER), needed * 1000);
      if (random.chance(0.1)) {
        retention.trimmed(needed * 1000);
        oldest = needed;
      }
    }
    assert.ok(oldest > 3);
  });
});
