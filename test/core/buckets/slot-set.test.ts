// Sets of slots, against sets of numbers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlotSet } from '../../../src/core/buckets/slot-set.ts';
import { Random, seedOf } from '../../support/random.ts';

const random = new Random(seedOf('core/buckets/slot-set.test'));

test('random adds and deletes do as a Set does', () => {
  const set = new SlotSet();
  const plain = new Set<number>();
  for (let i = 0; i < 20_000; i++) {
    // Dense at first, then far beyond what it has memory for; 31 and 32 are ends of a word.
    const slot = random.chance(0.9) ? random.below(100) : random.below(2 ** (5 + random.below(16)));
    if (random.chance(0.5)) {
      assert.equal(set.add(slot), !plain.has(slot), `${slot} is added`);
      plain.add(slot);
    } else assert.equal(set.delete(slot), plain.delete(slot), `${slot} is deleted`);
    assert.equal(set.size, plain.size);
    if (i % 5000 !== 4999) continue;
    set.clear();
    plain.clear();
  }
  assert.ok(plain.size < 100 && set.size === 0);
});

test('what it never had memory for is not in it', () => {
  const set = new SlotSet();
  assert.equal(set.delete(2 ** 24), false);
  assert.equal(set.add(2 ** 24), true);
  assert.equal(set.delete(2 ** 24), true);
  assert.equal(set.size, 0);
});
