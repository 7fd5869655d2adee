// Memory of incomplete messages: what is kept is given back, and used again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Budget } from '../../../src/core/memory/budget.ts';
import { BufferPool, PartialInput } from '../../../src/core/memory/partial-input.ts';
import { Random, seedOf } from '../../support/random.ts';

const random = new Random(seedOf('core/memory/partial-input.test'));
const MIB = 1024 * 1024;

test('what was appended in any pieces comes back in one, and the budget is even', () => {
  const budget = new Budget(64 * MIB);
  const pool = new BufferPool(budget.bytesMax);
  for (let round = 0; round < 200; round++) {
    const carry = new PartialInput(budget, pool);
    const parts: Uint8Array[] = [];
    const most = 2 ** random.below(19);
    for (let left = random.below(6); left > 0; left--) {
      const part = Uint8Array.from({ length: 1 + random.below(most) }, () => random.below(256));
      parts.push(part);
      carry.append(part);
      assert.equal(budget.bytes, carry.heldBytes);
    }
    const all = Buffer.concat(parts);
    assert.equal(carry.bytes, all.length);
    const into = new Uint8Array(all.length + 7);
    carry.moveTo(into, 7);
    assert.deepEqual(Buffer.from(into.subarray(7)), all);
    assert.equal(budget.bytes, 0);
    assert.equal(carry.heldBytes, 0);
  }
});

test('small arrays are used again, for any number of bytes that they hold', () => {
  const pool = new BufferPool(MIB);
  const array = pool.takeSmall(300);
  assert.equal(array.length, 512);
  pool.giveSmall(array);
  assert.equal(pool.takeSmall(257), array);
  assert.notEqual(pool.takeSmall(512), array);
  assert.equal(pool.takeSmall(1).length, 256);
  assert.equal(pool.takeSmall(32_768).length, 32_768);
});
