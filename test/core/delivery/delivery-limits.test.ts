// What rules say of deliveries, on a broker: how large they are, how many are out at once and in
// which order they come, how many a second; and that a place that is freed is given to the next.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { TICK_MS } from '../../../src/core/timing/alarm.ts';
import { Random, seedOf } from '../../support/random.ts';
import { acks, brokerOf, rulesOf, textOf } from '../../support/world.ts';

const seed = seedOf('core/delivery/delivery-limits.test');
type Consumer = ReturnType<ReturnType<typeof brokerOf>['consumer']>;

const framesOf = (consumer: Consumer): string[][] =>
  new DeliveryDecoder('u64')
    .push(consumer.take())
    .filter(({ isHeartbeat }) => !isHeartbeat)
    .map((frame) => Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))));
const texts = (consumer: Consumer): string[] => framesOf(consumer).flat();
const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);

test('batch: a delivery has so many messages at most, of the consumer or of the rule', () => {
  const world = brokerOf({ rules: ['1 batch=3', '2 batch=50'] });
  for (const bucket of [1, 2, 3]) world.publish(bucket, ...numbers(10));
  const [one, two, three] = [1, 2, 3].map((bucket) => world.consumer(bucket, 7));
  assert.deepEqual(framesOf(one!), [['0', '1', '2']]);
  assert.deepEqual(framesOf(two!), [numbers(7)]);
  assert.deepEqual(framesOf(three!), [numbers(7)]);
  one!.send(acks(1, 1, 1));
  assert.deepEqual(framesOf(one!), [['3', '4', '5']]);
});

test('max_in_flight=1: one at a time, in order, however many consumers; what failed comes first', () => {
  const world = brokerOf({ rules: ['1 max_in_flight=1'] });
  world.publish(1, 'a', 'b', 'c', 'd');
  const [one, two] = [world.consumer(1, 10), world.consumer(1, 10)];
  assert.deepEqual([texts(one), texts(two)], [['a'], []]);
  one.send(acks(0));
  assert.deepEqual([texts(one), texts(two)], [[], ['a']], 'who waits longest is next');
  two.send(acks(1));
  assert.deepEqual([texts(one), texts(two)], [['b'], []]);
  one.vanish();
  assert.deepEqual(texts(two), ['b'], 'the place of one that is gone is free');
  two.send(acks(1));
  assert.deepEqual(texts(two), ['c']);
});

test('a place that is freed goes to the next one, also when who held it does not read', () => {
  const world = brokerOf({ rules: ['1 max_in_flight=2'] });
  world.publish(1, ...numbers(5));
  const one = world.consumer(1, 2);
  assert.deepEqual(texts(one), ['0', '1']);
  const [two, three] = [world.consumer(1, 2), world.consumer(1, 1)];
  one.send(acks(1));
  assert.deepEqual([texts(two), texts(three)], [['2'], []], 'one place of two');
  one.send(acks(1));
  assert.deepEqual([texts(one), texts(three)], [[], ['3']], 'it waits longer than the first');
  three.link.stuck = true;
  two.send(acks(1));
  assert.deepEqual(texts(one), ['4']);
});

test('who acks without having read gives its place to others', () => {
  const world = brokerOf({ rules: ['1 max_in_flight=1'] });
  const one = world.consumer(1, 5);
  one.link.stuck = true;
  world.publish(1, 'a', 'b');
  assert.equal(texts(one).join(), 'a');
  const two = world.consumer(1, 5);
  one.send(acks(1));
  assert.deepEqual([texts(one), texts(two)], [[], ['b']]);
});

test('rate: a second has so many, and what is out does not matter', () => {
  const world = brokerOf({ rules: ['1 rate=20'] });
  world.advance(1000, true);
  world.publish(1, ...numbers(200));
  const consumer = world.consumer(1, 50);
  let got = texts(consumer).length;
  assert.equal(got, 2, 'a burst is a tenth of a second');
  const begun = world.nowMs;
  while (world.nowMs < begun + 5000) {
    consumer.send(acks(...Array.from({ length: consumer.session.unacked }, () => 1)));
    world.advance(TICK_MS, true);
    got += texts(consumer).length;
    const most = 2 + ((world.nowMs - begun + 2 * TICK_MS) * 20) / 1000;
    assert.ok(got <= most, `${got} of ${most}`);
  }
  assert.ok(got >= 98, `${got} in 5 s`);
});

