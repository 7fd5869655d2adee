// Runs that are searched often: all entries come into memory, and what is found there at once is
// what a search on disk finds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { indexName } from '../../../src/log/index/index-file.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  BASE,
  bucket,
  type Entry,
  entriesOf,
  expected,
  IDENTITY,
  movedTo,
  World,
} from '../run-harness.ts';

const random = new Random(seedOf('log/index/searches.test'));
const OFTEN = 40;

function now(world: World, number: number, sequence = 0, at = 0, most = 1e9, identity = IDENTITY) {
  return world.runs.findNow(BASE, identity, { ...bucket(number), kind: 0, sequence, at }, at, most);
}

/** Searches a run so often that all of it comes into memory. */
function warm(world: World): World {
  for (let i = 0; i < OFTEN && now(world, 0) === undefined; i++) world.find(0);
  return world;
}

// Everything of a bucket that is found at once, asked for piece by piece.
function allNow(world: World, number: number, sequence: number, most: number) {
  const all = [];
  for (let at = 0; ; ) {
    const answer = now(world, number, sequence, at, most);
    assert.ok(answer !== undefined && answer.found.length <= most);
    all.push(...answer.found);
    if (answer.next === undefined) return all;
    assert.equal(answer.found.length, most, 'there may be more');
    at = answer.next;
  }
}

function assertNow(world: World, entries: readonly Entry[], buckets: number): void {
  for (let i = 0; i < 200; i++) {
    const number = random.below(buckets + 1);
    const all = expected(entries, number);
    const at = all[random.below(all.length + 1)];
    const sequence = Math.max(0, (at?.sequence ?? 0) + random.below(4) - 1);
    const most = random.chance(0.5) ? 1e9 : 1 + random.below(1 + (all.length >> 2));
    const wanted = expected(entries, number, sequence);
    assert.deepEqual(allNow(world, number, sequence, most), wanted);
    assert.deepEqual(world.findAll(number, sequence, most).found, wanted);
  }
}

test('nothing is at hand of a run until it was searched often; then everything is', () => {
  for (const [count, buckets] of [
    [300, 3],
    [9000, 1],
    [9000, 9000],
    [40_000, 500],
  ] as const) {
    const entries = entriesOf(random, count, () => random.below(buckets));
    const world = new World().write(entries);
    assert.equal(now(world, 1), undefined);
    world.find(1);
    assert.equal(now(world, 1), undefined, 'one search is no reason');
    assertNow(warm(world), entries, buckets);
    const reads = world.files.count('read');
    world.find(0);
    assert.equal(world.files.count('read'), reads, 'who asks later reads nothing, either');
    world.close();
    assert.equal(now(world, 1), undefined, 'closed');
  }
});

test('sequences that do not ascend are found all the same', () => {
  const entries = entriesOf(random, 500, (i) => i % 3);
  const numbers = entries.map(({ sequence }) => sequence).reverse();
  const mixed = entries.map((entry, i) => ({ ...entry, sequence: numbers[i]! }));
  assertNow(warm(new World().write(mixed)), mixed, 3);
});

test('searches wait while all is read, whatever ends first, and find what there is', () => {
  for (let round = 0; round < 10; round++) {
    const entries = entriesOf(random, 20_000, (i) => i % 700);
    const world = new World().write(entries);
    let waited = 0;
    const asked = Array.from({ length: 300 }, () => {
      const number = random.below(701);
      const sequence = entries[random.below(entries.length)]!.sequence;
      return { number, sequence, answers: world.beginFind(number, sequence) };
    });
    while (world.step(random)) if (world.files.pending.length === 1) waited++;
    assert.ok(waited > 0 && now(world, 1) !== undefined, 'it was read');
    for (const { number, sequence, answers } of asked) {
      assert.equal(answers.length, 1);
      assert.deepEqual(answers[0]!.found, expected(entries, number, sequence));
    }
    assert.ok(world.files.count('read') < asked.length, 'most of them read nothing');
    world.close();
  }
});

test('a run of which a part is damaged is never whole; the rest of it is found as before', () => {
  const entries = entriesOf(random, 3000, (i) => i % 1000);
  const { files } = new World().write(entries);
  const image = files.image(indexName(BASE));
  const damaged = new MemoryFiles();
  image[image.length - 1]! ^= 1;
  damaged.put(indexName(BASE), image);
  const world = new World(damaged).open();
  const bad = Array.from({ length: 1000 }, (_, number) => number).filter(
    (number) => world.find(number).failure !== undefined,
  );
  assert.ok(bad.length > 0 && bad.length < 500, 'those of one page');
  assert.equal(now(world, 1), undefined);
  const good = [0, 1, 2, 3, 4, 5, 6, 7].filter((number) => !bad.includes(number));
  for (let i = 0; i < 10 * OFTEN; i++) {
    const number = good[random.below(good.length)]!;
    assert.deepEqual(world.find(number).found, expected(entries, number));
  }
  assert.equal(now(world, good[0]!), undefined);
  world.close();
});

test('nothing is at hand of a run that was dropped, written anew, or is of another state', () => {
  const entries = entriesOf(random, 300, (i) => i % 9);
  const world = warm(new World().write(entries));
  const { next } = now(world, 1, 0, 0, 1)!;
  assert.ok(next !== undefined && now(world, 1, 0, next) !== undefined);
  assert.equal(now(world, 1, 0, 0, 1, IDENTITY + 1), undefined, 'another state of the segment');
  assert.ok(world.runs.tableBytes > 300 * 28);
  world.write(entries);
  assert.equal(now(world, 1), undefined);
  warm(world);
  assert.ok(now(world, 1) !== undefined);
  assert.equal(now(world, 1, 0, next), undefined, 'a place in the file that was there before');
  world.runs.drop(BASE);
  assert.equal(now(world, 1), undefined);
  assert.equal(world.runs.tableBytes, 0);
  world.settle();
  world.close();
});

test('runs that are searched in turn do not take more memory than may be', () => {
  const entries = entriesOf(random, 300, (i) => i % 9);
  const world = new World(new MemoryFiles(), { tableBytesMax: 300 * 28 + 200 }).open();
  const bases = [0, 1, 2].map((n) => BASE + n * 2 ** 26);
  for (const base of bases) world.write(movedTo(base, entries), base);
  let most = 0;
  let whole = 0;
  for (let i = 0; i < 300; i++) {
    const base = bases[Math.floor(i / 50) % 3]!;
    const number = random.below(10);
    const answer = world.find(number, 0, 0, 1e9, base);
    assert.deepEqual(answer.found, expected(movedTo(base, entries), number));
    most = Math.max(most, world.runs.tableBytes);
    if (world.runs.tableBytes > 300 * 28) whole++;
  }
  assert.ok(whole > 100 && most <= 300 * 28 + 200, `${whole} times, ${most} bytes`);
  world.close();
});
