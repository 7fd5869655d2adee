// Plans that cannot be run are refused in words before anything is connected.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPlan, DEFAULT_PLAN, type LoadPlan, stamps } from '../../src/load/plan.ts';

test('the default plan can be run', () => {
  assert.equal(checkPlan(DEFAULT_PLAN), undefined);
});

const BAD: [Partial<LoadPlan>, RegExp][] = [
  [{ producers: 0, consumers: 0 }, /at least one/],
  [{ producers: 1.5 }, /producers must be a whole number/],
  [{ producers: 65_536 }, /producers/],
  [{ messageBytes: 0 }, /message size/],
  [{ messageBytes: 64 * 1024 ** 2 + 1 }, /message size/],
  [{ batchMessages: 65_537 }, /batch/],
  [{ inFlight: 0 }, /in flight/],
  [{ durationMs: 2 ** 31 }, /duration/],
  [{ count: 0 }, /count/],
  [{ rate: Number.NaN }, /rate/],
  [{ firstBucket: 2n ** 64n - 1n, buckets: 2, consumers: 2 }, /buckets/],
  [{ buckets: 5, consumers: 4 }, /cannot empty 5 buckets/],
  [{ verify: true, consumers: 0 }, /producers and consumers/],
  [{ verify: true, messageBytes: 15 }, /at least 16 bytes/],
  [{ messageBytes: 1024 ** 2, batchMessages: 2000 }, /1 GiB/],
];

for (const [change, expected] of BAD)
  test(`refused: ${Object.keys(change).join(', ')} ${Object.values(change).join(', ')}`, () => {
    assert.match(checkPlan({ ...DEFAULT_PLAN, ...change }) ?? 'accepted', expected);
  });

test('messages carry a stamp where it is used and fits', () => {
  assert.equal(stamps(DEFAULT_PLAN), false);
  assert.equal(stamps({ ...DEFAULT_PLAN, verify: true }), true);
  assert.equal(stamps({ ...DEFAULT_PLAN, rate: 10 }), true);
  assert.equal(stamps({ ...DEFAULT_PLAN, rate: 10, messageBytes: 15 }), false);
  assert.equal(stamps({ ...DEFAULT_PLAN, rate: 10, consumers: 0 }), false);
});
