// A page of ids: each is found at its place whatever its tag, and goes on into pages made of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ID_WORDS,
  IdPage,
  KEPT,
  packWindow,
  SLOT_BYTES,
  SLOT_WORDS,
  TIME,
  untilMs,
} from '../../../src/core/collections/id-page.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/collections/id-page.test');

/** Adds the id at `at` as published at `timeMs`, for a second. */
function add(page: IdPage, ids: Uint32Array, at: number, timeMs: number): void {
  const free = page.find(ids, at);
  assert.ok(free < 0, 'it is there');
  page.fill(-1 - free, ids, at);
  page.words[-1 - free + TIME] = timeMs;
  page.words[-1 - free + KEPT] = packWindow(1);
  page.firstMs = Math.min(page.firstMs, timeMs + 1000);
}

/** Ids of which many have the same tag, or would stand at the same place. */
function crowded(count: number): Uint32Array {
  const random = new Random(seed);
  const ids = new Uint32Array(count * ID_WORDS);
  for (let i = 0; i < count; i++)
    ids.set([random.next(), random.below(3) * 0x5555_0000, random.below(4) << 7, i], i * ID_WORDS);
  return ids;
}

const finds = (page: IdPage, ids: Uint32Array, i: number) => page.find(ids, i * ID_WORDS) >= 0;
const all = (ids: Uint32Array) => Array.from({ length: ids.length / ID_WORDS }, (_, i) => i);

test('what is there is found, and nothing else, until a page is full', () => {
  const page = new IdPage(0, 100);
  const ids = crowded(100);
  for (const i of all(ids)) {
    if (page.isFull) break;
    assert.ok(!finds(page, ids, i));
    add(page, ids, i * ID_WORDS, i);
    for (let j = 0; j <= i; j++) assert.ok(finds(page, ids, j), `${j} of ${i}`);
  }
  assert.deepEqual([page.count, page.bytes], [90, 100 * SLOT_BYTES]);
});

test('two pages of one have its ids by the first bit that they had not in common', () => {
  const page = new IdPage(0, 100);
  const ids = crowded(80);
  for (const i of all(ids)) add(page, ids, i * ID_WORDS, i);
  const [zero, one] = page.split();
  assert.deepEqual([zero.count + one.count, zero.depth, one.depth], [80, 1, 1]);
  for (const i of all(ids)) {
    const isOne = ids[i * ID_WORDS]! >= 2 ** 31;
    assert.deepEqual([finds(zero, ids, i), finds(one, ids, i)], [!isOne, isOne]);
  }
  assert.deepEqual([zero.firstMs, one.firstMs], [1000, 1000]);
  const firsts = [...zero.inOrder(), ...one.inOrder()].filter((_, i) => i % SLOT_WORDS === 0);
  assert.deepEqual(
    firsts,
    [...all(ids).map((i) => ids[i * ID_WORDS]!)].sort((a, b) => a - b),
  );
});

test('a page that is made anew has what is not over', () => {
  const page = new IdPage(0, 100);
  const ids = crowded(80);
  for (const i of all(ids)) add(page, ids, i * ID_WORDS, i);
  const larger = new IdPage(0, 140);
  larger.renew(page, 999);
  assert.deepEqual([larger.count, larger.firstMs], [80, 1000]);
  const later = new IdPage(0, 140);
  later.renew(page, 1040);
  assert.deepEqual([later.count, later.firstMs], [39, 1041]);
  for (const i of all(ids)) {
    assert.ok(finds(larger, ids, i));
    assert.equal(finds(later, ids, i), i > 40);
    const place = larger.find(ids, i * ID_WORDS);
    assert.equal(untilMs(larger.words, place), i + 1000);
  }
});
