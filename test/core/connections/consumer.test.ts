// The consumer's session with a broker and a log by hand: what is delivered to whom and in which
// order, what comes back, heartbeats, and who is closed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BATCH_MESSAGES_MAX, WIRE_U32, WIRE_U64 } from '../../../assembly/layout.ts';
import {
  DeliveryDecoder,
  encodeConsumerHeader,
  encodeHeartbeat,
  type Frame,
} from '../../../src/codec/wire.ts';
import type { Codec } from '../../../src/core/ports/codec.ts';
import { freshEngine } from '../../support/engine.ts';
import { Random, seedOf } from '../../support/random.ts';
import { acks, batch, brokerOf, smallCodec, textOf, type World } from '../../support/world.ts';

const seed = seedOf('core/connections/consumer.test');
const codecs: [string, () => Codec][] = [
  ['plain', smallCodec],
  ['wasm', freshEngine],
];

type ConsumerPeer = ReturnType<World['consumer']>;

/** The frames that came since the last call, each as its texts. */
function frames(peer: ConsumerPeer): string[][] {
  const decoder = new DeliveryDecoder(peer.link.wire === WIRE_U64 ? 'u64' : 'u32');
  const found = decoder.push(peer.take());
  assert.equal(decoder.pendingBytes, 0, 'a frame is incomplete');
  return found.map((frame: Frame) =>
    Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))),
  );
}

const kinds = (world: World) => world.notices.map((notice) => notice.kind);
const letters = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `m${from + i}`);

describe('delivery', () => {
  for (const [name, codec] of codecs) {
    for (const wire of [WIRE_U32, WIRE_U64]) {
      test(`batches in order, the next when all of the last is acked (${name}, ${wire})`, () => {
        const world = brokerOf({ codec: codec() });
        world.publish(1, ...letters(7));
        const consumer = world.consumer(1, 3, wire);
        assert.equal(consumer.link.pieces.length, 1, 'a batch is one piece');
        assert.deepEqual(frames(consumer), [['m0', 'm1', 'm2']]);
        consumer.send(acks(1, 1));
        assert.deepEqual(frames(consumer), []);
        consumer.send(acks(1));
        assert.deepEqual(frames(consumer), [['m3', 'm4', 'm5']]);
        consumer.send(acks(1), acks(1), acks(1));
        assert.deepEqual(frames(consumer), [['m6']]);
        consumer.send(acks(1));
        assert.equal(world.broker.buckets.unacked, 0);
        world.advance(200, true);
        assert.ok(world.broker.quiet);
      });
    }
  }

  test('nothing before it is durable', () => {
    const world = brokerOf();
    const consumer = world.consumer(1);
    const producer = world.producer();
    producer.send(batch('u64', [1, 'a']));
    world.turn();
    world.advance(500);
    assert.deepEqual(frames(consumer), []);
    world.log.complete();
    assert.deepEqual(frames(consumer), [['a']]);
  });

  test('nothing of another bucket, whatever its number', () => {
    const world = brokerOf();
    const numbers = [0n, 1n, 2n ** 32n, 2n ** 32n + 1n, 2n ** 64n - 1n];
    for (const bucket of numbers) world.publish(bucket, `to ${bucket}`);
    for (const bucket of numbers)
      assert.deepEqual(frames(world.consumer(bucket)), [[`to ${bucket}`]]);
    assert.deepEqual(frames(world.consumer(2n)), []);
  });

  test('a frame is capped in bytes; a larger message travels alone', () => {
    const world = brokerOf({ limits: { deliveryBytesMax: 100, deliveryBytesMaxU32: 60 } });
    world.publish(1, ...letters(12), 'x'.repeat(500), 'y');
    const consumer = world.consumer(1);
    const sizes: number[] = [];
    for (let got = frames(consumer); got.length > 0; got = frames(consumer)) {
      assert.equal(got.length, 1);
      sizes.push(got[0]!.length);
      consumer.send(new Uint8Array(got[0]!.length).fill(1));
    }
    assert.deepEqual(sizes, [9, 3, 1, 1]);
    for (const piece of consumer.link.pieces.filter((p) => p.length < 500))
      assert.ok(piece.length <= 100);
    world.publish(2, ...letters(12));
    const old = world.consumer(2, 100, WIRE_U32);
    assert.equal(old.link.bytes.length, 4 + 9 * 6);
  });

  test('a batch gathers the records of several commits', () => {
    const world = brokerOf();
    for (const letter of letters(5)) world.publish(1, letter);
    assert.deepEqual(frames(world.consumer(1)), [letters(5)]);
  });

  test('consumers of a bucket take turns', () => {
    const world = brokerOf();
    const consumers = [0, 1, 2].map(() => world.consumer(1, 2));
    const counts = [0, 0, 0];
    for (let round = 0; round < 30; round++) {
      world.publish(1, ...letters(2));
      consumers.forEach((consumer, i) => {
        for (const frame of frames(consumer)) {
          counts[i]! += frame.length;
          consumer.send(new Uint8Array(frame.length).fill(1));
        }
      });
    }
    assert.deepEqual(counts, [20, 20, 20]);
  });

  test('the header may come in any pieces, with acks behind it', () => {
    const header = encodeConsumerHeader({ consumerId: 5n, bucket: 1n, batchSize: 2 });
    for (let cut = 0; cut <= header.length; cut++) {
      const world = brokerOf();
      world.publish(1, 'a', 'b', 'c');
      const consumer = world.rawConsumer();
      consumer.send(header.subarray(0, cut));
      consumer.send(header.subarray(cut));
      world.arrive();
      assert.deepEqual(frames(consumer), [['a', 'b']]);
      assert.equal(consumer.session.consumerId, '5');
    }
    const world = brokerOf();
    world.publish(1, 'a', 'b', 'c');
    const eager = world.rawConsumer();
    eager.send(new Uint8Array([...header, 1, 1]));
    assert.deepEqual(frames(eager), [['a', 'b'], ['c']]);
  });
});

