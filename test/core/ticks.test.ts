// When the broker has to be woken: not at all while nothing is due, and in time for whatever is.
// Time goes from one wake-up that the broker asked for to the next.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WIRE_U64 } from '../../assembly/layout.ts';
import { encodeConsumerHeader } from '../../src/codec/wire.ts';
import { Consumer } from '../../src/core/connections/consumer.ts';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';
import { Random, seedOf } from '../support/random.ts';
import { acks, batch, brokerOf, FakeLink, type World } from '../support/world.ts';

const seed = seedOf('core/ticks.test');

/** Lives until `untilMs`, woken only when the broker wants to be; the disk is quick. */
function live(world: World, untilMs: number, woken = () => {}): void {
  world.settle();
  while (world.dueMs <= untilMs) {
    world.nowMs = Math.max(world.nowMs, world.dueMs);
    world.tick();
    woken();
    world.settle();
  }
  world.nowMs = untilMs;
}

/** The broker has nothing to do, and says so. */
function asleep(): World {
  const world = brokerOf({ limits: { heartbeatMs: DEFAULT_LIMITS.heartbeatMs } });
  live(world, 60_000);
  assert.equal(world.dueMs, Number.POSITIVE_INFINITY);
  world.wakes = 0;
  return world;
}

describe('sleep', () => {
  test('an idle broker is not woken', () => {
    const world = asleep();
    for (let i = 0; i < 20; i++) world.producer();
    live(world, 61_000);
    world.wakes = 0;
    live(world, 3_600_000);
    assert.equal(world.wakes, 0);
  });

  test('after a message it settles down, with its commit proved', () => {
    const world = asleep();
    world.publish(1, 'x');
    assert.equal(world.dueMs, 60_025, 'a tick after something came in');
    live(world, 65_000);
    assert.ok(world.wakes < 30, `${world.wakes}`);
    assert.equal(world.dueMs, Number.POSITIVE_INFINITY);
    assert.ok(world.broker.commit.drained);
  });

  test('acks of consumers are written in time', () => {
    const world = asleep();
    world.publish(1, 'x', 'y');
    live(world, 70_000);
    const consumer = world.consumer(1, 1);
    world.settle();
    world.nowMs = 80_000;
    consumer.send(acks(1));
    const { reasons } = world.broker.commit;
    const before = reasons.acks;
    const tick = 25;
    live(world, 80_000 + world.limits.ackCommitMs + tick);
    assert.equal(reasons.acks, before + 1);
  });

  test('what a peer has begun has its whole time, however long the broker slept', () => {
    const world = asleep();
    world.nowMs = 90_000;
    const silent = world.rawConsumer();
    const producer = world.producer();
    producer.send(batch('u64', [1, 'whole'], [1, 'part']).subarray(0, 40));
    const { consumerHeaderMs, partialMessageMs } = world.limits;
    const closed = (link: FakeLink, sinceMs: number, fromMs: number) => {
      live(world, sinceMs + fromMs);
      assert.equal(link.destroyed, false);
      live(world, sinceMs + fromMs + 150);
      assert.equal(link.destroyed, true);
    };
    closed(silent.link, 90_000, consumerHeaderMs);
    closed(producer.link, 90_000, partialMessageMs);
    assert.ok(world.wakes < 60, `${world.wakes}`);
  });

  test('what was begun by a producer that is read again only now has its time, too', () => {
    const world = brokerOf({ limits: { peerBytesMax: 0 } });
    live(world, 60_000);
    const producer = world.producer();
    producer.link.stuck = true;
    producer.send(batch('u64', [1, 'whole']), batch('u64', [1, 'part']).subarray(0, 20));
    live(world, 90_000);
    assert.ok(producer.link.paused && world.dueMs === Number.POSITIVE_INFINITY);
    producer.read();
    live(world, 90_000 + world.limits.partialMessageMs);
    assert.equal(producer.link.destroyed, false);
    live(world, 90_000 + world.limits.partialMessageMs + 150);
    assert.equal(producer.link.destroyed, true);
  });

  test('a consumer that leaves a heartbeat unacked is found', () => {
    const world = asleep();
    const { link } = world.consumer(1, 1);
    const { heartbeatMs, heartbeatAckMs } = world.limits;
    live(world, 60_000 + heartbeatMs + heartbeatAckMs);
    assert.equal(link.destroyed, false);
    live(world, 60_000 + heartbeatMs + heartbeatAckMs + 150);
    assert.equal(link.destroyed, true);
  });

  test('rates fade while it sleeps, for whoever asks', () => {
    const world = asleep();
    world.publish(1, ...Array.from({ length: 100 }, () => 'x'));
    const slot = world.broker.buckets.find(1, 0);
    const before = world.broker.buckets.rates.publishedOf(slot);
    assert.ok(before > 0);
    live(world, 120_000);
    world.broker.at(120_000);
    assert.ok(world.broker.buckets.rates.publishedOf(slot) < before / 1000);
    assert.equal(world.dueMs, Number.POSITIVE_INFINITY, 'asking wakes nobody');
  });
});

