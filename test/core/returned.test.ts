// The heap of entries that came back, against a sorted array.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Entries } from '../../src/core/entries.ts';
import { Returned } from '../../src/core/returned.ts';
import { Random, seedOf } from '../support/random.ts';

const seed = seedOf('core/returned.test');

test('the oldest first, in any order of pushes and pops', () => {
  const random = new Random(seed);
  const entries = new Entries();
  const returned = new Returned(entries);
  const model: number[] = [];
  for (let step = 0; step < 20_000; step++) {
    if (model.length > 0 && random.chance(0.48)) {
      model.sort((a, b) => a - b);
      const entry = returned.peek();
      assert.equal(entries.sequence(entry), model.shift());
      returned.pop();
      entries.free(entry);
    } else {
      const sequence = random.below(1_000_000) + (random.chance(0.1) ? 2 ** 50 : 0);
      returned.push(entries.add(0, sequence, 0, 1, 1, 0));
      model.push(sequence);
    }
    assert.equal(returned.size, model.length);
  }
  while (returned.size > 0) returned.pop();
  assert.equal(returned.peek(), 0);
});