describe('what comes back', () => {
  test('a failed message is ready at once, at its old place', () => {
    const world = brokerOf();
    world.publish(1, ...letters(6));
    const [first, second] = [world.consumer(1, 3), world.consumer(1, 10)];
    assert.deepEqual(frames(first), [['m0', 'm1', 'm2']]);
    assert.deepEqual(frames(second), [['m3', 'm4', 'm5']]);
    second.send(acks(1, 0, 1));
    assert.deepEqual(frames(second), [['m4']], 'the one that waits gets it');
    first.send(acks(1, 7, 0)); // any byte but 1
    assert.deepEqual(frames(first), [['m1', 'm2']]);
    first.send(acks(1, 1));
    second.send(acks(1));
    assert.equal(world.broker.buckets.ready + world.broker.buckets.unacked, 0);
    assert.equal(world.broker.counters.failedMessages, 3);
    assert.equal(world.broker.counters.redeliveredMessages, 3);
  });

  test('one that fails goes to whoever waits, while the others of its batch are unacked', () => {
    const world = brokerOf();
    world.publish(1, ...letters(3));
    const [first, second] = [world.consumer(1, 3), world.consumer(1, 3)];
    assert.deepEqual(frames(first), [['m0', 'm1', 'm2']]);
    first.send(acks(1, 0));
    assert.deepEqual(frames(second), [['m1']]);
  });

  test('what came back goes before what still waits, oldest first', () => {
    const world = brokerOf();
    world.publish(1, ...letters(8));
    const consumer = world.consumer(1, 4);
    assert.deepEqual(frames(consumer), [letters(4)]);
    consumer.send(acks(0, 1, 0, 0));
    assert.deepEqual(frames(consumer), [['m0', 'm2', 'm3', 'm4']]);
    consumer.send(acks(1, 1, 1, 1));
    assert.deepEqual(frames(consumer), [['m5', 'm6', 'm7']]);
  });

  test('everything unacked when a connection ends, for whoever is there', () => {
    const world = brokerOf();
    world.publish(1, ...letters(6));
    const [first, second] = [world.consumer(1, 4), world.consumer(1, 4)];
    frames(first);
    assert.deepEqual(frames(second), [['m4', 'm5']]);
    first.send(acks(1, 0));
    first.vanish();
    assert.deepEqual(frames(second), []);
    second.send(acks(1, 1));
    // In halves, apart from the one that failed by a byte: one of them may be to blame.
    assert.deepEqual(frames(second), [['m2']]);
    second.send(acks(1));
    assert.deepEqual(frames(second), [['m1']]);
    second.send(acks(1));
    assert.deepEqual(frames(second), [['m3']]);
    second.finish();
    world.turn();
    assert.ok(second.link.destroyed, 'a consumer that sends no more can ack no more');
    assert.deepEqual(frames(world.consumer(1)), [['m3']]);
  });

  test('marks ride in the next commit, and need none of their own', () => {
    const world = brokerOf();
    world.publish(1, 'a', 'b');
    const consumer = world.consumer(1);
    consumer.send(acks(1, 1));
    assert.equal(world.log.appending, false);
    const before = world.log.durable.length;
    world.publish(2, 'c');
    assert.equal(world.log.durable.length, before + 1, 'a commit of their own was not needed');
    assert.equal(world.broker.commit.reasons.acks, 0);
    world.advance(200, true);
    assert.ok(world.broker.quiet);
  });

  test('marks alone are written when they have waited long enough', () => {
    const world = brokerOf({ limits: { ackCommitMs: 50 } });
    world.publish(1, 'a');
    world.advance(500, true); // the proof of the batch comes first
    const consumer = world.consumer(1);
    consumer.send(acks(1));
    const before = world.log.durable.length;
    world.advance(50, true);
    assert.equal(world.log.durable.length, before);
    world.advance(50, true);
    assert.equal(world.log.durable.length, before + 1);
    assert.equal(world.broker.commit.reasons.acks, 1);
  });

  test('random acks, failures and broken connections lose nothing and keep the order', () => {
    const random = new Random(seed);
    for (let round = 0; round < 30; round++) {
      const world = brokerOf({ limits: { segmentBytes: 16 * 1024 } });
      const waiting = new Map<ConsumerPeer, string[]>();
      const done = new Set<string>();
      let published = 0;
      const total = 150;
      while (done.size < total) {
        if (published < total && random.chance(0.4)) {
          const count = Math.min(1 + random.below(10), total - published);
          world.publish(1, ...letters(count, published));
          published += count;
        }
        if (waiting.size < 4 && random.chance(0.5))
          waiting.set(world.consumer(1, 1 + random.below(6)), []);
        for (const [peer, held] of waiting) {
          for (const frame of frames(peer)) {
            if (frame[0] === '') peer.send(acks(1));
            else held.push(...frame);
          }
          const numbers = held.map((text) => Number(text.slice(1)));
          const sorted = [...numbers].sort((a, b) => a - b);
          assert.deepEqual(numbers, sorted, 'one batch is in order');
          const count = Math.min(held.length, random.below(5));
          const bytes = Array.from({ length: count }, () => (random.chance(0.7) ? 1 : 0));
          for (const byte of bytes) {
            const text = held.shift()!;
            assert.ok(!done.has(text), `${text} came again after it was acked`);
            if (byte === 1) done.add(text);
          }
          peer.send(Uint8Array.from(bytes));
          if (random.chance(0.05)) {
            waiting.delete(peer);
            peer.vanish();
          }
        }
        world.advance(25, true);
      }
      for (const peer of waiting.keys()) peer.vanish();
      world.advance(300, true);
      const { buckets } = world.broker;
      assert.deepEqual([buckets.ready, buckets.unacked, buckets.count], [0, 0, 0]);
      assert.ok(world.broker.quiet);
    }
  });
});

