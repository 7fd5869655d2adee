// How long a lease lasts: from the delivery or the last word, and as a rule says that changed. And
// leases of consumers of a broker by hand: who renews them, with which bytes, and what is over.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { REASON_DELIVERIES } from '../../../assembly/layout-placed.ts';
import { DeliveryDecoder, encodeConsumerHeader } from '../../../src/codec/wire.ts';
import { Lease } from '../../../src/core/connections/lease.ts';
import { acks, brokerOf, rulesOf, smallCodec, textOf, type World } from '../../support/world.ts';

/** The frames that came since the last call, each as its texts. */
function frames(peer: ReturnType<World['consumer']>): string[][] {
  return new DeliveryDecoder('u64')
    .push(peer.take())
    .map((frame) => Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))));
}

const kinds = (world: World) => world.notices.map((notice) => notice.kind);
const letters = (count: number) => Array.from({ length: count }, (_, i) => `m${i}`);
const work = (count: number) => new Uint8Array(count).fill(255);

test('it lasts from the delivery, and anew from each word', () => {
  const lease = new Lease();
  assert.equal(lease.endsMs(500), Number.POSITIVE_INFINITY, 'nothing is held');
  lease.begin(500, 1000);
  assert.equal(lease.endsMs(500), 1500);
  lease.renew(1499.5);
  assert.equal(lease.endsMs(500), 1999.5);
});

test('without a rule it lasts as long as the connection', () => {
  const lease = new Lease();
  lease.begin(0, 1000);
  lease.renew(2000);
  assert.equal(lease.endsMs(0), Number.POSITIVE_INFINITY);
  assert.equal(lease.endsMs(50), Number.POSITIVE_INFINITY, 'a new rule is for the next delivery');
});

test('a longer lease holds at once, a shorter one from the next delivery on', () => {
  const lease = new Lease();
  lease.begin(500, 1000);
  assert.equal(lease.endsMs(800), 1800);
  assert.equal(lease.endsMs(100), 1800);
  lease.begin(100, 2000);
  assert.equal(lease.endsMs(100), 2100);
  assert.equal(lease.endsMs(0), Number.POSITIVE_INFINITY, 'none is the longest');
});

describe('signs of work', () => {
  test('take no place between acks, split anywhere', () => {
    const bytes = [255, 1, 255, 255, 0, 1, 255];
    for (let cut = 0; cut <= bytes.length; cut++) {
      const world = brokerOf();
      world.publish(1, 'a', 'b', 'c', 'd');
      const consumer = world.consumer(1, 3);
      assert.deepEqual(frames(consumer), [['a', 'b', 'c']]);
      for (const piece of [bytes.slice(0, cut), bytes.slice(cut)])
        consumer.send(Uint8Array.from(piece));
      assert.deepEqual(frames(consumer), [['b', 'd']], `cut at ${cut}`);
      const { ackedMessages, failedMessages } = world.broker.counters;
      assert.deepEqual([ackedMessages, failedMessages], [2, 1]);
      assert.deepEqual(kinds(world), []);
    }
  });

  test('mean nothing before a delivery, and put no heartbeat off', () => {
    const world = brokerOf();
    const header = encodeConsumerHeader({ consumerId: 5n, bucket: 1n, batchSize: 1 });
    const consumer = world.rawConsumer();
    consumer.send(Uint8Array.from([...header, 255, 255]));
    world.arrive();
    world.advance(400);
    consumer.send(work(65_536));
    world.advance(375);
    assert.deepEqual(frames(consumer), []);
    world.advance(25);
    assert.deepEqual(frames(consumer), [['']]);
    consumer.send(acks(1));
    world.publish(1, 'a', 'b');
    consumer.send(acks(1), work(2));
    assert.deepEqual(frames(consumer), [['a'], ['b']]);
    assert.equal(consumer.link.destroyed, false);
  });

  test('answer no heartbeat', () => {
    const world = brokerOf();
    const consumer = world.consumer(1);
    world.advance(800, true);
    assert.deepEqual(frames(consumer), [['']]);
    world.publish(1, 'a');
    consumer.send(work(3));
    assert.deepEqual(frames(consumer), []);
    consumer.send(Uint8Array.of(255, 1, 255));
    assert.deepEqual(frames(consumer), [['a']]);
    const other = world.consumer(2);
    for (let at = 0; at < 21_600; at += 200) {
      other.send(work(1));
      world.advance(200);
    }
    assert.ok(other.link.destroyed, 'who does not ack it is dead');
    assert.deepEqual(kinds(world), ['consumer.dead']);
  });

  test('hide no ack too many, and are none', () => {
    const world = brokerOf();
    world.publish(1, 'a', 'b');
    const consumer = world.consumer(1, 2);
    consumer.send(Uint8Array.of(255, 1, 255, 255));
    assert.equal(consumer.link.destroyed, false);
    consumer.send(Uint8Array.of(1, 255, 1));
    assert.ok(consumer.link.destroyed);
    assert.match(world.notices.at(-1)!.text, /: 1 more messages were acked than delivered/);
    const beat = world.consumer(2);
    world.advance(800, true);
    beat.send(Uint8Array.of(255, 1, 255, 1));
    assert.match(world.notices.at(-1)!.text, /: 1 more messages were acked than delivered/);
  });
});