test('a bucket at its rate sleeps until the next may go, and one without a rate never wakes', () => {
  const world = brokerOf({ rules: ['1 rate=0.5'], limits: { heartbeatMs: 1e9 } });
  world.publish(1, 'a', 'b');
  const consumer = world.consumer(1, 5);
  assert.deepEqual(texts(consumer), ['a']);
  consumer.send(acks(1));
  world.advance(1000, true);
  const { wakes } = world;
  world.advance(800, true);
  assert.equal(world.wakes, wakes);
  world.advance(2 * TICK_MS + 150, true);
  assert.deepEqual(texts(consumer), ['b']);
  consumer.send(acks(1));
  world.advance(1000, true);
  const after = world.wakes;
  world.advance(60_000, true);
  assert.ok(world.wakes <= after + 1, 'it is woken for nothing');
});

test('another table counts at once, for what waits, too', () => {
  const limits = { heartbeatMs: 1e9 };
  const world = brokerOf({ rules: ['1 max_in_flight=1', '2 rate=0.001'], limits });
  for (const bucket of [1, 2]) world.publish(bucket, 'a', 'b', 'c');
  const [one, other, two] = [world.consumer(1), world.consumer(1), world.consumer(2, 1)];
  assert.deepEqual([texts(one), texts(two)], [['a'], ['a']]);
  two.send(acks(1));
  world.advance(1000, true);
  assert.deepEqual([texts(other), texts(two)], [[], []]);
  world.broker.rulesInForce!.use(rulesOf('1 max_in_flight=2'));
  assert.deepEqual([texts(other), texts(two)], [['b'], ['b']]);
});

test('never more out than is allowed, whoever comes, fails and goes; and in the end all of it', () => {
  const random = new Random(seed);
  for (let round = 0; round < 20; round++) {
    const [most, batch] = [1 + random.below(4), 1 + random.below(4)];
    const world = brokerOf({ rules: [`* max_in_flight=${most} batch=${batch}`] });
    const total = 60;
    world.publish(1, ...numbers(total));
    let consumers = Array.from({ length: 3 }, () => world.consumer(1, 1 + random.below(5)));
    const done: number[] = [];
    for (let step = 0; done.length < total && step < 5000; step++) {
      const consumer = consumers[random.below(consumers.length)]!;
      const { slot } = consumer.session;
      assert.ok(world.broker.buckets.unackedOf(slot) <= most);
      const { unacked } = consumer.session;
      assert.ok(unacked <= batch);
      if (random.chance(0.05)) {
        consumer.vanish();
        world.turn();
        consumers = [...consumers.filter((each) => each !== consumer), world.consumer(1, 3)];
      } else if (unacked > 0) {
        const byte = random.chance(0.8) ? 1 : 0;
        consumer.send(acks(byte));
        if (byte === 1) done.push(step);
      }
      const ready = world.broker.buckets.readyOf(slot);
      const out = world.broker.buckets.unackedOf(slot);
      const isIdle = consumers.some(({ session }) => session.unacked === 0);
      if (isIdle) assert.ok(ready === 0 || out === most, 'a place is free and nobody has it');
    }
    assert.equal(done.length, total, `round ${round}`);
  }
});

test('max_in_flight=1: the line waits for a message that is to come again later', () => {
  for (const byte of [0, 0x49, 0x69]) {
    const world = brokerOf({ rules: ['1 max_in_flight=1 retry=512ms'] });
    world.publish(1, 'a', 'b');
    const [one, two] = [world.consumer(1, 10), world.consumer(1, 10)];
    assert.deepEqual([texts(one), texts(two)], [['a'], []]);
    one.send(acks(byte));
    world.settle();
    assert.deepEqual([texts(one), texts(two)], [[], []], 'it is not durable yet');
    world.pass(500);
    assert.deepEqual([texts(one), texts(two)], [[], []], 'it waits');
    world.pass(50);
    assert.deepEqual([...texts(one), ...texts(two)], ['a']);
    for (const each of [one, two]) if (each.session.unacked > 0) each.send(acks(1));
    assert.deepEqual([...texts(one), ...texts(two)], ['b']);
  }
});

test('where more may be in flight, the others go on', () => {
  const world = brokerOf({ rules: ['1 max_in_flight=2 retry=1s'] });
  world.publish(1, 'a', 'b', 'c');
  const one = world.consumer(1, 1);
  assert.deepEqual(texts(one), ['a']);
  one.send(acks(0));
  assert.deepEqual(texts(one), ['b']);
  one.send(acks(1));
  assert.deepEqual(texts(one), ['c']);
});
