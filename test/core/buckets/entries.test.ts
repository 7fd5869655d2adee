// Entries against plain objects.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BugError } from '../../../src/core/assert.ts';
import { Entries } from '../../../src/core/buckets/entries.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/buckets/entries.test');
const FIELDS = [
  'bucketLow',
  'bucketHigh',
  'position',
  'sequence',
  'count',
  'bodyBytes',
  'attempts',
  'kind',
] as const;
type Fields = Record<(typeof FIELDS)[number], number>;

const plain = (entries: Entries, n: number): number => entries.add(n, 0, n, n, 1, 1, 0, n);

describe('entries', () => {
  test('keep every field of every entry, over many pages, until it is released', () => {
    const random = new Random(seed);
    const entries = new Entries();
    const model = new Map<number, Fields>();
    const check = (entry: number) => {
      for (const field of FIELDS) assert.equal(entries[field](entry), model.get(entry)![field]);
    };
    for (let step = 0; step < 30_000; step++) {
      if (random.chance(0.001)) {
        const to = entries.from + random.below(entries.end - entries.from + 1);
        for (let entry = entries.from; entry < to; entry++) {
          check(entry);
          model.delete(entry);
        }
        entries.release(to);
        assert.equal(entries.from, to);
        if (to > 1) assert.throws(() => entries.position(to - 1), BugError);
        continue;
      }
      const fields: Fields = {
        bucketLow: random.next(),
        bucketHigh: random.next(),
        position: random.next() * 2 ** 20,
        sequence: 2 ** 52 + random.next(),
        count: random.next(),
        bodyBytes: random.next(),
        attempts: random.below(65_536),
        kind: random.below(3),
      };
      const { bucketLow, bucketHigh, position, sequence, count, bodyBytes, attempts, kind } =
        fields;
      const end = entries.end;
      const entry = entries.add(
        bucketLow,
        bucketHigh,
        position,
        sequence,
        count,
        bodyBytes,
        attempts,
        sequence % 2 ** 31,
        kind,
      );
      assert.equal(entry, end);
      assert.ok(entry > 0, '0 means none');
      assert.equal(entries.next(entry), 0);
      model.set(entry, fields);
    }
    assert.equal(entries.end - entries.from, model.size);
    for (const entry of model.keys()) check(entry);
  });

  test('attempts beyond what is counted stop there, and leave the kind alone', () => {
    const entries = new Entries();
    const [one, other] = [65_535, 2 ** 32 - 1].map((attempts) =>
      entries.add(1, 0, 1, 1, 1, 1, attempts, 1, 2),
    );
    for (const entry of [one!, other!])
      assert.deepEqual([entries.attempts(entry), entries.kind(entry)], [65_535, 2]);
  });

  test('links lead over pages, also when those before are gone', () => {
    const entries = new Entries();
    const made = Array.from({ length: 20_000 }, (_, n) => plain(entries, n));
    for (let i = 3; i < made.length; i += 3) entries.link(made[i - 3]!, made[i]!);
    entries.release(made[9000]!);
    let at = made[9000]!;
    for (let i = 9000; i < made.length; i += 3) {
      assert.equal(at, made[i]);
      at = entries.next(at);
    }
    assert.equal(at, 0);
  });

  test('a page that is used again says nothing of what it held', () => {
    const entries = new Entries();
    for (let round = 0; round < 4; round++) {
      const made = Array.from({ length: 5000 }, (_, n) => plain(entries, n));
      for (let i = 1; i < made.length; i++) entries.link(made[i - 1]!, made[i]!);
      assert.equal(entries.next(made.at(-1)!), 0);
      entries.release(entries.end);
      assert.equal(entries.from, entries.end);
    }
  });

  test('a walk gives slots and next ones over pages, and a reading what is not taken', () => {
    const entries = new Entries();
    for (let n = 1; n <= 10_000; n++) entries.add(n, 0, n * 8, n * 10, 9, n * 3, n % 5, n * 2);
    for (let entry = 1; entry + 3 < entries.end; entry += 3) entries.link(entry, entry + 3);
    entries.release(100);
    let at = 3000;
    entries.each(3000, 9500, (entry, slot, next) => {
      assert.equal(entry, at++);
      assert.deepEqual([slot, next], [entry * 2, entries.next(entry)]);
    });
    assert.equal(at, 9500);
    assert.throws(() => entries.each(99, 100, () => {}), BugError);
    const part = {
      slot: 0,
      position: 0,
      sequence: 0,
      first: 0,
      count: 0,
      messages: 0,
      bodyBytes: 0,
      attempts: 0,
      level: 0,
    };
    entries.read(5001, 4, part);
    const expected = { position: 40_008, sequence: 50_014, first: 4, count: 5, messages: 9 };
    assert.deepEqual(part, { slot: 0, ...expected, bodyBytes: 15_003, attempts: 1, level: 0 });
  });

  test('a source gives the entries of its segment, and only these', () => {
    const entries = new Entries();
    for (let n = 0; n < 6000; n++)
      entries.add(n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, 0, n % 3);
    const source = entries.source(4000, 5000);
    assert.equal(source.count, 1000);
    for (const i of [0, 95, 96, 999]) {
      const n = 3999 + i;
      assert.deepEqual(
        [
          source.lines.bucketLow(i),
          source.lines.bucketHigh(i),
          source.position(i),
          source.sequence(i),
          source.messages(i),
          source.bodyBytes(i),
          source.attempts(i),
          source.lines.kind(i),
        ],
        [n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n % 3],
      );
    }
  });

  test('the order of releases holds', () => {
    const entries = new Entries();
    for (let n = 0; n < 10; n++) plain(entries, n);
    entries.release(5);
    assert.throws(() => entries.release(4), BugError);
    assert.throws(() => entries.release(entries.end + 1), BugError);
    assert.throws(() => entries.sequence(entries.end), BugError);
  });
});
