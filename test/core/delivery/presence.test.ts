// A delivery that nobody can have seen is no failed one: connections that were given up before they
// were served, and peers that went while the broker stood still, are charged nothing.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeConsumerHeader } from '../../../src/codec/wire.ts';
import { acks, batch, brokerOf, textOf, type World } from '../../support/world.ts';

const header = encodeConsumerHeader({ consumerId: 1n, bucket: 1n, batchSize: 10 });

const redelivered = ({ broker }: World) => broker.counters.redeliveredMessages;
const attempts = ({ broker }: World) => broker.buckets.outcomes.attempts.get(1);

describe('who gave up before it was served', () => {
  // As they come out of the system's queue after a standstill: header and end, one after the other.
  for (const turns of [0, 1])
    test(`leaves no attempt behind, its end read ${turns} turns after its header`, () => {
      const world = brokerOf();
      world.publish(1, 'a');
      for (let i = 0; i < 5; i++) {
        const given = world.rawConsumer();
        given.send(header);
        for (let turn = 0; turn < turns; turn++) assert.ok(world.wake());
        given.finish();
        world.settle();
        assert.ok(given.link.destroyed);
      }
      assert.equal(attempts(world), 0);
      const consumer = world.consumer(1, 10);
      world.settle();
      assert.match(textOf(consumer.take()), /a/);
      assert.equal(redelivered(world), 0);
      assert.equal(world.broker.counters.deliveredMessages, 1);
    });

  test('is found out also when it waited long for a message, and is gone when one comes', () => {
    const world = brokerOf();
    const waiting = Array.from({ length: 5 }, () => world.consumer(1, 10));
    const living = world.consumer(1, 10);
    world.settle();
    // Closed, and not told to the sessions yet.
    for (const { link } of waiting) link.destroyed = true;
    world.publish(1, 'a');
    assert.match(textOf(living.take()), /a/);
    assert.equal(world.broker.counters.deliveredMessages, 1);
  });

  test('is charged once for what it held, and the others that went with it not at all', () => {
    const world = brokerOf();
    const peers = Array.from({ length: 6 }, () => world.consumer(1, 10));
    world.publish(1, 'a');
    // The ends of all are read in one turn, and sessions are told behind that.
    for (const { link } of peers) link.destroyed = true;
    world.settle();
    assert.equal(attempts(world), 1);
    const consumer = world.consumer(1, 10);
    world.settle();
    assert.match(textOf(consumer.take()), /a/);
    assert.equal(redelivered(world), 1);
  });

  test('a consumer that has come is served when its turn is over, whoever else comes', () => {
    const world = brokerOf();
    world.publish(1, ...'abcdefgh');
    const consumers = Array.from({ length: 8 }, () => {
      const consumer = world.rawConsumer();
      consumer.send(encodeConsumerHeader({ consumerId: 1n, bucket: 1n, batchSize: 1 }));
      world.wake();
      return consumer;
    });
    while (world.wake());
    assert.deepEqual(
      consumers.map((consumer) => textOf(consumer.take()).at(-1)),
      [...'abcdefgh'],
    );
  });
});

describe('after a standstill', () => {
  test('what is ready waits until all is read that has come meanwhile', () => {
    const world = brokerOf();
    const [dead, living] = [world.consumer(1, 10), world.consumer(1, 10)];
    const other = world.consumer(2, 10);
    world.settle();
    const producer = world.producer();
    world.broker.presence.stoodStill();
    // The disk is heard first.
    world.publish(1, 'a');
    world.publish(2, 'b');
    assert.ok(!producer.link.destroyed);
    assert.match(textOf(living.take()) + textOf(dead.take()), /a/);
    assert.match(textOf(other.take()), /b/);
    // Once more, step by step: nothing is sent before the second turn, and then not to the dead.
    for (const each of [dead, living]) if (each.session.unacked > 0) each.send(acks(1));
    world.settle();
    assert.equal(world.broker.buckets.unackedOf(world.broker.buckets.find(1, 0)), 0);
    world.broker.presence.stoodStill();
    const slot = world.broker.buckets.find(2, 0);
    other.send(acks(0)); // failed: ready again at once
    assert.equal(world.broker.buckets.unackedOf(slot), 0);
    assert.ok(world.wake());
    assert.equal(world.broker.buckets.unackedOf(slot), 0);
    other.finish();
    while (world.wake());
    assert.equal(world.broker.buckets.unackedOf(slot), 0);
    assert.equal(world.broker.counters.redeliveredMessages, 0);
  });

  test('who stands still again in every turn delivers all the same, if seldom', () => {
    const world = brokerOf();
    const consumer = world.consumer(1, 10);
    world.settle();
    world.publish(1, 'a');
    const { broker } = world;
    for (let deliveries = 1; deliveries < 4; deliveries++) {
      assert.equal(broker.counters.deliveries, deliveries);
      broker.presence.stoodStill();
      consumer.send(acks(0)); // failed: ready again at once
      for (let turns = 0; broker.counters.deliveries === deliveries; turns++) {
        assert.ok(turns < 20, 'nothing is delivered');
        broker.presence.stoodStill();
        world.wake();
      }
    }
  });

  test('it is found out by the disk, too, which may be heard before peers and the clock', () => {
    let late = false;
    const world = brokerOf({ isLate: () => late });
    const consumer = world.consumer(1, 10);
    const producer = world.producer();
    world.settle();
    world.publish(1, 'first');
    assert.match(textOf(consumer.take()), /first/);
    consumer.send(acks(1));
    late = true;
    producer.send(batch('u64', [1, 'second']));
    world.turn();
    world.log.complete();
    assert.equal(consumer.take().length, 0);
    late = false;
    world.settle();
    assert.match(textOf(consumer.take()), /second/);
  });
});
