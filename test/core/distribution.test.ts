// The histogram against exact percentiles.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Distribution } from '../../src/core/distribution.ts';
import { Random, seedOf } from '../support/random.ts';

const seed = seedOf('core/distribution.test');

describe('distribution', () => {
  test('percentiles are right to 10 %, mean and max exact', () => {
    const random = new Random(seed);
    for (const scale of [0.01, 1, 1000, 1e9]) {
      const distribution = new Distribution();
      const values = Array.from({ length: 5000 }, () => (scale * (1 + random.below(1e6))) / 1e4);
      for (const value of values) distribution.record(value);
      values.sort((a, b) => a - b);
      for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
        const exact = values[Math.ceil(values.length * share) - 1]!;
        const about = distribution.percentile(share);
        assert.ok(
          about >= exact * 0.999 && about <= exact * 1.1,
          `${share}: ${about} for ${exact}`,
        );
      }
      const summary = distribution.summary();
      assert.equal(summary.count, 5000);
      assert.equal(summary.max, Number(values.at(-1)!.toPrecision(4)));
      const mean = values.reduce((a, b) => a + b) / values.length;
      assert.ok(Math.abs(summary.mean - mean) <= mean * 0.001);
    }
  });

  test('nothing recorded, and values beyond its ends', () => {
    const distribution = new Distribution();
    assert.deepEqual(distribution.summary(), { count: 0, mean: 0, p50: 0, p99: 0, max: 0 });
    for (const value of [0, 1e-9, 1e30]) distribution.record(value);
    assert.equal(distribution.summary().count, 3);
    assert.equal(distribution.summary().max, 1e30);
    assert.ok(distribution.percentile(0.5) <= 0.002);
  });
});
