// Virtual buckets on a broker: their consumers are given what waits in the sources, in turn, by
// weight or by priority; what becomes of a message is the matter of its own bucket.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { TICK_MS } from '../../../src/core/timing/alarm.ts';
import { acks, brokerOf, rulesOf, textOf } from '../../support/world.ts';

type World = ReturnType<typeof brokerOf>;
type Consumer = ReturnType<World['consumer']>;

const framesOf = (consumer: Consumer): string[][] =>
  new DeliveryDecoder('u64')
    .push(consumer.take())
    .filter(({ isHeartbeat }) => !isHeartbeat)
    .map((frame) => Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))));
const texts = (consumer: Consumer): string[] => framesOf(consumer).flat();
const done = (count: number) => acks(...Array.from({ length: count }, () => 1));

// Everything that a consumer gets which is done with each batch at once.
function drain(consumer: Consumer): string[] {
  const all: string[] = [];
  for (;;) {
    const got = texts(consumer);
    if (got.length === 0) return all;
    all.push(...got);
    consumer.send(done(got.length));
  }
}

// A consumer of which sources that wait already were told.
function joined(world: World, bucket: number, batchSize: number): Consumer {
  const consumer = world.consumer(bucket, batchSize);
  world.turn();
  return consumer;
}

// The same, for one message at a time, once what is on disk was looked up.
function settled(world: World): Consumer {
  const consumer = world.consumer(9, 1);
  world.settle();
  return consumer;
}

const unacked = ({ broker }: World, bucket: number) =>
  broker.buckets.unackedOf(broker.buckets.find(bucket, 0));

test('consumers of a virtual bucket are given what waits in its sources, one of each in turn', () => {
  const world = brokerOf({ rules: ['9 sources=10-19'] });
  world.publish(10, 'a0', 'a1', 'a2', 'a3');
  world.publish(11, 'b0', 'b1');
  world.publish(9, 'v0');
  world.publish(20, 'not mine');
  const consumer = joined(world, 9, 100);
  assert.deepEqual(drain(consumer), ['v0', 'a0', 'b0', 'a1', 'b1', 'a2', 'a3']);
  world.publish(12, 'c0');
  world.publish(11, 'b2');
  assert.deepEqual(drain(consumer), ['c0', 'b2']);
  assert.equal(world.broker.buckets.find(12, 0), 0, 'what is empty is not known any more');
  assert.equal(world.broker.buckets.find(20, 0) === 0, false);
});

test('a virtual bucket gives 32 at once, unless a rule says otherwise', () => {
  const world = brokerOf({ rules: ['9 sources=10-19', '8 sources=20-29 batch=3'] });
  const many = Array.from({ length: 40 }, (_, i) => `${i}`);
  world.publish(10, ...many);
  world.publish(20, ...many);
  assert.deepEqual(framesOf(joined(world, 9, 100)), [many.slice(0, 32)]);
  assert.deepEqual(framesOf(joined(world, 8, 100)), [many.slice(0, 3)]);
});

test('weighted: a source gives as many in its turn as its weight says', () => {
  const world = brokerOf({ rules: ['9 sources=10-11 order=weighted batch=8', '10 weight=3'] });
  world.publish(10, 'a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6');
  world.publish(11, 'b0', 'b1', 'b2');
  const consumer = joined(world, 9, 100);
  assert.deepEqual(framesOf(consumer), [['a0', 'a1', 'a2', 'b0', 'a3', 'a4', 'a5', 'b1']]);
});

test('a turn goes on in the next delivery', () => {
  const world = brokerOf({ rules: ['9 sources=10-11 order=weighted batch=2', '10 weight=3'] });
  world.publish(10, 'a0', 'a1', 'a2', 'a3');
  world.publish(11, 'b0', 'b1', 'b2');
  const consumer = joined(world, 9, 100);
  assert.deepEqual(drain(consumer), ['a0', 'a1', 'a2', 'b0', 'a3', 'b1', 'b2']);
});

test('strict: a source with a higher priority goes first, and those that have the same in turn', () => {
  const rules = ['9 sources=10-13 order=strict batch=1', '10 priority=63', '11-12 priority=5'];
  const world = brokerOf({ rules });
  world.publish(13, 'd0', 'd1');
  world.publish(11, 'b0', 'b1');
  world.publish(12, 'c0', 'c1');
  world.publish(10, 'a0', 'a1');
  const consumer = joined(world, 9, 1);
  assert.deepEqual(texts(consumer), ['a0']);
  consumer.send(done(1));
  assert.deepEqual(texts(consumer), ['a1']);
  consumer.send(done(1));
  assert.deepEqual(texts(consumer), ['b0']);
  world.publish(10, 'a2');
  consumer.send(done(1));
  assert.deepEqual(drain(consumer), ['a2', 'c0', 'b1', 'c1', 'd0', 'd1']);
});