describe('heartbeats', () => {
  for (const wire of [WIRE_U32, WIRE_U64]) {
    test(`in silence, acked like a message (${wire})`, () => {
      const world = brokerOf();
      const consumer = world.consumer(1, 10, wire);
      const heartbeat = encodeHeartbeat(wire === WIRE_U64 ? 'u64' : 'u32');
      world.advance(775);
      assert.equal(consumer.take().length, 0);
      world.advance(25);
      assert.deepEqual(consumer.take(), heartbeat);
      world.advance(5000);
      assert.equal(consumer.take().length, 0, 'one at a time');
      consumer.send(acks(1));
      world.advance(1000);
      assert.deepEqual(consumer.take(), heartbeat);
      assert.equal(world.broker.counters.heartbeats, 2);
      const { ackedMessages, deliveredMessages } = world.broker.counters;
      assert.deepEqual([ackedMessages, deliveredMessages], [0, 0], 'it is no message');
    });
  }

  test('messages wait until a heartbeat is acked, then come at once', () => {
    const world = brokerOf();
    const consumer = world.consumer(1);
    world.advance(800, true);
    assert.deepEqual(frames(consumer), [['']]);
    world.publish(1, 'a');
    assert.deepEqual(frames(consumer), []);
    consumer.send(acks(0)); // any byte will do
    assert.deepEqual(frames(consumer), [['a']]);
  });

  test('another consumer gets the messages meanwhile', () => {
    const world = brokerOf();
    const silent = world.consumer(1);
    world.advance(800, true);
    frames(silent);
    const other = world.consumer(1);
    world.publish(1, 'a');
    assert.deepEqual(frames(silent), []);
    assert.deepEqual(frames(other), [['a']]);
  });

  test('deliveries put the next heartbeat off', () => {
    const world = brokerOf();
    const consumer = world.consumer(1);
    for (let i = 0; i < 5; i++) {
      world.advance(700, true);
      world.publish(1, 'a');
      assert.deepEqual(frames(consumer), [['a']]);
      consumer.send(acks(1));
    }
    assert.equal(world.broker.counters.heartbeats, 0);
  });

  test('silence begins when the last message is acked, not when it was sent', () => {
    const world = brokerOf();
    world.publish(1, 'a');
    const consumer = world.consumer(1);
    world.advance(5000);
    assert.deepEqual(frames(consumer), [['a']]);
    consumer.send(acks(1));
    world.advance(775);
    assert.deepEqual(frames(consumer), []);
    world.advance(50);
    assert.deepEqual(frames(consumer), [['']]);
  });

  test('none while messages are unacked', () => {
    const world = brokerOf();
    world.publish(1, 'a');
    const consumer = world.consumer(1);
    frames(consumer);
    world.advance(60_000);
    assert.equal(consumer.take().length, 0);
    assert.equal(consumer.link.destroyed, false);
  });

  test('one that leaves a heartbeat unacked is found within 30 s', () => {
    const world = brokerOf();
    const consumer = world.consumer(1);
    world.advance(20_800);
    assert.equal(consumer.link.destroyed, false);
    world.advance(2000);
    assert.ok(consumer.link.destroyed);
    assert.deepEqual(kinds(world), ['consumer.dead']);
    assert.equal(world.broker.consumers.size, 0);
    assert.equal(world.broker.buckets.count, 0);
  });
});

