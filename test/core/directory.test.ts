// The directory of buckets against a Map.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Directory, hashOf } from '../../src/core/directory.ts';
import { Random, seedOf } from '../support/random.ts';

const seed = seedOf('core/directory.test');
const key = (low: number, high: number) => `${high}:${low}`;

test('random adds, removals and searches do as a Map does', () => {
  for (const hashSeed of [0, 1, -1, 0x7fffffff, seed | 0]) {
    const random = new Random(seed);
    const directory = new Directory(hashSeed);
    const model = new Map<string, { low: number; high: number; slot: number }>();
    // Few distinct words, so that ids share halves and searches run into each other.
    const words = [
      0,
      1,
      2,
      3,
      2 ** 31,
      2 ** 32 - 1,
      ...Array.from({ length: 60 }, () => random.next()),
    ];
    for (let step = 0; step < 20_000; step++) {
      const low = words[random.below(words.length)]!;
      const high = words[random.below(words.length)]!;
      const known = model.get(key(low, high));
      assert.equal(directory.find(low, high), known?.slot ?? 0);
      if (known === undefined) {
        const slot = step + 1;
        directory.add(low, high, slot);
        model.set(key(low, high), { low, high, slot });
      } else if (random.chance(0.6)) {
        directory.remove(low, high);
        model.delete(key(low, high));
      }
      assert.equal(directory.count, model.size);
    }
    for (const { low, high, slot } of model.values()) assert.equal(directory.find(low, high), slot);
  }
});

test('grows and shrinks, and never loses a bucket', () => {
  const directory = new Directory(7);
  const count = 40_000;
  for (let i = 0; i < count; i++) directory.add(i, i % 3, i + 1);
  for (let i = 0; i < count; i++) assert.equal(directory.find(i, i % 3), i + 1);
  const random = new Random(seed);
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  for (const [n, i] of order.entries()) {
    directory.remove(i, i % 3);
    if (n % 1000 !== 0) continue;
    for (const left of order.slice(n + 1, n + 500))
      assert.equal(directory.find(left, left % 3), left + 1);
    for (const gone of order.slice(Math.max(0, n - 500), n + 1))
      assert.equal(directory.find(gone, gone % 3), 0);
  }
  assert.equal(directory.count, 0);
});

describe('hash', () => {
  // 65,536 ids chosen without knowing the seed must not meet in few hashes. Of random ones, about
  // one in 131,072 would share its hash with another.
  const top = (i: number) => (i << 24) >>> 0;
  const sets: [string, (i: number) => [number, number]][] = [
    ['in a row', (i) => [i, 0]],
    ['in a row of high halves', (i) => [0, i]],
    ['both halves the same', (i) => [i, i]],
    ['multiples of a power of two', (i) => [(i << 16) >>> 0, 0]],
    ['mirrored', (i) => [i, (2 ** 32 - i) >>> 0]],
    ['differing in the top bits of both halves', (i) => [top(i & 255), top(i >>> 8)]],
    ['differing in the low bits of both halves', (i) => [i & 255, i >>> 8]],
  ];
  for (const [name, set] of sets) {
    test(`ids ${name}`, () => {
      for (const hashSeed of [0, 1, -1, seed | 0]) {
        const hashes = new Set<number>();
        const cells = new Map<number, number>();
        for (let i = 0; i < 65_536; i++) {
          const h = hashOf(...set(i), hashSeed);
          hashes.add(h);
          cells.set(h & 0xffff, (cells.get(h & 0xffff) ?? 0) + 1);
        }
        assert.ok(hashes.size > 65_500, `${hashes.size} hashes under seed ${hashSeed}`);
        assert.ok(Math.max(...cells.values()) < 24, 'many meet in one cell');
      }
    });
  }

  test('another seed, another order', () => {
    const cells = (hashSeed: number) =>
      Array.from({ length: 100 }, (_, i) => hashOf(i, 0, hashSeed) & 0xffff);
    assert.notDeepEqual(cells(1), cells(2));
  });
});
