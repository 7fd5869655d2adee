// Entries against plain objects.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BugError } from '../../src/core/assert.ts';
import { Entries } from '../../src/core/entries.ts';
import { Random, seedOf } from '../support/random.ts';

const seed = seedOf('core/entries.test');
const FIELDS = ['position', 'sequence', 'first', 'count', 'bodyBytes', 'attempts'] as const;

describe('entries', () => {
  test('keep every field of every entry, over many pages', () => {
    const random = new Random(seed);
    const entries = new Entries();
    const model = new Map<number, Record<(typeof FIELDS)[number], number>>();
    for (let step = 0; step < 30_000; step++) {
      if (model.size > 0 && random.chance(0.4)) {
        const [entry] = model.keys();
        for (const field of FIELDS) assert.equal(entries[field](entry!), model.get(entry!)![field]);
        model.delete(entry!);
        entries.free(entry!);
        continue;
      }
      const fields = {
        position: random.next() * 2 ** 20,
        sequence: 2 ** 52 + random.next(),
        first: random.next(),
        count: random.next(),
        bodyBytes: random.next(),
        attempts: random.next(),
      };
      const { position, sequence, first, count, bodyBytes, attempts } = fields;
      const entry = entries.add(position, sequence, first, count, bodyBytes, attempts);
      assert.ok(entry > 0, '0 means none');
      assert.ok(!model.has(entry), 'an entry that is in use was given out');
      assert.equal(entries.next(entry), 0);
      model.set(entry, fields);
    }
    for (const [entry, fields] of model)
      for (const field of FIELDS) assert.equal(entries[field](entry), fields[field]);
  });

  test('shorten and lengthen move the run', () => {
    const entries = new Entries();
    const entry = entries.add(100, 7, 2, 5, 60, 1);
    assert.equal(entries.shorten(entry, 2), 3);
    assert.deepEqual(
      [
        entries.first(entry),
        entries.count(entry),
        entries.sequence(entry),
        entries.position(entry),
      ],
      [4, 3, 9, 100],
    );
    entries.lengthen(entry, 4);
    assert.equal(entries.count(entry), 7);
    assert.throws(() => entries.shorten(entry, 8), BugError);
  });

  test('next links entries of different pages', () => {
    const entries = new Entries();
    const made = Array.from({ length: 10_000 }, (_, i) => entries.add(i, i, 0, 1, 1, 0));
    for (let i = 1; i < made.length; i++) entries.setNext(made[i - 1]!, made[i]!);
    let at = made[0]!;
    for (const entry of made) {
      assert.equal(at, entry);
      at = entries.next(at);
    }
    assert.equal(at, 0);
  });
});
