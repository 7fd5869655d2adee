// The order of due times, made in slices, against a sorted array.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DueEntry } from '../../../src/core/records/due.ts';
import { DueOrder } from '../../../src/log/index/due-sort.ts';
import { Random, seedOf } from '../../support/random.ts';
import { columnsOf, dueEntries, inDueOrder } from '../due-harness.ts';

const random = new Random(seedOf('log/index/due-sort.test'));

function orderOf(entries: readonly DueEntry[], slice: number): { order: number[]; steps: number } {
  const sort = new DueOrder(columnsOf(entries));
  let steps = 1;
  while (!sort.step(slice)) steps++;
  return { order: [...sort.order], steps };
}

const SPANS: [string, number][] = [
  ['one time', 1],
  ['a second', 1000],
  ['an hour', 3_600_000],
  ['fifty days', 2 ** 32],
];

for (const [name, span] of SPANS)
  test(`entries of ${name} come in order, equals as they came, whatever the slices`, () => {
    for (const count of [0, 1, 2, 100, 5000]) {
      const entries = dueEntries(random, count, span);
      const numbers = new Map(entries.map((entry, i) => [entry, i]));
      const wanted = inDueOrder(entries).map((entry) => numbers.get(entry)!);
      for (const slice of [1 + random.below(50), 1e9])
        assert.deepEqual(orderOf(entries, slice).order, wanted, `${count} entries`);
    }
  });

test('times and sequences of all sizes', () => {
  const entries = dueEntries(random, 3000, 1).map((entry) => ({
    ...entry,
    when: Math.floor((random.next() / 2 ** 32) * 2 ** random.below(49)),
    sequence: Math.floor((random.next() / 2 ** 32) * 2 ** random.below(49)),
  }));
  const { order } = orderOf(entries, 700);
  assert.deepEqual(
    order.map((i) => entries[i]!),
    inDueOrder(entries),
  );
});

test('digits that are all the same cost nothing', () => {
  const entries = dueEntries(random, 4000, 1);
  entries.sort((a, b) => a.sequence - b.sequence);
  assert.equal(orderOf(entries, 4000).steps, 1);
  for (const [i, entry] of entries.entries()) entry.when += i % 2;
  assert.equal(orderOf(entries, 4000).steps, 3);
});
