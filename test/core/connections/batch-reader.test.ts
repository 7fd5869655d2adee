// What becomes of the messages of a batch, and what is counted of them. Frames cut anywhere are in
// producer.test and golden/wire/replay.test, portions in fair-share.test, rules in
// intake-policy.test.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUANTUM_MESSAGES } from '../../../src/core/fairness/fair-share.ts';
import { TICK_MS } from '../../../src/core/timing/alarm.ts';
import { acks, batch, brokerOf } from '../../support/world.ts';

test('a batch that begins while an append waits for space is refused whole, the next is not', () => {
  const world = brokerOf();
  const producer = world.producer();
  world.log.isStalled = true;
  producer.send(batch('u64', [1, 'a'], [1, 'b']), batch('u64', [1, '']));
  world.log.isStalled = false;
  producer.send(batch('u64', [1, 'c']));
  world.settle();
  assert.deepEqual(producer.take(), acks(0, 0, 0, 1));
  const { counters, buckets } = world.broker;
  assert.deepEqual([counters.refusedFull, counters.refusedEmpty, buckets.ready], [2, 1, 1]);
});

test('one that began before that is stored to its end', () => {
  const world = brokerOf();
  const producer = world.producer();
  const whole = batch('u64', [1, 'a'], [1, 'b']);
  producer.send(whole.subarray(0, whole.length - 1));
  world.log.isStalled = true;
  producer.send(whole.subarray(whole.length - 1));
  world.settle();
  assert.deepEqual(producer.take(), acks(1, 1));
});

test('batches count when they are whole, messages when they are packed; what is refused is neither', () => {
  const world = brokerOf();
  const producer = world.producer();
  const { counters } = world.broker;
  const last = batch('u64', [1, 'd'], [1, 'e']);
  producer.send(batch('u64', [1, 'a'], [1, ''], [1, 'c']), last.subarray(0, last.length - 1));
  assert.deepEqual([counters.batches, producer.session.messages], [1, 3]);
  producer.send(last.subarray(last.length - 1));
  assert.deepEqual([counters.batches, producer.session.messages], [2, 4]);
});

test('beside who publishes little, who publishes much is looked at anew after each portion', () => {
  const world = brokerOf({ limits: { segmentBytes: 256 * 1024 } });
  const [little, much] = [world.producer(), world.producer()];
  little.send(batch('u64', [1, 'little']));
  world.settle();
  world.advance(TICK_MS);
  const { fairShare, commit } = world.broker;
  assert.ok(fairShare.shared);
  const allowed: number[] = [];
  const { allow } = commit;
  commit.allow = (bytes = 0) => {
    allowed.push(bytes);
    return allow.call(commit, bytes);
  };
  const count = 3 * QUANTUM_MESSAGES;
  much.send(batch('u64', ...Array.from({ length: count }, (): [number, string] => [2, 'x'])));
  world.settle();
  assert.equal(much.take().length, count);
  assert.deepEqual([allowed.length, allowed.includes(Number.POSITIVE_INFINITY)], [3, false]);
});
