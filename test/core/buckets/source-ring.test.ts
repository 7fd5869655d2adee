// The ring of sources against a plain list: who is next, who joins and leaves, by priority.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlotLinks } from '../../../src/core/buckets/slot-links.ts';
import { SourceRing } from '../../../src/core/buckets/source-ring.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/buckets/source-ring.test');

test('slots in several rings stand in each as in a list of each priority', () => {
  const random = new Random(seed);
  const links = new SlotLinks();
  const rings = [0, 1, 2].map((low) => {
    const ring = new SourceRing(low, 0, links);
    ring.order = low === 2 ? 'strict' : 'fair';
    const lists: number[][] = Array.from({ length: 64 }, () => []);
    return { ring, lists };
  });
  const where = new Map<number, { at: number; priority: number }>();
  for (let step = 0; step < 20_000; step++) {
    const slot = 1 + random.below(12_000);
    const known = where.get(slot);
    if (known === undefined) {
      const at = random.below(3);
      const { ring, lists } = rings[at]!;
      const priority = ring.order === 'strict' ? random.below(64) : 0;
      const isFirst = random.chance(0.2);
      ring.add(slot, priority, isFirst);
      if (isFirst) lists[priority]!.unshift(slot);
      else lists[priority]!.push(slot);
      where.set(slot, { at, priority });
    } else if (random.chance(0.6)) {
      const { ring, lists } = rings[known.at]!;
      ring.remove(slot, known.priority);
      lists[known.priority] = lists[known.priority]!.filter((each) => each !== slot);
      where.delete(slot);
    }
    const { ring, lists } = rings[random.below(3)]!;
    const top = lists.findLastIndex((list) => list.length > 0);
    if (top >= 0 && random.chance(0.5)) {
      ring.left = 1;
      ring.rotate();
      assert.equal(ring.left, 0, 'its turn is over');
      lists[top]!.push(lists[top]!.shift()!);
    }
    assert.equal(ring.first, top < 0 ? 0 : lists[top]![0]);
    assert.equal(ring.count, lists.flat().length);
    for (const priority of [0, 31, 32, 63])
      assert.equal(ring.hasAbove(priority), top > priority, `above ${priority}`);
  }
  for (const { ring, lists } of rings)
    for (let at = 0; at < 500 && lists.flat().length > 0; at++) {
      const top = lists.findLastIndex((list) => list.length > 0);
      const slot = lists[top]!.shift()!;
      assert.equal(ring.first, slot);
      ring.remove(slot, top);
      assert.equal(links.has(slot), false);
    }
});

test('whoever comes first ends the turn of another, and so does one that leaves', () => {
  const ring = new SourceRing(1, 0, new SlotLinks());
  ring.add(5, 0, false);
  ring.add(6, 0, false);
  ring.left = 3;
  ring.remove(6, 0);
  assert.equal(ring.left, 3, 'others go on');
  ring.add(7, 0, true);
  assert.deepEqual([ring.first, ring.left], [7, 0]);
  ring.left = 2;
  ring.remove(7, 0);
  assert.deepEqual([ring.first, ring.left], [5, 0]);
  ring.clear();
  assert.deepEqual([ring.first, ring.count], [0, 0]);
});

test('at most half of the consumers hold suspects, and at least one', () => {
  const ring = new SourceRing(1, 0, new SlotLinks());
  assert.ok(ring.mayBeApart(1));
  ring.delivered(2);
  assert.deepEqual(
    [ring.mayBeApart(1), ring.mayBeApart(3), ring.mayBeApart(4)],
    [false, false, true],
  );
  ring.delivered(0);
  assert.equal(ring.wasApart, false);
  ring.returned();
  ring.returned();
  assert.equal(ring.holders, 0);
});
