// An owner that cannot tell whether it still is one hands out nothing, whatever happens meanwhile:
// consumers are closed and charged for nothing, producers stay, and all goes on by itself.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeConsumerHeader } from '../../../src/codec/wire.ts';
import { acks, batch, brokerOf, FakeLink, type World } from '../../support/world.ts';
import { countsOf, texts, worldOf } from './ages.ts';

const delivered = ({ broker }: World) => broker.counters.deliveredMessages;

describe('suspended', () => {
  test('consumers are closed; what they held is ready at once, and nobody is charged', () => {
    // Where all is charged that is lost together, and nothing is a suspect.
    const world = brokerOf({ rules: ['* isolate=false'] });
    world.publish(1, 'a', 'b', 'c');
    const [holds, waits, header] = [
      world.consumer(1, 3),
      world.consumer(1, 3),
      world.rawConsumer(),
    ];
    assert.deepEqual(texts(holds), ['a', 'b', 'c']);
    holds.send(acks(1));
    world.broker.suspend();
    world.broker.suspend();
    const { buckets, commit, counters } = world.broker;
    const next = buckets.peek(buckets.find(1, 0))!;
    assert.deepEqual([next.sequence, next.count, next.attempts, next.level], [2, 2, 0, 0]);
    for (const { link } of [holds, waits, header]) assert.ok(link.destroyed);
    world.turn();
    assert.equal(counters.closedConnections.exhaust.suspended, 3);
    assert.equal(commit.waitingMarks, 1, 'what was acked before is settled, and nothing else said');
    assert.equal(buckets.unacked, 0);
    assert.equal(world.broker.consumers.size, 0);
    const lines = world.notices.filter(({ kind }) => kind === 'delivery.suspended');
    assert.equal(lines.length, 1);
    assert.match(lines[0]!.text, /3 consumers are closed/);
  });

  test('no bytes of who was closed count any more', () => {
    const world = brokerOf();
    world.publish(1, 'a');
    const consumer = world.consumer(1);
    world.broker.suspend();
    consumer.session.receive(acks(1));
    assert.equal(world.broker.counters.ackedMessages, 0);
    assert.equal(world.broker.buckets.ready, 1);
  });

  test('who was lost by its own doing before that is charged as ever', () => {
    const world = brokerOf({ rules: ['* isolate=false'] });
    world.publish(1, 'a');
    const consumer = world.consumer(1);
    consumer.link.destroyed = true; // its end was read, and is told next
    world.broker.suspend();
    world.turn();
    assert.equal(world.broker.counters.closedConnections.exhaust.peer, 1);
    assert.equal(world.broker.buckets.outcomes.attempts.get(1), 1);
  });

  test('consumers are turned away and named, producers are let in and answered', () => {
    const world = brokerOf();
    world.broker.suspend();
    const link = new FakeLink(8);
    assert.equal(world.broker.openConsumer(link), undefined);
    assert.ok(link.destroyed);
    assert.equal(world.broker.counters.refusedConnections, 1);
    assert.equal(world.notices.at(-1)?.kind, 'connections.suspended');
    const producer = world.producer();
    producer.send(batch('u64', [1, 'a']));
    world.settle();
    assert.deepEqual(producer.take(), acks(1));
    world.broker.goOn();
    world.broker.goOn();
    assert.equal(world.notices.filter(({ kind }) => kind === 'delivery.goes-on').length, 1);
    assert.deepEqual(texts(world.consumer(1)), ['a']);
  });

  test('nothing fires, expires or moves; then all does that was due', () => {
    const world = worldOf(['2 ttl=5s', '3 delay=2s', '4 retry=2s', '5 rate=1', '9 sources=3']);
    world.publish(2, 'old');
    world.publish(3, 'later');
    world.publish(4, 'again');
    world.publish(5, 'now', 'at its rate');
    const failing = world.consumer(4);
    assert.deepEqual(texts(failing), ['again']);
    failing.send(acks(0));
    const [paced, virtual] = [world.consumer(5), world.consumer(9)];
    assert.deepEqual(texts(paced), ['now']);
    paced.send(acks(1));
    world.settle();
    world.broker.suspend();
    const before = delivered(world);
    world.pass(20_000);
    assert.equal(delivered(world), before);
    assert.deepEqual(texts(virtual), []);
    assert.deepEqual(countsOf(world), [4, 0, 0, 0]);
    world.broker.goOn();
    world.pass(3000);
    assert.deepEqual(countsOf(world), [3, 1, 1, 0]);
    const [later, again, rest] = [world.consumer(9), world.consumer(4), world.consumer(5)];
    world.settle();
    assert.deepEqual([later, again, rest].map(texts), [['later'], ['again'], ['at its rate']]);
  });

  test('the dead in a line are left there; then they are moved', () => {
    const world = worldOf(['1 max_deliveries=1 isolate=false']);
    world.publish(1, 'a', 'b');
    const consumer = world.consumer(1, 1);
    world.broker.suspend();
    world.pass(1000);
    assert.equal(world.broker.buckets.outcomes.attempts.get(1), 0);
    assert.equal(world.broker.buckets.dead, 0, 'what it held is not dead by that');
    consumer.send(acks(0));
    world.pass(1000);
    assert.equal(world.broker.buckets.dead, 0, 'nor by a word of it');
    world.broker.goOn();
    const next = world.consumer(1, 1);
    assert.deepEqual(texts(next), ['a']);
    next.send(acks(0));
    world.settle();
    assert.equal(world.broker.buckets.dead, 1);
  });

  test('who takes a line is not told; then it is', () => {
    const world = brokerOf();
    world.publish(1, 'a');
    const { broker } = world;
    const slot = broker.buckets.find(1, 0);
    broker.suspend();
    let told = 0;
    broker.dispatcher.occupy(slot, () => void told++);
    broker.dispatch(slot);
    world.pass(1000);
    assert.equal(told, 0);
    broker.goOn();
    assert.equal(told, 1);
  });

  test('it ticks for nothing while it is so', () => {
    const world = worldOf(['1 ttl=5s']);
    world.publish(1, 'a');
    world.broker.suspend();
    world.broker.dispatch(world.broker.buckets.find(1, 0));
    world.pass(6000);
    assert.equal(world.broker.buckets.ready, 1);
    const { wakes } = world;
    world.pass(60_000);
    assert.ok(world.wakes - wakes < 5, `woken ${world.wakes - wakes} times in a minute`);
  });
});

