// Numbers by sequence against a map: every width, whole pages, and what a checkpoint takes over.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PagedNumbers } from '../../../src/core/collections/paged-numbers.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/collections/paged-numbers.test');
const VALUES = [0, 1, 17, 255, 256, 65_535, 65_536, 2 ** 32 - 1];
const END = 5 * 4096;

test('random runs of numbers of every width are as they were set', () => {
  const random = new Random(seed);
  const numbers = new PagedNumbers();
  const model = new Map<number, number>();
  for (let i = 0; i < 300; i++) {
    const whole = random.below(4) === 0;
    const first = whole ? 4096 * random.below(4) : random.below(END - 300);
    const count = whole ? 4096 * (1 + random.below(2)) : random.below(300);
    const value = VALUES[random.below(VALUES.length)]!;
    numbers.set(first, count, value);
    for (let at = first; at < first + count; at++) model.set(at, value);
    if (i % 30 > 0) continue;
    const end = random.below(END);
    const restored = new PagedNumbers();
    for (const [number, page] of numbers.pages(end)) restored.restore(number, page);
    for (let at = 0; at < 6 * 4096; at++) {
      assert.equal(numbers.get(at), model.get(at) ?? 0, `${at}`);
      assert.equal(restored.get(at), at < end ? (model.get(at) ?? 0) : 0, `${at} of ${end}`);
    }
  }
});

test('a page that says one number, or nothing, takes next to no memory, and goes when it is old', () => {
  const numbers = new PagedNumbers();
  numbers.set(0, 3 * 4096, 70_000);
  assert.equal(numbers.bytes, 3 * 64);
  numbers.set(5, 1, 3);
  assert.equal(numbers.bytes, 3 * 64 + 4 * 4096);
  numbers.set(0, 4096, 0);
  assert.equal(numbers.bytes, 2 * 64);
  numbers.forget(2 * 4096);
  assert.deepEqual(
    [4096, 2 * 4096].map((at) => numbers.get(at)),
    [0, 70_000],
  );
});