describe('leases', () => {
  const leased = (...rules: string[]) => brokerOf({ rules });

  test('what is held in silence is ready for others, and the connection closed', () => {
    const world = leased('* lease=1s');
    world.publish(1, 'a', 'b', 'c');
    const silent = world.consumer(1, 3);
    const other = world.consumer(1, 10);
    assert.deepEqual(frames(silent), [['a', 'b', 'c']]);
    silent.send(acks(1));
    world.advance(1000);
    assert.equal(silent.link.destroyed, false);
    other.send(acks(1)); // its heartbeat
    frames(other);
    world.advance(50);
    assert.ok(silent.link.destroyed);
    assert.deepEqual(frames(other), [['b']], 'one of them may be to blame');
    other.send(acks(1));
    assert.deepEqual(frames(other), [['c']]);
    const { counters, buckets } = world.broker;
    assert.equal(counters.closedConnections.exhaust.lease, 1);
    assert.equal(counters.failedMessages, 0);
    assert.equal(counters.redeliveredMessages, 2);
    assert.equal(counters.suspectedMessages, 2, 'no attempt is charged to them');
    assert.equal(buckets.unacked, 1);
    const [{ level, kind, text }] = world.notices as [World['notices'][0]];
    assert.deepEqual([level, kind], ['warn', 'consumer.lease']);
    assert.match(text, /held 2 messages of bucket 1 and sent nothing for 1 s, the lease/);
    assert.match(text, /send 0xFF meanwhile/);
  });

  test('no byte that comes too late settles what another one has', () => {
    const world = leased('* lease=200ms');
    world.publish(1, 'a');
    const late = world.consumer(1);
    const other = world.consumer(1);
    world.advance(300, true);
    assert.ok(late.link.destroyed);
    assert.deepEqual(frames(other), [['a']]);
    late.session.receive(acks(1));
    late.session.receive(work(1));
    assert.equal(world.broker.counters.ackedMessages, 0);
    assert.equal(world.broker.buckets.unacked, 1);
    other.send(acks(1));
    world.advance(200, true);
    assert.ok(world.broker.quiet);
    assert.deepEqual(kinds(world), ['consumer.lease']);
  });

  test('nobody has the messages before the connection is closed', () => {
    const world = leased('* lease=200ms');
    world.publish(1, 'a');
    const silent = world.consumer(1);
    const other = world.consumer(1);
    const send = other.link.send.bind(other.link);
    const closed: boolean[] = [];
    other.link.send = (bytes) => {
      closed.push(silent.link.destroyed);
      send(bytes);
    };
    world.advance(300, true);
    assert.deepEqual(closed, [true]);
  });

  for (const [name, bytes] of [
    ['acks', acks(1)],
    ['failures', acks(0)],
    ['signs of work', work(1)],
    ['many signs of work', work(5000)],
  ] as const) {
    test(`${name} renew a lease, each anew`, () => {
      const world = leased('1 lease=1s');
      world.publish(1, ...letters(20));
      const consumer = world.consumer(1, 20);
      for (let i = 0; i < 10; i++) {
        world.advance(990, true);
        consumer.send(bytes);
      }
      assert.equal(consumer.link.destroyed, false);
      world.advance(990, true);
      assert.equal(consumer.link.destroyed, false, 'the last one, too');
      world.advance(60, true);
      assert.ok(consumer.link.destroyed);
    });
  }

  test('each delivery has its own, and who waits for one has none', () => {
    const world = leased('1 lease=300ms');
    const consumer = world.consumer(1, 1);
    for (let i = 0; i < 5; i++) {
      world.advance(500, true);
      world.publish(1, 'a', 'b');
      world.advance(250, true);
      consumer.send(acks(1));
      world.advance(250, true);
      consumer.send(acks(1));
      assert.equal(consumer.link.destroyed, false);
    }
    assert.equal(world.broker.counters.ackedMessages, 10);
  });

  test('never early and at most 50 ms late, wherever it begins', () => {
    for (let at = 0; at < 60; at += 3) {
      const world = leased('1 lease=130ms');
      world.advance(at);
      world.publish(1, 'a');
      const consumer = world.consumer(1);
      const begun = world.nowMs;
      while (!consumer.link.destroyed) world.advance(1);
      const took = world.nowMs - begun;
      assert.ok(took >= 130 && took <= 180, `${took} ms, begun at ${begun}`);
    }
  });

  test('without a rule a delivery is held as long as its connection lives', () => {
    const world = leased('1 lease=1s');
    world.publish(2, 'a');
    const consumer = world.consumer(2);
    world.advance(3_600_000, true);
    assert.equal(consumer.link.destroyed, false);
  });

  test('a long lease lets the broker sleep until it is over', () => {
    const world = leased('1 lease=1h');
    world.publish(1, 'a');
    const consumer = world.consumer(1);
    world.advance(60_000, true);
    const before = world.wakes;
    world.advance(3_540_000 - 50, true);
    assert.equal(consumer.link.destroyed, false);
    assert.equal(world.wakes, before);
    world.advance(100, true);
    assert.ok(consumer.link.destroyed);
  });

  test('a rule that sets or shortens a lease is for the next delivery, a longer one holds at once', () => {
    const world = leased('7 lease=1s');
    world.publish(1, 'a', 'b');
    const consumer = world.consumer(1, 1);
    world.broker.rulesInForce!.use(rulesOf('1 lease=1s'));
    world.advance(5000, true);
    assert.equal(consumer.link.destroyed, false);
    consumer.send(acks(1));
    world.advance(900, true);
    world.broker.rulesInForce!.use(rulesOf('1 lease=3s'));
    world.advance(2000, true);
    assert.equal(consumer.link.destroyed, false);
    world.broker.rulesInForce!.use(rulesOf('1 lease=1s'));
    world.advance(50, true);
    assert.equal(consumer.link.destroyed, false, 'this delivery may last as long');
    world.advance(100, true);
    assert.ok(consumer.link.destroyed);
  });

  test('a pause and max_in_flight do not stop it', () => {
    const world = leased('* lease=1s max_in_flight=1');
    world.publish(1, 'a', 'b');
    const silent = world.consumer(1);
    const other = world.consumer(1);
    assert.deepEqual(frames(silent), [['a']]);
    world.broker.paused.set('1', true);
    world.advance(1100, true);
    assert.ok(silent.link.destroyed);
    assert.equal(world.broker.buckets.readyOf(other.session.slot), 2);
    assert.equal(world.broker.buckets.unacked, 0);
  });

  test('what is read after a standstill, before the tick, renews a lease', () => {
    const world = leased('1 lease=50ms');
    world.publish(1, 'a');
    const consumer = world.consumer(1);
    // The clock goes on by 100 ms at most; then what came is read, and then comes the tick.
    world.nowMs += 100;
    consumer.send(work(1));
    world.broker.advance(world.nowMs);
    world.advance(25);
    assert.equal(consumer.link.destroyed, false);
    world.advance(75);
    assert.ok(consumer.link.destroyed);
  });

  test('1 ms for batches of 65,536: they come smaller until they can be done', () => {
    const MESSAGES = 65_536;
    const CAN = 1000; // that its consumers do within the lease
    const codec = smallCodec(8 * 1024 * 1024, 8 * 1024 * 1024);
    const limits = { segmentBytes: 8 * 1024 * 1024 };
    const world = brokerOf({ codec, limits, rules: ['1 lease=1ms max_deliveries=1'] });
    world.publish(1, ...letters(MESSAGES));
    const done = new Set<string>();
    let closed = 0;
    for (let consumer = world.consumer(1); done.size < MESSAGES; ) {
      const bodies = frames(consumer).flat();
      if (bodies.length > CAN) {
        world.advance(100, true);
        assert.ok(consumer.link.destroyed, 'its lease was over');
        assert.ok(++closed < 200, 'it has no end');
        consumer = world.consumer(1);
        continue;
      }
      for (const body of bodies) {
        assert.ok(!done.has(body), `${body} was done`);
        done.add(body);
      }
      consumer.send(new Uint8Array(bodies.length).fill(1));
      world.settle();
    }
    // 65,536, then twice half of it, four times a quarter, and so on until 512 can be done.
    assert.equal(closed, 127);
    assert.deepEqual([...world.broker.counters.dead].filter(Boolean), [], 'nobody was alone');
    assert.equal(world.broker.buckets.ready, 0);
  });

  test('1 ms for consumers that do nothing: each message dies alone, and no sooner', () => {
    const MESSAGES = 64;
    const world = brokerOf({
      rules: ['1 lease=1ms max_deliveries=2'],
      resume: { places: true },
    });
    world.publish(1, ...letters(MESSAGES));
    let closed = 0;
    let alone = 0;
    for (; world.broker.buckets.readyOf(world.broker.buckets.find(1, 0)) > 0; closed++) {
      const consumer = world.consumer(1);
      if (frames(consumer).flat().length === 1) alone++;
      world.advance(100, true);
      assert.ok(consumer.link.destroyed);
      assert.ok(closed < 4 * MESSAGES, 'it has no end');
    }
    assert.deepEqual([alone, closed], [2 * MESSAGES, 2 * MESSAGES + MESSAGES - 1]);
    const { counters } = world.broker;
    assert.equal(counters.dead[REASON_DELIVERIES], MESSAGES);
    assert.equal(counters.closedConnections.exhaust.lease, closed);
  });
});