describe('no permission', () => {
  for (const [where, rules] of [
    ['a bucket', []],
    ['sources of a virtual bucket', ['9 sources=1']],
  ] as const)
    test(`${where}: nothing is handed out, consumers stay; it goes on with a tick`, () => {
      let may = true;
      const world = brokerOf({ rules, mayDeliver: () => may });
      const bucket = rules.length > 0 ? 9 : 1;
      const [first, second] = [world.consumer(bucket, 1), world.consumer(bucket, 1)];
      world.settle();
      world.publish(1, 'a');
      assert.deepEqual(texts(first), ['a']);
      may = false;
      world.publish(1, 'b', 'c');
      first.send(acks(0));
      world.pass(500);
      assert.deepEqual([first, second].map(texts), [[], []]);
      assert.ok(!first.link.destroyed && !second.link.destroyed);
      may = true;
      world.pass(25);
      assert.deepEqual([second, first].flatMap(texts).toSorted(), ['a', 'b']);
      assert.equal(world.broker.buckets.unacked, 2);
    });

  test('is asked for once a dispatch, however many messages and consumers', () => {
    let asked = 0;
    const may = () => ++asked > 0;
    const world = brokerOf({ mayDeliver: may });
    for (let i = 0; i < 3; i++) world.consumer(1, 2);
    world.settle();
    asked = 0;
    world.publish(1, ...'abcdef');
    assert.equal(delivered(world), 6);
    assert.equal(asked, 1);
  });

  test('a consumer that comes is let in, and served when it may be', () => {
    let may = false;
    const world = brokerOf({ mayDeliver: () => may });
    world.publish(1, 'a');
    const consumer = world.rawConsumer();
    consumer.send(encodeConsumerHeader({ consumerId: 1n, bucket: 1n, batchSize: 5 }));
    world.pass(500);
    assert.equal(delivered(world), 0);
    may = true;
    world.pass(25);
    assert.deepEqual(texts(consumer), ['a']);
  });

  test('suspended meanwhile: it goes on only with both', () => {
    let may = false;
    const world = brokerOf({ mayDeliver: () => may });
    world.publish(1, 'a');
    world.broker.suspend();
    may = true;
    world.broker.dispatch(world.broker.buckets.find(1, 0));
    world.pass(500);
    may = false;
    world.broker.goOn();
    const consumer = world.consumer(1);
    world.pass(500);
    assert.equal(delivered(world), 0);
    may = true;
    world.pass(25);
    assert.deepEqual(texts(consumer), ['a']);
  });
});
