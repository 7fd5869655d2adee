// What a consumer held when it was lost: charged or not, how far apart from others it comes again,
// and what the log is told of it. Whole brokers, with a log in memory.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { acks, brokerOf, textOf, type World } from '../../support/world.ts';

type Consumer = ReturnType<World['consumer']>;

/** The batches that came since the last call. */
function batches(consumer: Consumer): string[][] {
  const frames = new DeliveryDecoder('u64').push(consumer.take());
  return frames.map((frame) =>
    Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))),
  );
}

const letters = (count: number) =>
  Array.from({ length: count }, (_, i) => String.fromCharCode(97 + i));

// Level and attempts of the messages from sequence 1 on.
function known(world: World, count: number): string[] {
  const { levels, attempts } = world.broker.buckets.outcomes;
  return Array.from({ length: count }, (_, i) => `${levels.get(i + 1)}/${attempts.get(i + 1)}`);
}

describe('what was held', () => {
  test('together comes apart, uncharged; alone it is charged', () => {
    const world = brokerOf();
    world.publish(1, ...letters(5));
    world.consumer(1, 5).vanish();
    world.turn();
    assert.deepEqual(known(world, 5), ['3/0', '3/0', '3/0', '3/0', '3/0']);
    const next = world.consumer(1, 5);
    assert.deepEqual(batches(next), [['a', 'b', 'c', 'd']]);
    next.send(acks(1, 1, 1));
    next.vanish();
    world.turn();
    assert.deepEqual(known(world, 5).slice(3), ['1/1', '3/0']);
    assert.equal(world.broker.counters.suspectedMessages, 5);
  });

  test('is all charged, and together, where a rule says so', () => {
    const world = brokerOf({ rules: ['* isolate=false'] });
    world.publish(1, ...letters(3));
    world.consumer(1, 3).vanish();
    world.turn();
    assert.deepEqual(known(world, 3), ['0/1', '0/1', '0/1']);
    assert.deepEqual(batches(world.consumer(1, 3)), [['a', 'b', 'c']]);
  });

  test('alone waits for its retry, and comes alone then', () => {
    const world = brokerOf({ rules: ['* retry=5s'] });
    world.publish(1, 'a');
    world.consumer(1, 3).vanish();
    world.settle();
    world.pass(100);
    assert.equal(world.broker.buckets.delayed.count, 1);
    world.pass(5000);
    world.publish(1, 'b');
    const next = world.consumer(1, 3);
    world.settle();
    assert.deepEqual(batches(next), [['a']]);
    assert.deepEqual(known(world, 1), ['1/1']);
  });

  for (const reason of ['operator', 'memory', 'shutdown'] as const)
    test(`is not charged and as far apart as before, if the broker or an operator ends the link: ${reason}`, () => {
      const world = brokerOf();
      world.publish(1, ...letters(4));
      world.consumer(1, 4).vanish();
      const next = world.consumer(1, 4);
      assert.deepEqual(batches(next), [['a', 'b']]);
      next.session.closedFor = reason;
      next.vanish();
      world.turn();
      assert.deepEqual(known(world, 4), ['2/0', '2/0', '2/0', '2/0']);
    });

  for (const [where, bucket, rules] of [
    ['', 10, []],
    [', of a source as well', 9, ['9 sources=10']],
  ] as const)
    test(`comes before what was held and stands behind it, though it has to be looked up${where}`, () => {
      const limits = { segmentBytes: 16 * 1024, heartbeatMs: 1e9 };
      const ruled = [...rules, '10 retry=0s,1s'];
      const world = brokerOf({ rules: ruled, limits, resume: { places: true } });
      const consumer = (batch = 1) => {
        const joined = world.consumer(bucket, batch);
        world.settle();
        return joined;
      };
      const busy = world.consumer(10, 1);
      world.publish(10, 'busy', 'again', 'more', 'first', 'second');
      const [other, one] = [consumer(2), consumer()];
      const given = [[['busy']], [['again', 'more']], [['first']]];
      assert.deepEqual([busy, other, one].map(batches), given);
      one.vanish();
      world.settle();
      const two = consumer();
      assert.deepEqual(batches(two), [['first']], 'at once');
      two.vanish();
      world.settle();
      const last = consumer();
      assert.deepEqual(batches(last), [['second']], 'the first waits');
      for (let i = 0; i < 40; i++) world.publish(20, 'x'.repeat(1000));
      const { buckets } = world.broker;
      assert.ok(buckets.entries.firstSequence > 5, 'they are in an index');
      other.session.closedFor = 'operator';
      other.vanish();
      world.pass(1050);
      assert.equal(buckets.delayed.count, 0, 'it is ready again');
      last.vanish();
      world.settle();
      const next = consumer();
      const got: string[] = [];
      for (let found = batches(next); found.length > 0; found = batches(next)) {
        got.push(...found.flat());
        next.send(acks(1));
        world.settle();
      }
      assert.deepEqual(got.toSorted(), ['again', 'first', 'more', 'second']);
      assert.ok(got.indexOf('first') < got.indexOf('second'), got.join());
    });

  test('comes with none of another level, also where there is no room to put it apart', () => {
    const prepared = [0, 2, 2, 2, 0, 0];
    const world = brokerOf({ rules: ['* isolate=true'] });
    world.publish(1, ...letters(6));
    const { buckets } = world.broker;
    for (const [i, level] of prepared.entries()) buckets.outcomes.levels.set(i + 1, 1, level);
    buckets.recovered(7, 6, false);
    buckets.isolation.count = Number.POSITIVE_INFINITY;
    const consumer = world.consumer(1, 6);
    for (const expected of [['a'], ['b', 'c'], ['d'], ['e', 'f']]) {
      assert.deepEqual(batches(consumer), [expected]);
      consumer.send(acks(...expected.map(() => 1)));
    }
  });

  test('is no suspect any more when its consumer has answered, whatever becomes durable then', () => {
    const world = brokerOf({ rules: ['* max_deliveries=100'] });
    world.publish(1, ...letters(4));
    world.consumer(1, 4).vanish();
    world.advance(100); // the log is being told
    assert.ok(world.log.appending);
    const next = world.consumer(1, 4);
    assert.deepEqual(batches(next), [['a', 'b']]);
    next.send(acks(3, 3));
    world.settle();
    world.pass(200);
    assert.deepEqual(known(world, 4).slice(0, 2), ['0/0', '0/0']);
  });

  test('the log is told only where a rule makes something of attempts, or it is one that may be', () => {
    for (const [rules, places, told] of [
      [['* batch=100'], false, false],
      [['* max_deliveries=5'], false, true],
      [['* retry=1s'], false, true],
      [['* batch=100'], true, true],
    ] as const) {
      const world = brokerOf({ rules, resume: { places } });
      world.publish(1, ...letters(4));
      world.log.raises = 0;
      world.consumer(1, 4).vanish();
      world.turn();
      const isTold = world.broker.commit.marks.deferred.count > 0;
      assert.deepEqual([isTold, world.log.raises > 0], [told, told && !places], `${rules}`);
    }
  });
});