describe('who goes too far', () => {
  test('more acks than messages', () => {
    const world = brokerOf();
    world.publish(1, 'a', 'b');
    const [greedy, early] = [world.consumer(1, 2), world.consumer(2)];
    greedy.send(acks(1, 1, 1));
    assert.ok(greedy.link.destroyed);
    early.send(acks(1));
    assert.ok(early.link.destroyed);
    const beat = world.consumer(3);
    world.advance(800, true);
    beat.send(acks(1, 1));
    assert.ok(beat.link.destroyed);
    assert.deepEqual(kinds(world), ['protocol.exhaust', 'protocol.exhaust', 'protocol.exhaust']);
    // Acks that cannot be believed settle nothing.
    const next = world.consumer(1);
    assert.deepEqual(frames(next), [['a']], 'with them something may be wrong');
    next.send(acks(1));
    assert.deepEqual(frames(next), [['b']]);
  });

  test('batch sizes of 0, over the limit and 2^32-1', () => {
    const header = encodeConsumerHeader({ consumerId: 1n, bucket: 1n, batchSize: 1 });
    for (const size of [0, BATCH_MESSAGES_MAX + 1, 2 ** 32 - 1]) {
      const world = brokerOf();
      const consumer = world.rawConsumer();
      new DataView(header.buffer).setUint32(16, size, true);
      consumer.send(header);
      assert.ok(consumer.link.destroyed, `${size}`);
      assert.deepEqual(kinds(world), ['protocol.exhaust']);
      assert.equal(world.broker.buckets.count, 0);
    }
    const world = brokerOf();
    assert.equal(world.consumer(1, BATCH_MESSAGES_MAX).link.destroyed, false);
  });

  test('a header that does not come', () => {
    const world = brokerOf();
    const [silent, slow] = [world.rawConsumer(), world.rawConsumer()];
    for (let i = 0; i < 19; i++) {
      slow.send(new Uint8Array(1));
      world.advance(250);
    }
    assert.equal(silent.link.destroyed, false);
    world.advance(300);
    assert.ok(silent.link.destroyed);
    assert.ok(slow.link.destroyed, 'a header has one deadline, not one for each byte');
  });

  test('one that reads nothing while memory is short', () => {
    const world = brokerOf({ limits: { bufferBytesMax: 400 } });
    world.publish(1, 'x'.repeat(500), 'y');
    world.publish(2, 'z');
    const stuck = world.rawConsumer();
    stuck.link.stuck = true;
    stuck.send(encodeConsumerHeader({ consumerId: 1n, bucket: 1n, batchSize: 1 }));
    world.arrive();
    assert.equal(stuck.link.bytes.length, 4 + 8 + 500);
    const other = world.consumer(2);
    assert.deepEqual(frames(other), [], 'nothing more is packed while the budget is used up');
    world.advance(9_000, true);
    assert.equal(stuck.link.destroyed, false);
    world.advance(1_100, true);
    assert.ok(stuck.link.destroyed);
    assert.equal(kinds(world).at(-1), 'memory.exhaust');
    other.send(acks(1)); // the heartbeat
    world.advance(50, true);
    assert.deepEqual(frames(other), [[''], ['z']]);
    assert.equal(world.broker.budget.bytes, 0);
  });
});

