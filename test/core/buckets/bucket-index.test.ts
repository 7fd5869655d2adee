// The directory of buckets against a Map.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BugError } from '../../../src/core/assert.ts';
import { BucketIndex } from '../../../src/core/buckets/bucket-index.ts';
import { BucketTable, KIND_SHIFT } from '../../../src/core/buckets/bucket-table.ts';
import { hashOf } from '../../../src/core/collections/hash.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/buckets/bucket-index.test');
const key = (low: number, high: number, kind = 0) => `${kind}:${high}:${low}`;
const TABLE = 4096;

interface Bucket {
  low: number;
  high: number;
  kind: number;
  slot: number;
}

/** A directory, its columns, and the Map that it has to be like. */
class Both {
  readonly columns = new BucketTable();
  readonly directory: BucketIndex;
  readonly model = new Map<string, Bucket>();
  /** What is in the model, in any order. */
  readonly list: Bucket[] = [];

  constructor(hashSeed: number) {
    this.directory = new BucketIndex(hashSeed, this.columns);
  }

  add(low: number, high: number, kind = 0): void {
    if (this.model.has(key(low, high, kind))) return;
    const slot = this.columns.open(low, high, kind << KIND_SHIFT, 0);
    this.directory.add(low, high, kind, slot);
    const bucket = { low, high, kind, slot };
    this.model.set(key(low, high, kind), bucket);
    this.list.push(bucket);
  }

  remove(index: number): void {
    const { low, high, kind, slot } = this.list[index]!;
    const last = this.list.pop()!;
    if (index < this.list.length) this.list[index] = last;
    this.directory.remove(low, high, kind);
    this.columns.close(slot);
    this.model.delete(key(low, high, kind));
  }

  /** Looks for `times` buckets that are there, and for all where 0 is said. */
  check(random: Random, times = 0): void {
    assert.equal(this.directory.count, this.model.size);
    const some = times === 0 ? this.list : Array.from({ length: times }, () => this.any(random));
    for (const { low, high, kind, slot } of some) {
      assert.equal(this.directory.find(low, high, kind), slot);
      for (const other of [0, 1, 2]) {
        const there = this.model.get(key(high, low, other))?.slot ?? 0;
        assert.equal(this.directory.find(high, low, other), there);
      }
    }
    for (const kind of [0, 1, 2]) {
      const lines = this.list.filter((each) => each.kind === kind);
      assert.equal(this.columns.countOf(kind), lines.length);
    }
  }

  any(random: Random): Bucket {
    return this.list[random.below(this.list.length)]!;
  }
}

test('random adds, removals and searches do as a Map does', () => {
  for (const hashSeed of [0, 1, -1, 0x7fffffff, seed | 0]) {
    const random = new Random(seed);
    const both = new Both(hashSeed);
    const { directory, model } = both;
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
      const kind = random.below(3);
      const known = model.get(key(low, high, kind));
      assert.equal(directory.find(low, high, kind), known?.slot ?? 0);
      if (known === undefined) both.add(low, high, kind);
      else if (random.chance(0.6)) both.remove(both.list.indexOf(known));
      assert.equal(directory.count, model.size);
    }
    both.check(random);
  }
});

test('grows and shrinks many times over, and never loses a bucket', () => {
  const random = new Random(seed + 1);
  const both = new Both(seed | 0);
  const [few, many] = [100, 60_000];
  for (const size of [many, few, 3 * TABLE, 0, many / 2, few]) {
    while (both.list.length !== size) {
      // Mostly in one direction.
      if (both.list.length < size === random.chance(0.9)) both.add(random.next(), random.below(9));
      else if (both.list.length > 0) both.remove(random.below(both.list.length));
      if (random.chance(0.001) && both.list.length > 0) both.check(random, 50);
    }
    both.check(random);
  }
});

