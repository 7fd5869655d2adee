// How long messages take: publishes by their commit, deliveries by the age of their first message,
// acks by their delivery; from memory of commits that is bounded, and with a clock of the test's.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Latency } from '../../../src/core/metrics/latency.ts';
import { acks, batch, brokerOf } from '../../support/world.ts';

function setUp() {
  const clock = { ms: 0 };
  const latency = new Latency({ clockMs: () => clock.ms });
  return { clock, latency };
}

const sums = ({ publishMs, deliveryMs, ackMs }: Latency) =>
  [publishMs, deliveryMs, ackMs].map((each) => {
    const { count, sum } = each.summary();
    return [count, sum];
  });

describe('by hand', () => {
  test('the age of a message is that of its commit', () => {
    const { clock, latency } = setUp();
    for (const [first, ms] of [
      [10, 1],
      [20, 2],
      [25, 4],
    ] as const)
      latency.committed(first, ms, 0);
    clock.ms = 10;
    for (const [sequence, age] of [
      [10, 9],
      [19, 9],
      [20, 8],
      [24, 8],
      [25, 6],
      [9999, 6],
    ] as const) {
      const before = latency.deliveryMs.summary().sum;
      assert.equal(latency.delivered(sequence), 10);
      assert.equal(latency.deliveryMs.summary().sum - before, age, `sequence ${sequence}`);
    }
    latency.delivered(9);
    assert.equal(latency.deliveryMs.summary().count, 6, 'from before the start: not known');
    assert.equal(latency.publishMs.summary().count, 0, 'nobody was owed an ack');
  });

  test('commits beyond those that are kept are known to a quarter of a second', () => {
    const { clock, latency } = setUp();
    for (let commit = 0; commit < 10_000; commit++) {
      clock.ms = commit;
      latency.committed(1 + commit * 10, commit, 1);
    }
    const age = (sequence: number) => {
      const before = latency.deliveryMs.summary().sum;
      latency.delivered(sequence);
      return latency.deliveryMs.summary().sum - before;
    };
    assert.equal(age(99_991), 0);
    assert.equal(age(59_051), 9999 - 5905, 'the last that is kept');
    const about = age(30_001);
    assert.ok(about >= 9999 - 3000 && about <= 9999 - 3000 + 250, `${about}`);
  });
});

describe('in a broker', () => {
  test('each batch of a commit counts with its time; a delivery and its acks once', () => {
    const world = brokerOf();
    const { latency } = world.broker;
    const consumer = world.consumer(1, 10);
    world.clockMs = 100;
    world.publish(1, 'a', 'b');
    assert.deepEqual(sums(latency), [
      [1, 0],
      [1, 0],
      [0, 0],
    ]);
    world.clockMs = 107;
    consumer.send(acks(1));
    assert.equal(latency.ackMs.summary().count, 0, 'one of two');
    consumer.send(acks(1));
    assert.deepEqual(sums(latency)[2], [1, 7]);
  });

  test('the time of a commit begins with its first message, whoever sent it', () => {
    const world = brokerOf();
    const { latency } = world.broker;
    const [early, late] = [world.producer(), world.producer()];
    world.clockMs = 50;
    early.send(batch('u64', [1, 'x']));
    world.clockMs = 53;
    late.send(batch('u64', [1, 'y']));
    world.clockMs = 58;
    world.settle();
    assert.deepEqual(sums(latency)[0], [2, 2 * 8]);
    world.clockMs = 60;
    world.consumer(1, 1);
    assert.deepEqual(sums(latency)[1], [1, 10]);
  });

  test('what comes back counts as no first delivery', () => {
    const world = brokerOf();
    const { latency } = world.broker;
    const consumer = world.consumer(1, 1);
    world.publish(1, 'a');
    assert.equal(latency.deliveryMs.summary().count, 1);
    world.clockMs = 500;
    consumer.send(acks(0));
    world.settle();
    assert.equal(world.broker.buckets.unacked, 1, 'delivered again');
    assert.deepEqual(sums(latency)[1], [1, 0]);
    world.clockMs = 505;
    consumer.send(acks(1));
    assert.deepEqual(sums(latency)[2], [2, 500 + 5]);
  });
});
