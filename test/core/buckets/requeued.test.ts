// The heap of parts that came back, against a sorted array.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Requeued } from '../../../src/core/buckets/requeued.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/buckets/requeued.test');

test('the oldest first, in any order of pushes and pops', () => {
  const random = new Random(seed);
  const returned = new Requeued();
  const model: number[] = [];
  for (let step = 0; step < 20_000; step++) {
    if (model.length > 0 && random.chance(0.48)) {
      model.sort((a, b) => a - b);
      assert.equal(returned.peek()!.sequence, model.shift());
      returned.pop();
    } else {
      const sequence = random.below(1_000_000) + (random.chance(0.1) ? 2 ** 50 : 0);
      returned.push({
        slot: 1,
        position: 0,
        sequence,
        first: 0,
        count: 1,
        messages: 1,
        bodyBytes: 1,
        attempts: 0,
        level: 0,
      });
      model.push(sequence);
    }
    assert.equal(returned.size, model.length);
  }
  const sequences = returned.slices.map(({ sequence }) => sequence);
  assert.deepEqual(
    sequences.sort((a, b) => a - b),
    model.sort((a, b) => a - b),
  );
  while (returned.size > 0) returned.pop();
  assert.equal(returned.peek(), undefined);
});
