// Deferrals that wait to be written: beyond their bound nothing is given out that could come back;
// on a full disk that goes on, and what fails is ready at once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { acks, brokerOf, textOf, type World } from '../../support/world.ts';

type Consumer = ReturnType<World['consumer']>;

const texts = (consumer: Consumer): string[] =>
  new DeliveryDecoder('u64')
    .push(consumer.take())
    .filter(({ isHeartbeat }) => !isHeartbeat)
    .flatMap((frame) => Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))));

/** Two messages failed, each until another time, and neither mark is written. */
function full(): { world: World; consumer: Consumer } {
  const world = brokerOf({ limits: { marksMax: 2 }, resume: { places: true } });
  world.publish(1, 'a', 'b', 'c', 'd');
  const consumer = world.consumer(1, 1);
  for (const [text, byte] of [
    ['a', 0x51],
    ['b', 0x52],
  ] as const) {
    assert.deepEqual(texts(consumer), [text]);
    consumer.send(acks(byte));
  }
  return { world, consumer };
}

test('the next delivery waits until they are written', () => {
  const { world, consumer } = full();
  assert.deepEqual(texts(consumer), []);
  world.pass(40);
  assert.deepEqual(texts(consumer), [], 'they gather for a while');
  world.pass(100);
  assert.deepEqual(texts(consumer), ['c']);
});

test('on a full disk deliveries go on, and further ones are ready at once', () => {
  const { world, consumer } = full();
  world.log.isStalled = true;
  world.tick();
  world.broker.dispatcher.feed();
  assert.deepEqual(texts(consumer), ['c']);
  consumer.send(acks(0x53));
  assert.deepEqual(texts(consumer), ['c']);
  const { delayed } = world.broker.buckets;
  assert.deepEqual([delayed.count, delayed.pending], [2, 2]);
  world.log.isStalled = false;
  consumer.send(acks(1));
  world.pass(100);
  assert.equal(delayed.pending, 0);
});

test('on a full disk whose log holds no deferrals yet, what fails is ready at once', () => {
  const world = brokerOf();
  world.publish(1, 'a');
  const consumer = world.consumer(1, 1);
  assert.deepEqual(texts(consumer), ['a']);
  world.log.isStalled = true;
  consumer.send(acks(0x53));
  assert.deepEqual(texts(consumer), ['a']);
  world.log.isStalled = false;
  consumer.send(acks(0x53));
  assert.deepEqual(texts(consumer), []);
});