test('one bucket that comes or goes moves no more than one table', () => {
  const random = new Random(seed + 2);
  const both = new Both(seed | 0);
  const { directory } = both;
  let [before, most, times] = [0, 0, 0];
  const note = () => {
    most = Math.max(most, directory.visited - before);
    if (directory.visited > before) times++;
    before = directory.visited;
  };
  while (both.list.length < 150_000) {
    both.add(random.next(), random.next());
    note();
  }
  assert.ok(times > 30, 'the tables were not split');
  assert.equal(most, TABLE);
  const full = directory.bytes;
  assert.ok(full < 40 * both.list.length, `${full} bytes`);
  times = 0;
  while (both.list.length > 0) {
    both.remove(random.below(both.list.length));
    note();
  }
  assert.ok(times > 30, 'the tables were not joined');
  // One that is joined may make a half with which it is joined in turn.
  assert.ok(most <= 4 * TABLE, `${most} cells were gone through for one bucket`);
  assert.ok(directory.bytes < full / 10, `${directory.bytes} bytes of ${full} are left`);
});

// The id that has this hash, of all with the same low half: each step of hashOf backwards.
function highOf(low: number, hash: number, hashSeed: number): number {
  const unshift = (h: number, by: number) => {
    let found = h;
    for (let i = 0; i < 3; i++) found = h ^ (found >>> by);
    return found;
  };
  const inverse = (of: number) => {
    let found = of;
    for (let i = 0; i < 5; i++) found = Math.imul(found, 2 - Math.imul(of, found));
    return found;
  };
  let h = Math.imul(low ^ hashSeed, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  let back = Math.imul(unshift(hash, 15), inverse(0x85ebca77)) ^ hashSeed;
  back = Math.imul(unshift(back, 12), inverse(0x297a2d39));
  return (back ^ h ^ (h >>> 13)) >>> 0;
}

test('ids whose hashes are alike are all kept and found', () => {
  const random = new Random(seed + 3);
  const hashSeed = seed | 0;
  // Some with one hash, more with one table.
  for (const hashes of [() => 0x1234abcd, () => (0x5678 << 16) | random.below(0x10000)]) {
    const both = new Both(hashSeed);
    for (let i = 0; i < 1000; i++) both.add(random.next(), random.next());
    while (both.list.length < 6000) {
      const low = random.next();
      const high = highOf(low, hashes(), hashSeed);
      assert.equal(hashOf(low, high, hashSeed) >>> 16, (hashes() >>> 16) & 0xffff);
      both.add(low, high);
    }
    both.check(random);
    while (both.list.length > 10) {
      both.remove(random.below(both.list.length));
      if (both.list.length % 500 === 0) both.check(random, 300);
    }
    both.check(random);
  }
});

test('what is not there cannot be removed', () => {
  const both = new Both(1);
  both.add(1, 2);
  assert.throws(() => both.directory.remove(2, 1, 0), BugError);
  assert.throws(() => both.directory.remove(1, 2, 1), BugError);
  both.remove(0);
  assert.throws(() => both.directory.remove(1, 2, 0), BugError);
  assert.throws(() => both.columns.close(1), BugError);
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
        const tables = new Map<number, number>();
        for (let i = 0; i < 65_536; i++) {
          const h = hashOf(...set(i), hashSeed);
          hashes.add(h);
          cells.set(h & 0xffff, (cells.get(h & 0xffff) ?? 0) + 1);
          tables.set(h >>> 16, (tables.get(h >>> 16) ?? 0) + 1);
        }
        assert.ok(hashes.size > 65_500, `${hashes.size} hashes under seed ${hashSeed}`);
        assert.ok(Math.max(...cells.values()) < 24, 'many meet in one cell');
        assert.ok(Math.max(...tables.values()) < 24, 'many meet in one table');
      }
    });
  }

  test('another seed, another order', () => {
    const cells = (hashSeed: number) =>
      Array.from({ length: 100 }, (_, i) => hashOf(i, 0, hashSeed) & 0xffff);
    assert.notDeepEqual(cells(1), cells(2));
  });
});
