// What cannot be watched is refused before anything of the table is changed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RULES_BYTES,
  RULES_MASKS_MAX,
  RULES_RANGES_MAX,
  RULES_SLOTS_MAX,
} from '../../../assembly/layout.ts';
import { type WatchedBuckets, writeWatched } from '../../../src/core/fairness/watched-buckets.ts';

const U64_MAX = 2n ** 64n - 1n;
const id = (value: bigint, rule = 1) => ({ mask: U64_MAX, value, rule });
const range = (first: bigint, last: bigint, rule = 1) => ({ first, last, rule });
const many = (count: number) => Array.from({ length: count }, (_, i) => BigInt(i));

const refused: [string, Partial<WatchedBuckets>, RegExp][] = [
  ['17 masks', { masked: many(17).map((i) => ({ mask: i, value: 0n, rule: 1 })) }, /masks/],
  ['more values', { masked: many(8193).map((i) => id(i)) }, /too many buckets/],
  ['more ranges', { ranges: many(8193).map((i) => range(2n * i, 2n * i)) }, /too many ranges/],
  ['a value beside its mask', { masked: [{ mask: 6n, value: 1n, rule: 1 }] }, /bits/],
  ['twice the same', { masked: [id(5n), id(6n), id(5n, 2)] }, /twice/],
  ['rule 0', { masked: [id(5n, 0)] }, /no number/],
  ['a rule beyond 32 bits', { ranges: [range(1n, 2n, 2 ** 32)] }, /no number/],
  ['ranges that touch', { ranges: [range(1n, 5n), range(5n, 6n)] }, /overlap/],
  ['ranges out of order', { ranges: [range(7n, 8n), range(1n, 2n)] }, /out of order/],
  ['a range turned round', { ranges: [range(2n, 1n)] }, /overlap/],
];

for (const [name, watched, message] of refused)
  test(name, () => {
    const rules = new DataView(new ArrayBuffer(RULES_BYTES));
    writeWatched(rules, { masked: [id(1n)], ranges: [range(4n, 4n)] });
    const before = Buffer.from(rules.buffer.slice(0));
    assert.throws(() => writeWatched(rules, { masked: [], ranges: [], ...watched }), message);
    assert.ok(before.equals(Buffer.from(rules.buffer)), 'the table was changed');
  });

test('the most that may be watched is written', () => {
  const rules = new DataView(new ArrayBuffer(RULES_BYTES));
  const masked = many(RULES_SLOTS_MAX / 2).map((i) => {
    const mask = U64_MAX ^ (i % BigInt(RULES_MASKS_MAX));
    return { mask, value: (i << 8n) & mask, rule: 1 };
  });
  writeWatched(rules, { masked, ranges: many(RULES_RANGES_MAX).map((i) => range(i, i)) });
});
