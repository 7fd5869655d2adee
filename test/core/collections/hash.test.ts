// The hash of bucket ids: the one of the indexes on disk, so it never changes, and no choice of ids
// makes many of them meet.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf } from '../../../src/core/collections/hash.ts';

const collisions = (ids: [low: number, high: number][], seed: number) =>
  ids.length - new Set(ids.map(([low, high]) => hashOf(low, high, seed))).size;

test('ids that differ in a few bits, wherever these are, do not meet more than chance lets them', () => {
  const count = 1 << 14;
  const each = (make: (i: number) => [number, number]) =>
    Array.from({ length: count }, (_, i) => make(i));
  const families = [
    each((i) => [i, 0]),
    each((i) => [0, i]),
    each((i) => [i << 18, 0]),
    each((i) => [0, i << 18]),
    each((i) => [(i & 127) << 25, (i >> 7) << 25]),
  ];
  // Of 16,384 ids in 2^32 hashes, 0.03 pairs meet by chance.
  for (const seed of [0, 1, 0x9abcdef1])
    for (const [i, ids] of families.entries())
      assert.ok(collisions(ids, seed) <= 3, `family ${i}, seed ${seed}: ${collisions(ids, seed)}`);
});

test('a seed gives other hashes', () => {
  assert.notEqual(hashOf(1, 2, 3), hashOf(1, 2, 4));
  assert.equal(hashOf(1, 2, 3), hashOf(1, 2, 3));
});
