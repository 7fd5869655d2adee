// The queue of what is to be moved: in order, knows whose it is, and holds no more than it has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  REASON_DELIVERIES,
  REASON_EXPIRED,
  REASON_OVERFLOW,
  REASON_REDRIVEN,
  REASON_REJECTED,
} from '../../../assembly/layout-placed.ts';
import { emptySlice } from '../../../src/core/buckets/slice.ts';
import { DEAD } from '../../../src/core/delivery/destination.ts';
import { isCharged, MoveQueue } from '../../../src/core/delivery/move-queue.ts';

const order = { reason: 1, to: DEAD, by: undefined } as const;
const move = (slot: number, position: number) => ({
  part: { ...emptySlice(), slot, position, count: 1 },
  order,
});

test('first in, first out, over any number of runs', () => {
  const queue = new MoveQueue();
  let next = 0;
  for (let i = 0; i < 10_000; i++) {
    queue.push(move(1 + (i % 3), i));
    if (i % 3 === 0) continue;
    assert.equal(queue.first.part.position, next);
    assert.equal(queue.shift().part.position, next++);
  }
  while (queue.runs > 0) assert.equal(queue.shift().part.position, next++);
  assert.equal(next, 10_000);
  for (const slot of [1, 2, 3]) assert.equal(queue.has(slot), false);
});

test('knows whose runs it has, and shows what is left', () => {
  const queue = new MoveQueue();
  for (const [slot, position] of [
    [1, 10],
    [2, 20],
    [1, 30],
  ] as const)
    queue.push(move(slot, position));
  queue.shift();
  assert.deepEqual([queue.has(1), queue.has(2), queue.has(3)], [true, true, false]);
  const left: number[] = [];
  queue.each((part) => left.push(part.position));
  assert.deepEqual(left, [20, 30]);
  queue.shift();
  queue.shift();
  assert.deepEqual([queue.has(1), queue.runs], [false, 0]);
});

test('who failed is charged, who is old, or one too many, or given back is not', () => {
  assert.deepEqual([REASON_DELIVERIES, REASON_REJECTED].map(isCharged), [true, true]);
  assert.deepEqual([REASON_EXPIRED, REASON_OVERFLOW, REASON_REDRIVEN].map(isCharged), [
    false,
    false,
    false,
  ]);
});