// Consumers that only ack heartbeats, from `fromMs` on; the longest silence of one, and how often
// they were looked at.
function crowd(count: number, openAt: (i: number) => number, seconds: number) {
  const world = asleep();
  const lastMs: number[] = [];
  const said: number[] = [];
  const sessions: Consumer[] = [];
  let silenceMs = 0;
  let beats = 0;
  const open = (i: number) => {
    const link = new FakeLink(WIRE_U64);
    link.send = () => void said.push(i);
    const session = world.broker.openConsumer(link)!;
    session.receive(encodeConsumerHeader({ consumerId: 1n, bucket: BigInt(i % 99), batchSize: 1 }));
    sessions[i] = session;
    lastMs[i] = world.nowMs;
  };
  const hear = () => {
    for (const i of said.splice(0)) {
      beats++;
      silenceMs = Math.max(silenceMs, world.nowMs - lastMs[i]!);
      lastMs[i] = world.nowMs;
      sessions[i]!.receive(acks(1));
    }
  };
  for (let i = 0; i < count; i++) {
    const atMs = 60_000 + openAt(i);
    if (atMs > world.nowMs) live(world, atMs, hear);
    open(i);
  }
  const { advance } = Consumer.prototype;
  let looks = 0;
  Consumer.prototype.advance = function (nowMs) {
    looks++;
    advance.call(this, nowMs);
  };
  world.wakes = 0;
  beats = 0;
  const fromMs = world.nowMs;
  try {
    live(world, fromMs + seconds * 1000, hear);
  } finally {
    Consumer.prototype.advance = advance;
  }
  for (const at of lastMs) silenceMs = Math.max(silenceMs, world.nowMs - at);
  return {
    silenceMs,
    looks: looks / seconds,
    beats: beats / seconds,
    wakes: world.wakes / seconds,
  };
}

describe('10,000 consumers that wait', () => {
  const random = new Random(seed);
  const cases: [name: string, openAt: (i: number) => number][] = [
    ['all at once', () => 0],
    ['one after the other', (i) => i / 5],
    ['in bursts', (i) => Math.floor(i / 2500) * (300 + random.below(100))],
  ];
  for (const [name, openAt] of cases)
    test(`each hears a heartbeat within 2 s; the work is a few looks for each (${name})`, () => {
      const { silenceMs, looks, beats, wakes } = crowd(10_000, openAt, 20);
      assert.ok(silenceMs <= 2000, `silent for ${silenceMs} ms`);
      assert.ok(beats >= 10_000 / 2 && beats <= 10_000 / 1.55, `${beats} heartbeats a second`);
      assert.ok(looks <= 1.1 * beats, `${looks} looks a second for ${beats} heartbeats`);
      assert.ok(wakes <= 40, `${wakes} ticks a second`);
    });

  test('a few of them wake the broker a few times', () => {
    const { silenceMs, wakes } = crowd(10, () => 0, 60);
    assert.ok(silenceMs <= 2000);
    assert.ok(wakes <= 3, `${wakes} a second`);
  });
});