test('max_in_flight=1 over the sources: one at a time for each, in its order', () => {
  const world = brokerOf({ rules: ['9 sources=10-19', '10-19 max_in_flight=1'] });
  world.publish(10, 'a0', 'a1');
  world.publish(11, 'b0', 'b1');
  const [one, two] = [joined(world, 9, 100), joined(world, 9, 100)];
  assert.deepEqual([texts(one), texts(two)], [['a0', 'b0'], []]);
  one.send(done(1));
  assert.deepEqual([texts(one), texts(two)], [[], ['a1']]);
  one.send(acks(0));
  assert.deepEqual([texts(one), texts(two)], [['b0'], []], 'what failed comes before the next');
  one.send(done(1));
  assert.deepEqual(drain(one), ['b1']);
});

test('max_in_flight and rate of the virtual bucket bound all of its sources together', () => {
  const world = brokerOf({ rules: ['9 sources=10-19 max_in_flight=3', '8 sources=20-29 rate=20'] });
  for (const bucket of [10, 11, 12, 13]) world.publish(bucket, `${bucket}`, `${bucket}`);
  const [one, two] = [joined(world, 9, 2), joined(world, 9, 2)];
  assert.deepEqual([texts(one), texts(two)], [['10', '11'], ['12']]);
  two.send(done(1));
  assert.deepEqual([texts(one), texts(two)], [[], ['13']]);
  two.send(acks(3));
  assert.deepEqual(texts(two), ['10'], 'what is given back waits for its next turn');
  one.send(done(2));
  assert.deepEqual([texts(one), texts(two)], [['11', '12'], []], 'places are free again');
  world.advance(1000, true);
  for (const bucket of [20, 21, 22, 23]) world.publish(bucket, `${bucket}`);
  const slow = joined(world, 8, 100);
  assert.deepEqual(framesOf(slow), [['20', '21']], 'a burst is a tenth of a second');
  slow.send(done(2));
  world.advance(150, true);
  assert.deepEqual(drain(slow), ['22', '23']);
});

test('the rate of a source bounds it, and the others go on', () => {
  const world = brokerOf({ rules: ['9 sources=10-19', '10 rate=10'] });
  world.advance(1000, true);
  world.publish(10, 'a0', 'a1');
  world.publish(11, 'b0', 'b1');
  const consumer = joined(world, 9, 100);
  assert.deepEqual(drain(consumer), ['a0', 'b0', 'b1']);
  for (let ms = 0; ms < 300; ms += TICK_MS) world.advance(TICK_MS, true);
  assert.deepEqual(drain(consumer), ['a1']);
});

test('a source that is paused waits, and the virtual bucket that is paused gives nothing', () => {
  const world = brokerOf({ rules: ['9 sources=10-19'] });
  const { paused } = world.broker;
  paused.set('10', true);
  world.publish(10, 'a');
  world.publish(11, 'b');
  const consumer = joined(world, 9, 100);
  assert.deepEqual(drain(consumer), ['b']);
  paused.set('10', false);
  world.broker.dispatch(world.broker.buckets.find(10, 0));
  assert.deepEqual(drain(consumer), ['a']);
  paused.set('9', true);
  world.publish(10, 'c');
  assert.deepEqual(drain(consumer), []);
  paused.set('9', false);
  world.broker.dispatch(world.broker.buckets.find(9, 0));
  assert.deepEqual(drain(consumer), ['c']);
});

test('consumers of a source are served beside those of the virtual bucket', () => {
  const world = brokerOf({ rules: ['9 sources=10-19', '10 max_in_flight=1'] });
  const [own, shared] = [joined(world, 10, 1), joined(world, 9, 1)];
  world.publish(10, 'a', 'b', 'c');
  assert.deepEqual([texts(own), texts(shared)], [['a'], []]);
  own.send(done(1));
  const got = [...texts(own), ...texts(shared)];
  assert.equal(got.length, 1);
  shared.send(got.length === 1 && unacked(world, 10) === 1 ? acks() : done(1));
  own.vanish();
  assert.ok(texts(shared).length <= 1);
});

test('what the consumer of the virtual bucket answers frees a place for one of the source', () => {
  const world = brokerOf({ rules: ['9 sources=10-19', '10 max_in_flight=1'] });
  const shared = joined(world, 9, 1);
  world.publish(10, 'a', 'b');
  assert.deepEqual(texts(shared), ['a']);
  const own = joined(world, 10, 1);
  assert.deepEqual(texts(own), []);
  shared.send(done(1));
  assert.deepEqual([texts(own), texts(shared)], [['b'], []]);
});

