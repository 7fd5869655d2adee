// What a snapshot says of the core: counts of what is there, rates of what happened in between.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketsOf, connectionsOf, ratesOf, totalsOf } from '../../../src/core/admin/report.ts';
import { acks, brokerOf } from '../../support/world.ts';

test('totals count what was published, delivered and acked; rates are per second', () => {
  const world = brokerOf();
  const before = totalsOf(world.broker);
  world.publish(1, 'one', 'four');
  const consumer = world.consumer(1, 2);
  world.settle();
  consumer.send(acks(1, 0));
  world.settle();
  const after = totalsOf(world.broker);
  assert.deepEqual(
    [after.publishedMessages, after.publishedBytes, after.deliveredMessages],
    [2, 7, 3], // the one that failed came again
  );
  assert.deepEqual([after.ackedMessages, after.failedMessages, after.batches], [1, 1, 1]);
  assert.equal(after.redeliveredMessages, 1);
  assert.deepEqual(ratesOf(before, after, 500), {
    publishedMessages: 4,
    publishedBytes: 14,
    deliveredMessages: 6,
    deliveredBytes: Math.round(after.deliveredBytes * 2),
    ackedMessages: 2,
  });
  assert.equal(ratesOf(before, after, 0).publishedMessages, 0, 'no time is no rate');
});

test('the largest buckets come first, fifty of them; what is empty is not among them', () => {
  const world = brokerOf();
  for (let bucket = 1; bucket <= 60; bucket++)
    world.publish(bucket, ...Array.from({ length: bucket % 7 }, () => 'x'), 'x');
  const { top, ready, count, unacked } = bucketsOf(world.broker, 0);
  assert.deepEqual([top.length, count, unacked], [50, 60, 0]);
  const counts = top.map((each) => each.ready);
  assert.deepEqual(
    counts,
    [...counts].sort((a, b) => b - a),
  );
  assert.equal(counts[0], 7);
  assert.equal(
    ready,
    Array.from({ length: 60 }, (_, i) => ((i + 1) % 7) + 1).reduce((sum, each) => sum + each),
  );
});

test('connections: at most fifty producers and a hundred in all, counted all the same', () => {
  const world = brokerOf();
  world.publish(9, 'x');
  for (let i = 0; i < 60; i++) world.producer();
  for (let i = 0; i < 70; i++) world.consumer(9, 5);
  world.settle();
  const { intake, exhaust, list, opened, closed } = connectionsOf(world.broker);
  assert.deepEqual([intake, exhaust, list.length], [60, 70, 100]);
  assert.equal(list.filter(({ side }) => side === 'intake').length, 50);
  assert.deepEqual([opened.intake, opened.exhaust, closed.intake.peer], [61, 70, 1]);
  const holding = list.filter(({ unacked }) => (unacked ?? 0) > 0);
  assert.deepEqual(
    holding.map(({ bucket, consumerId, batchSize }) => [bucket, consumerId, batchSize]),
    [['9', '777', 5]],
  );
});
