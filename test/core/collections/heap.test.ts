// The heap against a sorted array, with items that move and go at any place.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Heap } from '../../../src/core/collections/heap.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/collections/heap.test');

interface Item {
  key: number;
  at: number;
}

class Items extends Heap<Item> {
  protected override before(a: Item, b: Item): boolean {
    return a.key < b.key;
  }

  protected override placed(item: Item, at: number): void {
    item.at = at;
  }
}

function assertPlaces(heap: Items): void {
  for (const [at, item] of heap.items.entries()) {
    assert.equal(item.at, at);
    if (at > 0) assert.ok(heap.items[(at - 1) >> 1]!.key <= item.key, `place ${at} is too early`);
  }
}

test('pushes, changes, removals and pops at random leave the least on top', () => {
  const random = new Random(seed);
  const heap = new Items();
  const model = new Set<Item>();
  const least = () => Math.min(...[...model].map(({ key }) => key));
  for (let step = 0; step < 30_000; step++) {
    const what = random.below(model.size > 200 ? 7 : 5);
    const any = heap.items[random.below(Math.max(1, heap.size))];
    if (what <= 2 || any === undefined) {
      const item = { key: random.below(500), at: -1 };
      model.add(item);
      heap.push(item);
    } else if (what === 3) {
      any.key = random.below(500);
      heap.update(any.at);
    } else if (what === 4) {
      const item = { key: random.below(500), at: -1 };
      model.delete(heap.peek()!);
      model.add(item);
      heap.replace(item);
    } else if (what === 5) {
      model.delete(any);
      heap.remove(any.at);
    } else {
      model.delete(heap.peek()!);
      heap.pop();
    }
    assert.equal(heap.size, model.size);
    if (model.size > 0) assert.equal(heap.peek()!.key, least());
    if (step % 50 === 0) assertPlaces(heap);
  }
  assertPlaces(heap);
});

test('an empty heap has nothing on top, and nothing to take out', () => {
  const heap = new Items();
  assert.equal(heap.peek(), undefined);
  heap.pop();
  assert.equal(heap.size, 0);
  heap.push({ key: 1, at: -1 });
  heap.remove(0);
  assert.equal(heap.peek(), undefined);
});
