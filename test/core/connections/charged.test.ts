// Whose doing the end of a connection is: what its consumer held is one attempt later only if it
// says something of the consumer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSE_REASONS } from '../../../src/contract/close-reasons.ts';
import { acks, brokerOf } from '../../support/world.ts';

const FREE = new Set(['memory', 'operator', 'shutdown', 'suspended']);

for (const reason of CLOSE_REASONS)
  test(`${reason}: what was held is ${FREE.has(reason) ? 'not ' : ''}charged`, () => {
    // Where all is charged that is lost together, and nothing is a suspect.
    const world = brokerOf({ rules: ['* isolate=false'] });
    world.publish(1, 'a', 'b');
    const consumer = world.consumer(1, 2);
    consumer.session.closedFor = reason;
    consumer.vanish();
    const { buckets } = world.broker;
    const next = buckets.peek(buckets.find(1, 0))!;
    assert.deepEqual([next.sequence, next.count], [1, 2]);
    assert.equal(next.attempts, FREE.has(reason) ? 0 : 1);
    assert.equal(world.broker.commit.waitingMarks, FREE.has(reason) ? 0 : 1);
  });

test('released is at once, uncharged; what comes of it is counted', () => {
  const world = brokerOf();
  world.publish(1, 'a', 'b', 'c', 'd');
  const consumer = world.consumer(1, 4);
  consumer.send(acks(3, 0x50, 0x70, 0));
  const { buckets, counters } = world.broker;
  const slot = buckets.find(1, 0);
  assert.deepEqual([buckets.readyOf(slot), buckets.delayed.of(slot)], [0, 2]);
  assert.equal(consumer.session.unacked, 2, 'the two others came again');
  const { failedMessages, releasedMessages, deferredMessages, redeliveredMessages } = counters;
  assert.deepEqual([failedMessages, releasedMessages, deferredMessages], [2, 2, 2]);
  assert.equal(redeliveredMessages, 1, 'what was released counts as never delivered');
});
