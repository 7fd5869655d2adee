// The set of held messages against a plain set, and that its memory follows what is held.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Held } from '../../../src/core/buckets/held.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/buckets/held.test');

test('as a plain set does, in any order', () => {
  const random = new Random(seed);
  const held = new Held();
  const plain = new Set<number>();
  for (let step = 0; step < 3000; step++) {
    const first = 2 ** 40 + random.below(5000);
    const count = 1 + random.below(random.chance(0.1) ? 1500 : 20);
    const adds = random.chance(0.5);
    if (adds) held.add(first, count);
    else held.remove(first, count);
    for (let at = first; at < first + count; at++)
      if (adds) plain.add(at);
      else plain.delete(at);
    for (let at = first - 3; at < first + count + 3; at++)
      assert.equal(held.has(at), plain.has(at));
  }
  held.remove(2 ** 40, 10_000);
  for (let at = 0; at < 10_000; at++) assert.equal(held.has(2 ** 40 + at), false);
});

test('memory follows what is held', () => {
  const held = new Held();
  for (let i = 0; i < 10_000; i++) held.add(i * 1000, 1);
  assert.ok(held.bytes > 10_000 * 100 && held.bytes < 10_000 * 300, `${held.bytes} bytes`);
  for (let i = 0; i < 10_000; i++) held.remove(i * 1000, 1);
  assert.ok(held.bytes < 100 * 300, `${held.bytes} bytes are left`);
});
