// The list of paused buckets as a file: what was written is read back, also after an editor had it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Paused } from '../../../src/core/delivery/paused.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/delivery/paused.test');

test('what was written is read back, with a byte order mark in front, too', () => {
  const paused = new Paused();
  paused.set('7', true);
  paused.set('18446744073709551615', true);
  for (const text of [paused.text(), `\ufeff${paused.text().replace('\n', '\r\n')}`]) {
    const restored = new Paused();
    restored.restore(text);
    assert.equal(restored.text(), paused.text());
  }
});

test('anything else is not such a file', () => {
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{"version":2,"paused":[]}',
    '{"version":1,"paused":["x"]}',
  ])
    assert.throws(() => new Paused().restore(text), SyntaxError, text);
});

test(`by number and by its two words it says the same (seed ${seed})`, () => {
  const random = new Random(seed);
  const word = () => [0, 1, 2, 0x8000_0000, 0xffff_ffff][random.below(5)]!;
  const idOf = (low: number, high: number) => String((BigInt(high) << 32n) | BigInt(low));
  const paused = new Paused();
  const restored = new Paused();
  for (let step = 0; step < 2000; step++) {
    const [low, high] = [word(), word()];
    const change = paused.set(idOf(low, high), random.chance(0.5));
    if (random.chance(0.9)) paused.settle(change, random.chance(0.7));
    const [otherLow, otherHigh] = [word(), word()];
    const other = idOf(otherLow, otherHigh);
    assert.equal(paused.holds(otherLow, otherHigh), paused.has(other));
  }
  restored.restore(paused.text());
  for (const low of [0, 1, 2, 0x8000_0000, 0xffff_ffff])
    for (const high of [0, 1, 2, 0x8000_0000, 0xffff_ffff])
      assert.equal(restored.holds(low, high), paused.has(idOf(low, high)));
});