test('messages fail, come again and die by the rules of their own bucket', () => {
  const world = brokerOf({
    rules: [
      '9 sources=10-19 max_deliveries=1',
      '10 retry=100ms',
      '11 max_deliveries=2 dead_letter=50',
    ],
  });
  world.publish(10, 'a');
  world.publish(11, 'b');
  const consumer = joined(world, 9, 100);
  assert.deepEqual(texts(consumer), ['a', 'b']);
  consumer.send(acks(0, 0));
  assert.deepEqual(texts(consumer), ['b'], 'a waits for its time');
  consumer.send(acks(0));
  assert.deepEqual(texts(consumer), [], 'b is dead');
  world.settle();
  world.wallMs += 200;
  world.advance(200, true);
  assert.deepEqual(texts(consumer), ['a']);
  assert.deepEqual(drain(joined(world, 50, 10)), ['b']);
});

test('what was lost together comes again apart, whatever sources it is from', () => {
  const world = brokerOf({ rules: ['9 sources=10-19'] });
  for (const bucket of [10, 11, 12, 13]) world.publish(bucket, `${bucket}`);
  const one = joined(world, 9, 100);
  assert.deepEqual(texts(one), ['10', '11', '12', '13']);
  world.publish(14, '14');
  one.vanish();
  const two = joined(world, 9, 100);
  const first = framesOf(two)[0]!;
  assert.ok(first.length === 2 || first.join() === '14', 'half of them, or the rest alone');
  const all = [...first];
  two.send(done(first.length));
  for (let got = framesOf(two); got.length > 0; got = framesOf(two)) {
    assert.ok(got.every((frame) => frame.length <= 2));
    all.push(...got.flat());
    two.send(done(got.flat().length));
  }
  assert.deepEqual(all.sort(), ['10', '11', '12', '13', '14']);
});

test('of those that were lost alone the first goes first, though it is to be looked up', () => {
  const limits = { segmentBytes: 16 * 1024, messageBytesMax: 1024, heartbeatMs: 1e9 };
  const rules = ['9 sources=10-19', '10 retry=0s,1s retry_jitter=0'];
  const world = brokerOf({ limits, rules, resume: { places: true } });
  world.publish(10, 'a', 'b');
  world.publish(11, 'c');
  for (let i = 0; i < 100; i++) world.publish(5, 'd'.repeat(1000));
  const [one, two, three] = [0, 1, 2].map(() => settled(world)) as [Consumer, Consumer, Consumer];
  assert.deepEqual([one, two, three].map(texts), [['a'], ['c'], ['b']]);
  one.vanish();
  const again = settled(world);
  assert.deepEqual(texts(again), ['a']);
  again.vanish();
  three.vanish();
  world.wallMs += 1100;
  world.advance(1100);
  for (; world.broker.buckets.delayed.count > 0; world.advance(50))
    if (world.log.appending) world.log.complete();
    else assert.ok(world.log.work());
  assert.ok(world.log.finds.length > 0, 'its segment is looked into');
  const next = joined(world, 9, 1);
  world.settle();
  assert.deepEqual(texts(next), ['a']);
  assert.deepEqual(texts(settled(world)), ['b']);
});

test('what was lost together is charged to each by the rule of its own bucket', () => {
  const rules = ['9 sources=10-19', '10 isolate=true', '11 isolate=false max_deliveries=1'];
  const world = brokerOf({ rules });
  world.publish(10, 'a');
  world.publish(11, 'b');
  const one = joined(world, 9, 100);
  assert.deepEqual(texts(one), ['a', 'b']);
  one.vanish();
  world.settle();
  const two = joined(world, 9, 100);
  world.settle();
  assert.deepEqual(drain(two), ['a'], 'b was charged, and is dead');
  assert.equal(world.broker.buckets.dead, 1);
});

test('rules that change make a bucket virtual, and plain again, with what waits and is held', () => {
  const world = brokerOf({ rules: ['1 batch=5'] });
  for (const bucket of [9, 10, 11]) world.publish(bucket, `${bucket}.0`, `${bucket}.1`);
  const one = world.consumer(9, 1);
  assert.deepEqual(texts(one), ['9.0']);
  const use = (...rules: string[]) => {
    world.broker.rulesInForce!.use(rulesOf(...rules));
    world.turn();
  };
  use('9 sources=10-11 max_in_flight=2');
  const two = joined(world, 9, 5);
  assert.deepEqual(texts(two).length, 1, 'what was held before counts');
  one.send(done(1));
  assert.deepEqual(texts(one).length, 1);
  use('9 sources=11');
  one.send(done(1));
  two.send(done(1));
  const got = [...drain(one), ...drain(two), ...drain(one)];
  assert.ok(got.every((text) => !text.startsWith('10.')));
  use('1 batch=5');
  world.publish(11, 'not any more');
  world.publish(9, 'still mine');
  assert.deepEqual([...drain(one), ...drain(two)], ['still mine']);
  assert.equal(world.broker.buckets.sources.isOn, false);
  assert.ok(drain(joined(world, 10, 9)).length > 0);
});
