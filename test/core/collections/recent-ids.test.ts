// Ids that are known for a time, against a plain map; told apart by all of their words.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ID_WORDS, packWindow } from '../../../src/core/collections/id-page.ts';
import { RecentIds } from '../../../src/core/collections/recent-ids.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/collections/recent-ids.test');
const TIME_MS = 1_700_000_000_000;
const HOUR_S = 3600;

const id = (...words: number[]): Uint32Array =>
  Uint32Array.from([...words, 0, 0, 0, 0].slice(0, 4));

describe('one id', () => {
  test('is known within the window, to the ms', () => {
    const ids = new RecentIds();
    ids.add(id(1, 2, 3, 4), 0, TIME_MS, 5);
    const has = (nowMs: number, ms = 5000) => ids.has(id(1, 2, 3, 4), 0, nowMs, ms);
    assert.deepEqual([has(TIME_MS), has(TIME_MS + 4999), has(TIME_MS + 5000)], [true, true, false]);
    assert.ok(!has(TIME_MS + 2000, 2000), 'the window is shorter by now');
    assert.ok(!has(TIME_MS + 6000, 60_000), 'it was not kept for longer');
    assert.ok(has(TIME_MS - 86_400_000), 'the clock went back');
  });

  test('is told by all of its words', () => {
    const ids = new RecentIds();
    ids.add(id(1, 2, 3, 4), 0, TIME_MS, HOUR_S);
    for (let word = 0; word < ID_WORDS; word++) {
      const other = id(1, 2, 3, 4);
      other[word]! ^= 1 << 31;
      assert.ok(!ids.has(other, 0, TIME_MS, 1000), `word ${word}`);
      ids.add(other, 0, TIME_MS, HOUR_S);
    }
    assert.equal(ids.count, 5);
    assert.ok(!new RecentIds().has(id(), 0, TIME_MS, 1000), 'zeros are an id as well');
  });

  test('that comes again when it is over counts from then on', () => {
    const ids = new RecentIds();
    ids.add(id(7), 0, TIME_MS, 1);
    ids.add(id(7), 0, TIME_MS + 2000, 1);
    assert.equal(ids.count, 1);
    assert.ok(ids.has(id(7), 0, TIME_MS + 2500, 1000));
    assert.ok(ids.sweep(TIME_MS + 2500, 10));
    assert.ok(!ids.sweep(TIME_MS + 3000, 10));
    assert.equal(ids.count, 0);
  });
});

test('a window is kept for no less than it is, and hardly more', () => {
  const kept = (seconds: number) => {
    const ids = new RecentIds();
    ids.add(id(1), 0, 0, seconds);
    const has = (at: number) => ids.has(id(1), 0, at * 1000, Number.POSITIVE_INFINITY);
    return has(seconds * (1 + 2 ** -14)) ? 'too long' : has(seconds - 0.001);
  };
  for (const seconds of [1, 59, 3600, 65_535, 65_537, 2_592_000, 315_360_000, 2 ** 32 - 1])
    assert.equal(kept(seconds), true, `${seconds} s`);
  assert.ok(packWindow(0) > 0);
  assert.ok(packWindow(2 ** 32 - 1) < 2 ** 21);
});

test('the same as a plain map, while it grows, is cleaned and becomes small again', () => {
  const random = new Random(seed);
  const ids = new RecentIds();
  const plain = new Map<string, { words: Uint32Array; untilMs: number; ms: number }>();
  let nowMs = TIME_MS;
  const windows = [1, 60, 700];
  const fresh = () => Uint32Array.from({ length: 4 }, () => random.next());
  for (let i = 0; i < 60_000; i++) {
    nowMs += random.below(20);
    const known = [...(i % 1000 === 0 ? plain.values() : [])];
    for (const { words, untilMs, ms } of known)
      assert.equal(ids.has(words, 0, nowMs, ms), untilMs > nowMs);
    const words = fresh();
    assert.ok(!ids.has(words, 0, nowMs, 1000));
    const seconds = windows[random.below(3)]!;
    ids.add(words, 0, nowMs, seconds);
    plain.set(words.join(), { words, untilMs: nowMs + seconds * 1000, ms: seconds * 1000 });
    if (i % 5000 === 0) ids.sweep(nowMs, 4);
  }
  const left = [...plain.values()].filter(({ untilMs }) => untilMs > nowMs);
  assert.ok(left.length > 10_000 && ids.count >= left.length);
  for (const { words, ms } of left) assert.ok(ids.has(words, 0, nowMs, ms));
  while (ids.sweep(nowMs, 16) && ids.count > left.length);
  assert.equal(ids.count, left.length);
  nowMs += 1e6;
  while (ids.sweep(nowMs, 16));
  assert.deepEqual([ids.count, ids.bytes], [0, new RecentIds().bytes]);
});

test('an id takes 24 to 40 bytes, and growing never takes long', () => {
  const random = new Random(seed);
  const ids = new RecentIds();
  const words = new Uint32Array(ID_WORDS);
  for (let i = 1; i <= 100_000; i++) {
    for (let word = 0; word < ID_WORDS; word++) words[word] = random.next();
    ids.add(words, 0, TIME_MS, HOUR_S);
    if (i < 2000 || i % 1000 > 0) continue;
    const each = ids.bytes / i;
    assert.ok(each >= 24 && each < 40, `${each} bytes for each of ${i}`);
  }
});

test('what is too much has no room, until something is over; it is added all the same', () => {
  const random = new Random(seed);
  const ids = new RecentIds();
  ids.bytesMax = 200_000;
  const words = new Uint32Array(ID_WORDS);
  const fill = () => {
    for (let word = 0; word < ID_WORDS; word++) words[word] = random.next();
    return ids.hasRoom(words, 0, TIME_MS);
  };
  while (fill()) {
    ids.add(words, 0, TIME_MS, 60);
    assert.ok(ids.bytes <= 200_000, `${ids.bytes} bytes of ${ids.count} ids`);
  }
  assert.ok(ids.count > 4500, `${ids.count}`);
  assert.ok(!ids.hasRoom(words, 0, TIME_MS + 59_999));
  const { count } = ids;
  ids.add(words, 0, TIME_MS, 60);
  assert.equal(ids.count, count + 1);
  assert.ok(ids.has(words, 0, TIME_MS, 60_000));
  assert.ok(ids.hasRoom(words, 0, TIME_MS + 60_000));
});
