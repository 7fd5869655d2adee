// Who stands in a bucket's line before its consumers, and that a pause is found by the bucket's
// number, whatever that is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { acks, brokerOf, textOf } from '../../support/world.ts';

type Consumer = ReturnType<ReturnType<typeof brokerOf>['consumer']>;

const texts = (consumer: Consumer): string[] =>
  new DeliveryDecoder('u64')
    .push(consumer.take())
    .flatMap((frame) => Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))));

test('who takes a line goes before its consumers, one after the other, in order', () => {
  const world = brokerOf();
  const { dispatcher, buckets } = world.broker;
  const consumer = world.consumer(1);
  const { slot } = consumer.session;
  const called: string[] = [];
  const first = () => void called.push('first');
  const second = () => void called.push('second');
  dispatcher.occupy(slot, first);
  dispatcher.occupy(slot, second);
  assert.equal(dispatcher.takersOf(slot), 2);
  assert.equal(buckets.subscription(slot)!.consumers, 3, 'each shares the bucket');
  world.publish(1, 'a');
  assert.deepEqual(called, ['first']);
  dispatcher.release(slot, first);
  assert.deepEqual(called, ['first', 'second'], 'the next one is told at once');
  world.publish(1, 'b');
  assert.deepEqual(called, ['first', 'second', 'second']);
  assert.deepEqual(texts(consumer), []);
  dispatcher.release(slot, second);
  assert.deepEqual(texts(consumer), ['a', 'b']);
  assert.equal(dispatcher.takersOf(slot), 0);
  consumer.send(acks(1, 1));
  consumer.vanish();
  assert.equal(buckets.count, 0, 'nothing is left of it');
});

test('one behind the first may leave before it', () => {
  const world = brokerOf();
  const { dispatcher, buckets } = world.broker;
  const slot = buckets.open(1, 0);
  const called: number[] = [];
  const takers = [0, 1, 2].map((number) => () => void called.push(number));
  for (const taker of takers) dispatcher.occupy(slot, taker);
  dispatcher.release(slot, takers[1]!);
  dispatcher.release(slot, takers[0]!);
  assert.deepEqual(called, [0, 2]);
  dispatcher.release(slot, takers[2]!);
  assert.equal(buckets.count, 0);
});

test('a paused bucket gets nothing, and buckets that share a half of its number do', () => {
  const world = brokerOf();
  const [low, high] = [5n, 9n];
  const paused = (high << 32n) | low;
  world.broker.paused.set(String(paused), true);
  const others = [low, high << 32n, (high << 32n) | (low + 1n), ((high + 1n) << 32n) | low];
  for (const bucket of [paused, ...others]) world.publish(bucket, `to ${bucket}`);
  for (const bucket of others) assert.deepEqual(texts(world.consumer(bucket)), [`to ${bucket}`]);
  const consumer = world.consumer(paused);
  assert.deepEqual(texts(consumer), []);
  world.broker.paused.set(String(paused), false);
  world.broker.dispatch(consumer.session.slot);
  assert.deepEqual(texts(consumer), [`to ${paused}`]);
});
