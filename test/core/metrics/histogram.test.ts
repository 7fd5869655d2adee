// The histogram against exact percentiles.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { POWERS } from '../../../src/contract/snapshot.ts';
import { Histogram } from '../../../src/core/metrics/histogram.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/metrics/histogram.test');

describe('distribution', () => {
  test('percentiles are right to 10 %, mean and max exact', () => {
    const random = new Random(seed);
    for (const scale of [0.01, 1, 1000, 1e9]) {
      const distribution = new Histogram();
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

  test('counts up to a power of two are exact, its own value with them', () => {
    const random = new Random(seed);
    for (const powers of Object.values(POWERS)) {
      const distribution = new Histogram();
      const bounds = powers.map((power) => 2 ** power);
      const values = Array.from(
        { length: 5000 },
        () => 2 ** (powers[0]! + random.below(3e6) / 1e5),
      );
      values.push(...bounds, ...bounds.map((bound) => bound * 1.001), 1e-9, 1e30);
      for (const value of values) distribution.record(value);
      const exact = bounds.map((bound) => values.filter((value) => value <= bound).length);
      assert.deepEqual(distribution.upTo(powers), exact);
      assert.equal(distribution.summary().count, values.length);
    }
  });

  test('a value that came several times counts as often', () => {
    const [once, each] = [new Histogram(), new Histogram()];
    for (const [value, times] of [
      [3, 5],
      [0.25, 1],
      [1024, 2],
    ] as const) {
      once.record(value, times);
      for (let i = 0; i < times; i++) each.record(value);
    }
    assert.deepEqual(once.summary(), each.summary());
    assert.equal(once.summary().sum, 2063.25, 'exact, never rounded');
    assert.deepEqual(once.upTo(POWERS.ms), each.upTo(POWERS.ms));
  });

  test('nothing recorded, and values beyond its ends', () => {
    const distribution = new Histogram();
    assert.deepEqual(distribution.summary(), {
      count: 0,
      sum: 0,
      mean: 0,
      p50: 0,
      p99: 0,
      max: 0,
    });
    for (const value of [0, 1e-9, 1e30]) distribution.record(value);
    assert.equal(distribution.summary().count, 3);
    assert.equal(distribution.summary().max, 1e30);
    assert.ok(distribution.percentile(0.5) <= 0.002);
  });
});
