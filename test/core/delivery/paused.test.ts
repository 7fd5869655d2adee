// Paused buckets, with changes that are in force before they are durable.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Paused } from '../../../src/core/delivery/paused.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/delivery/paused.test');

test(`by number and by its two words it says the same (seed ${seed})`, () => {
  const random = new Random(seed);
  const word = () => [0, 1, 2, 0x8000_0000, 0xffff_ffff][random.below(5)]!;
  const idOf = (low: number, high: number) => String((BigInt(high) << 32n) | BigInt(low));
  const paused = new Paused();
  for (let step = 0; step < 2000; step++) {
    const [low, high] = [word(), word()];
    const change = paused.set(idOf(low, high), random.chance(0.5));
    if (random.chance(0.9)) paused.settle(change, random.chance(0.7));
    const [otherLow, otherHigh] = [word(), word()];
    const other = idOf(otherLow, otherHigh);
    assert.equal(paused.holds(otherLow, otherHigh), paused.has(other));
  }
  const words = [0, 1, 2, 0x8000_0000, 0xffff_ffff];
  const pairs = words.flatMap((low) => words.map((high): [number, number] => [low, high]));
  const restored = new Paused();
  restored.restore(pairs.map(([low, high]) => idOf(low, high)).filter((id) => paused.has(id)));
  for (const [low, high] of pairs)
    assert.equal(restored.holds(low, high), paused.has(idOf(low, high)));
});
