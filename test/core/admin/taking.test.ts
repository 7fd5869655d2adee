// Whether a line is past what was there at a time: in memory, and where part of it is on disk.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPast } from '../../../src/core/admin/taking.ts';
import { brokerOf } from '../../support/world.ts';

test('past is a line that is empty, or whose next message came later', () => {
  const world = brokerOf();
  const { broker } = world;
  const slot = broker.buckets.open(1, 0);
  broker.dispatcher.occupy(slot, () => {});
  assert.equal(isPast(broker, slot, 1), true);
  world.publish(1, 'a', 'b');
  assert.equal(isPast(broker, slot, 1), true);
  assert.equal(isPast(broker, slot, 2), false);
});

test('while it is being looked up nobody knows', () => {
  const world = brokerOf({ limits: { segmentBytes: 16 * 1024 } });
  const { broker } = world;
  world.publish(1, 'a');
  for (let i = 0; i < 40; i++) world.publish(8, 'x'.repeat(1000));
  const slot = broker.buckets.find(1, 0);
  assert.equal(broker.buckets.headOf(slot).isOlder, true);
  let called = 0;
  broker.dispatcher.occupy(slot, () => void called++);
  assert.equal(isPast(broker, slot, 2), undefined);
  world.settle();
  assert.equal(called > 0, true);
  assert.deepEqual([isPast(broker, slot, 2), isPast(broker, slot, 1)], [false, true]);
});
