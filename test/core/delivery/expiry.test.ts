// What waits longer than its rule allows: nobody is given it, and nothing goes before its time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBatch } from '../../../src/codec/wire.ts';
import { acks, bytesOf, rulesOf } from '../../support/world.ts';
import { countsOf, texts, worldOf } from './ages.ts';

test('what waited longer than it may is given to nobody, what waited as long by a ms is', () => {
  const world = worldOf(['2 ttl=10s']);
  world.publish(2, 'a', 'b');
  world.wallMs += 9999;
  const early = world.consumer(2, 1);
  assert.deepEqual(texts(early), ['a']);
  early.send(acks(1));
  assert.deepEqual(texts(early), ['b']);
  world.wallMs += 1;
  early.vanish();
  const late = world.consumer(2);
  assert.deepEqual(texts(late), []);
  world.pass(100);
  assert.deepEqual(countsOf(world), [0, 1, 1, 0]);
  world.publish(2, 'c');
  assert.deepEqual(texts(late), ['c'], 'what came then is young');
});

test('a delivery ends where the rest of the line is too old, and begins behind it', () => {
  const world = worldOf(['2 ttl=10s']);
  world.publish(2, 'old');
  world.wallMs += 6000;
  world.publish(2, 'a', 'b');
  // The clock is set back: what comes then stands behind, and is too old before.
  world.wallMs -= 60_000;
  world.publish(2, 'of before');
  world.wallMs += 60_000;
  const consumer = world.consumer(2);
  assert.deepEqual(texts(consumer), ['old', 'a', 'b']);
  world.wallMs += 4000;
  consumer.vanish();
  assert.deepEqual(texts(world.consumer(2)), ['a', 'b']);
  world.pass(100);
  assert.deepEqual(countsOf(world), [0, 2, 2, 0]);
});

test('where one comes after the other, what is too old leaves in that order, suspects, too', () => {
  const world = worldOf(['2 ttl=10s']);
  world.publish(2, 'a', 'b', 'c');
  const [first, second] = [world.consumer(2, 1), world.consumer(2, 1)];
  assert.deepEqual([texts(first), texts(second)], [['a'], ['b']]);
  world.broker.rulesInForce!.use(rulesOf('2 ttl=10s max_in_flight=1'));
  second.vanish();
  const taken: number[] = [];
  const { mover } = world.broker;
  const take = mover.take.bind(mover);
  mover.take = (part, order) => {
    for (let i = 0; i < part.count; i++) taken.push(part.sequence + i);
    return take(part, order);
  };
  world.wallMs += 10_000;
  first.send(acks(0));
  assert.deepEqual(taken, [1, 2, 3]);
  assert.deepEqual(texts(first), []);
});

test('what a consumer holds is looked at when it comes back', () => {
  const world = worldOf(['2 ttl=5s']);
  world.publish(2, 'a', 'b');
  const consumer = world.consumer(2);
  assert.deepEqual(texts(consumer), ['a', 'b']);
  world.pass(10_000);
  consumer.send(acks(1, 0));
  assert.deepEqual(texts(consumer), []);
  world.pass(100);
  assert.deepEqual([world.broker.counters.ackedMessages, ...countsOf(world)], [1, 0, 1, 1, 0]);
});

test('a broker that stops lets what is on its way to its dead line be, uncharged', () => {
  const world = worldOf(['2 ttl=1s']);
  world.publish(2, 'a');
  world.wallMs += 2000;
  world.log.next = false;
  const consumer = world.consumer(2);
  world.broker.close();
  world.settle();
  assert.deepEqual(texts(consumer), []);
  assert.deepEqual(countsOf(world)[3], 0);
  assert.equal(world.broker.buckets.outcomes.attempts.get(1), 0);
});

test('what is too old once it is written is given to nobody', () => {
  const world = worldOf(['2 ttl=5s']);
  const consumer = world.consumer(2);
  world.producer().send(encodeBatch([{ bucket: 2n, body: bytesOf('a') }], 'u64'));
  world.turn();
  assert.ok(world.log.appending);
  world.wallMs += 5000;
  world.settle();
  assert.deepEqual(texts(consumer), []);
  world.pass(100);
  assert.deepEqual(countsOf(world), [0, 1, 1, 0]);
});