describe('from disk', () => {
  const limits = { segmentBytes: 16 * 1024 };

  // Publishes until the first messages have left the ring.
  function chill(world: World): void {
    for (let i = 0; i < 50; i++) world.publish(1, `m${i}`.padEnd(900));
  }

  test('a backlog that left memory is loaded and delivered in order', () => {
    const world = brokerOf({ limits });
    chill(world);
    const consumer = world.consumer(1, 7);
    world.log.answered(); // where the first messages stand
    assert.deepEqual(frames(consumer), []);
    assert.equal(world.log.loads.length, 1);
    const got: string[] = [];
    while (got.length < 50) {
      world.settle();
      for (const frame of frames(consumer)) {
        got.push(...frame.map((text) => text.trimEnd()));
        consumer.send(new Uint8Array(frame.length).fill(1));
      }
    }
    assert.deepEqual(got, letters(50));
  });

  test('the log knows when others publish a little beside its reads, and when no more', () => {
    const world = brokerOf({ limits });
    chill(world);
    world.advance(25);
    const first = world.consumer(1, 1);
    world.log.answered();
    assert.equal(world.log.loads.length, 1);
    assert.equal(world.foreground.lightTraffic, true);
    world.advance(25); // nobody published since
    world.log.loaded();
    assert.deepEqual(frames(first), [['m0'.padEnd(900)]]);
    first.send(acks(1));
    assert.equal(world.log.loads.length, 1);
    assert.equal(world.foreground.lightTraffic, false);
  });

  test('much that is published is no reason to read gently: who is behind must catch up', () => {
    const world = brokerOf({ limits });
    chill(world);
    for (let i = 0; i < 2400; i++) world.publish(9, 'x'.repeat(900));
    world.advance(25);
    world.consumer(1, 1);
    world.log.answered();
    assert.equal(world.log.loads.length, 1);
    assert.equal(world.foreground.lightTraffic, false);
  });

  test('a record that cannot be read is set aside and reported, the others go on', () => {
    const world = brokerOf({ limits });
    chill(world);
    const consumer = world.consumer(1, 2);
    world.log.answered(); // where the first messages stand
    world.log.loaded(new Error('damaged'));
    assert.deepEqual(kinds(world), ['log.unreadable']);
    assert.equal(world.broker.counters.unreadableMessages, 1);
    const got: string[] = [];
    while (got.length < 49) {
      world.settle();
      const texts = frames(consumer).flat();
      assert.ok(texts.length > 0, `${got.length} came`);
      got.push(...texts.map((text) => text.trimEnd()));
      consumer.send(new Uint8Array(texts.length).fill(1));
    }
    assert.deepEqual(got, letters(50).slice(1));
  });

  test('what is set aside stays there, whoever leaves and comes', () => {
    const world = brokerOf({ limits });
    chill(world);
    const { buckets, counters } = world.broker;
    const consumer = world.consumer(1, 2);
    world.log.answered();
    world.log.loaded(); // m0
    frames(consumer);
    world.log.loaded(new Error('damaged')); // m1
    assert.deepEqual([buckets.ready, buckets.unacked], [48, 1]);
    consumer.vanish();
    for (let round = 0; round < 3; round++) {
      const next = world.consumer(1, 2);
      world.settle();
      const texts = frames(next)[0]!.map((text) => text.trimEnd());
      // Suspects and the rest take turns.
      assert.deepEqual(texts, round % 2 === 0 ? ['m0'] : ['m2']);
      next.vanish();
      assert.equal(buckets.ready, 49);
    }
    assert.equal(counters.unreadableMessages, 1);
  });

  test('a consumer that leaves while its bucket is being loaded', () => {
    const world = brokerOf({ limits });
    chill(world);
    const consumer = world.consumer(1, 2);
    world.log.answered(); // where the first messages stand
    consumer.vanish();
    assert.equal(world.log.loads.length, 1);
    world.settle();
    const next = world.consumer(1, 1);
    world.settle();
    assert.equal(frames(next)[0]![0]!.trimEnd(), 'm0');
  });

  test('a bucket whose last message cannot be read, and whose consumer left, is no more', () => {
    const world = brokerOf({ limits });
    world.publish(2, 'x'.repeat(900));
    chill(world);
    const consumer = world.consumer(2);
    world.log.answered();
    consumer.vanish();
    assert.equal(world.broker.buckets.count, 2);
    world.log.loaded(new Error('damaged'));
    assert.equal(world.broker.buckets.count, 1);
  });

  test('segments that nobody needs are given back', () => {
    const world = brokerOf({ limits });
    const consumer = world.consumer(1, 100);
    for (let i = 0; i < 60; i++) {
      world.publish(1, `m${i}`.padEnd(900));
      consumer.send(acks(1));
    }
    world.advance(500, true);
    assert.ok(world.log.trims.length > 0);
    assert.deepEqual(world.log.bases().length, 1);
    assert.equal(world.log.startPosition, world.log.trims.at(-1));
  });
});
