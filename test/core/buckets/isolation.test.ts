// Suspects of all buckets: whose turn it is, and how many are put apart.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BucketTable } from '../../../src/core/buckets/bucket-table.ts';
import { Isolation } from '../../../src/core/buckets/isolation.ts';
import { emptySlice, type Slice } from '../../../src/core/buckets/slice.ts';
import { Subscription } from '../../../src/core/buckets/subscription.ts';

const slice = (sequence: number, level: number): Slice => ({
  ...emptySlice(),
  sequence,
  count: 1,
  level,
});

test('suspects take turns with the rest of their line, also where nobody lives to see two of them', () => {
  const table = new BucketTable();
  const slot = table.open(1, 0, 0, 0);
  const isolation = new Isolation(table, 10);
  const order: string[] = [];
  for (let i = 0; i < 6; i++) {
    const share = new Subscription<unknown>(slot);
    isolation.add(share, slice(1, 1));
    isolation.choose(share, 100, false);
    const next = share.suspects!.peek();
    order.push(next === undefined ? 'rest' : 'suspect');
    isolation.delivered(share, next?.level ?? 0);
  }
  assert.deepEqual(order, ['suspect', 'rest', 'suspect', 'rest', 'suspect', 'rest']);
});

test('what lines meet is put apart while there is room, what comes back in any case', () => {
  const table = new BucketTable();
  const isolation = new Isolation(table, 2);
  const [one, other] = [new Subscription<unknown>(1), new Subscription<unknown>(2)];
  assert.ok(isolation.takes(one));
  for (let sequence = 1; sequence <= 3; sequence++) isolation.add(one, slice(sequence, 2));
  assert.ok(!isolation.takes(other), 'there are too many, of whatever bucket');
  assert.deepEqual(
    isolation.dropFrom(one, 2).map(({ sequence }) => sequence),
    [2, 3],
  );
  assert.deepEqual([isolation.count, isolation.takes(other)], [1, true]);
  isolation.all(one);
  assert.ok(!isolation.takes(one), 'whoever takes all of a line takes it as it stands');
  isolation.pop(one, one.suspects!.first()!);
  isolation.tidy(one);
  assert.deepEqual([isolation.count, one.suspects], [0, undefined]);
});
