// Bits in words, against a plain list of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstZero, ones, onesBetween } from '../../../src/core/collections/bits.ts';
import { Random, seedOf } from '../../support/random.ts';

const random = new Random(seedOf('core/collections/bits.test'));
const WORDS = 5;
const BITS = WORDS * 32;

test('bits are counted and found as in a list', () => {
  for (let round = 0; round < 500; round++) {
    const share = random.below(5) / 4; // all, none, or some
    const list = Array.from({ length: BITS }, () => random.chance(share));
    const bits = new Uint32Array(WORDS);
    for (const [at, isSet] of list.entries()) if (isSet) bits[at >>> 5]! |= 1 << (at & 31);
    const from = random.below(BITS + 1);
    const to = from + random.below(BITS + 1 - from);
    assert.equal(onesBetween(bits, from, to), list.slice(from, to).filter(Boolean).length);
    assert.equal(ones(bits[0]!), list.slice(0, 32).filter(Boolean).length);
    const zero = list.indexOf(false, from);
    assert.equal(firstZero(bits, from, BITS), zero === -1 ? BITS : zero);
  }
});
