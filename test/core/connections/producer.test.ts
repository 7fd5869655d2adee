// The producer's session with a broker and a log by hand: what is acked when, in which order and
// in how many pieces; what is refused; who is closed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MESSAGE_BYTES_CEILING, WIRE_U32, WIRE_U64 } from '../../../assembly/layout.ts';
import { DeliveryDecoder, encodeGoodbye, type Wire } from '../../../src/codec/wire.ts';
import type { Codec } from '../../../src/core/ports/codec.ts';
import { freshEngine } from '../../support/engine.ts';
import { Random, seedOf } from '../../support/random.ts';
import { acks, batch, brokerOf, smallCodec, textOf, type World } from '../../support/world.ts';

const seed = seedOf('core/connections/producer.test');
const codecs: [string, () => Codec][] = [
  ['plain', smallCodec],
  ['wasm', freshEngine],
];

function head(bucket: bigint, length: bigint, wire: Wire): Uint8Array {
  const bytes = new Uint8Array(wire === 'u64' ? 16 : 12);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, bucket, true);
  if (wire === 'u64') view.setBigUint64(8, length, true);
  else view.setUint32(8, Number(length), true);
  return bytes;
}

const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** Everything in a bucket, in order, by draining it. */
function drain(world: World, bucket: bigint | number): string[] {
  const consumer = world.consumer(bucket);
  const decoder = new DeliveryDecoder('u64');
  const texts: string[] = [];
  for (;;) {
    world.settle();
    const frames = decoder.push(consumer.take());
    if (frames.length === 0) break;
    for (const frame of frames) {
      for (let i = 0; i < frame.count; i++) texts.push(textOf(frame.body(i)));
      consumer.send(new Uint8Array(frame.count).fill(1));
    }
  }
  consumer.vanish();
  return texts;
}

test('what is kept of a chunk that was read into the inbox does not change with the inbox', () => {
  const world = brokerOf({ limits: { messageBytesMax: 100_000, segmentBytes: 256 * 1024 } });
  const { inbox } = world.codec;
  const text = 'x'.repeat(90_000);
  const bytes = batch('u64', [1, text]);
  for (const first of [3, 100, 5000, 80_000]) {
    const producer = world.producer();
    inbox.set(bytes.subarray(0, first));
    producer.session.receive(inbox.subarray(0, first));
    inbox.fill(0, 0, bytes.length); // other connections are read into it
    producer.send(bytes.subarray(first));
    world.settle();
    assert.deepEqual(producer.take(), acks(1));
    assert.ok(drain(world, 1).join() === text, `${first} bytes that were kept have changed`);
  }
});

describe('acks', () => {
  for (const [name, codec] of codecs) {
    test(`only after the append completed (${name})`, () => {
      const world = brokerOf({ codec: codec() });
      const producer = world.producer();
      producer.send(batch('u64', [1, 'a'], [2, 'b']));
      world.turn();
      assert.ok(world.log.appending);
      assert.equal(producer.link.pieces.length, 0);
      world.advance(1000);
      assert.equal(producer.link.pieces.length, 0);
      world.log.complete();
      assert.deepEqual(producer.link.pieces, [acks(1, 1)]);
    });
  }

  test('not with an append that began before the message came', () => {
    const world = brokerOf();
    const [first, second] = [world.producer(), world.producer()];
    first.send(batch('u64', [1, 'a']));
    world.turn();
    second.send(batch('u64', [1, 'b']));
    world.turn();
    world.log.complete();
    world.turn();
    assert.deepEqual(first.take(), acks(1));
    assert.deepEqual(second.take(), acks());
    world.log.complete();
    assert.deepEqual(second.take(), acks(1));
  });

  test('never after a failed append, whatever comes later', () => {
    const world = brokerOf();
    const producer = world.producer();
    producer.send(batch('u64', [1, 'a'], [1, 'b']));
    world.turn();
    world.log.complete(new Error('EIO'));
    assert.ok(producer.link.destroyed);
    assert.match(world.failure?.message ?? '', /EIO/);
    world.broker.flush();
    world.turn();
    world.advance(2000);
    assert.equal(producer.link.bytes.length + producer.link.lost, 0);
    assert.equal(world.log.appending, false, 'something was written after the failure');
  });

  test('not even for a batch whose end came after the failure and was refused', () => {
    const world = brokerOf();
    const { session, link } = world.producer();
    const whole = batch('u64', [1, 'a'], [1, '']);
    session.receive(whole.subarray(0, whole.length - 16));
    world.advance(25);
    assert.ok(world.log.appending);
    world.log.complete(new Error('EIO'));
    session.receive(whole.subarray(whole.length - 16));
    world.broker.flush();
    assert.equal(link.bytes.length + link.lost, 0);
  });

  test('pieces of replies end where batches end, in order, when batches are pipelined', () => {
    const world = brokerOf({ limits: { segmentBytes: 256 * 1024 } });
    const producer = world.producer();
    const sizes = [3, 1, 5];
    const stream = sizes.map((size, i) =>
      batch('u64', ...Array.from({ length: size }, (): [number, string] => [i, `${i}`])),
    );
    producer.send(join(...stream));
    world.settle();
    assert.deepEqual(producer.link.bytes, new Uint8Array(9).fill(1));
    // Several batches may share a piece.
    let ends = producer.link.pieces.map((piece) => piece.length);
    ends = ends.map((_, i) => ends.slice(0, i + 1).reduce((a, b) => a + b));
    for (const end of ends) assert.ok([3, 4, 9].includes(end), `a piece ends at ${end}`);
  });

  test('a reply is not split when many pipelined batches are released together', () => {
    const world = brokerOf({ codec: freshEngine(), limits: { segmentBytes: 16 * 1024 * 1024 } });
    const producer = world.producer(WIRE_U32);
    const part = batch('u32', ...Array.from({ length: 30_000 }, (): [number, string] => [1, 'x']));
    for (let i = 0; i < 4; i++) producer.send(part);
    world.settle();
    assert.equal(producer.link.bytes.length, 120_000);
    for (const piece of producer.link.pieces) assert.equal(piece.length % 30_000, 0);
  });

  test('refusals stand in their place, also between stored ones', () => {
    const world = brokerOf({ limits: { messageBytesMax: 8 } });
    const producer = world.producer();
    const large = '123456789';
    producer.send(
      batch('u64', [1, ''], [1, 'a'], [1, large], [1, 'b'], [2, ''], [1, '12345678'], [1, large]),
    );
    world.settle();
    assert.deepEqual(producer.link.pieces, [acks(0, 1, 0, 1, 0, 1, 0)]);
    assert.deepEqual(drain(world, 1), ['a', 'b', '12345678']);
    const { refusedEmpty, refusedLarge, publishedMessages } = world.broker.counters;
    assert.deepEqual([refusedEmpty, refusedLarge, publishedMessages], [2, 2, 3]);
  });

  test('a batch of refusals only is answered at once, but behind the ones before it', () => {
    const world = brokerOf();
    const producer = world.producer();
    producer.send(batch('u64', [1, ''], [1, '']));
    assert.deepEqual(producer.take(), acks(0, 0));
    producer.send(batch('u64', [1, 'a']), batch('u64', [1, '']));
    world.turn();
    assert.deepEqual(producer.take(), acks());
    world.settle();
    assert.deepEqual(producer.take(), acks(1, 0));
  });

  test('a refusal behind a batch in flight waits for it, though nothing of its own is stored', () => {
    const world = brokerOf();
    const producer = world.producer();
    producer.send(batch('u64', [1, 'a']));
    world.turn();
    assert.ok(world.log.appending);
    producer.send(batch('u64', [1, '']));
    world.turn();
    assert.deepEqual(producer.take(), acks());
    world.log.complete();
    assert.deepEqual(producer.take(), acks(1, 0));
  });
});

describe('splits', () => {
  for (const [name, codec] of codecs) {
    for (const wire of ['u64', 'u32'] as const) {
      test(`every split of two batches gives the same (${name}, ${wire})`, () => {
        const stream = join(
          batch(wire, [1, 'first'], [1, ''], [2, 'a message over the limit'], [2, 'x']),
          batch(wire, [1, 'second'], [2, 'yz']),
        );
        const world = brokerOf({ codec: codec(), limits: { messageBytesMax: 10 } });
        for (let cut = 0; cut <= stream.length; cut++) {
          const producer = world.producer(wire === 'u64' ? WIRE_U64 : WIRE_U32);
          producer.send(stream.subarray(0, cut));
          if (cut % 2 === 0) world.turn();
          producer.send(stream.subarray(cut));
          world.settle();
          assert.deepEqual(producer.link.bytes, acks(1, 0, 0, 1, 1, 1), `cut at ${cut}`);
          producer.vanish();
          assert.deepEqual(drain(world, 1), ['first', 'second']);
          assert.deepEqual(drain(world, 2), ['x', 'yz']);
          assert.equal(world.broker.budget.bytes, 0);
        }
      });
    }
  }

  test('random chunks of many batches', () => {
    const random = new Random(seed);
    for (let round = 0; round < 40; round++) {
      const world = brokerOf({ limits: { messageBytesMax: 64, segmentBytes: 16 * 1024 } });
      const wire: Wire = random.chance(0.5) ? 'u64' : 'u32';
      const expected: number[] = [];
      const stored: string[] = [];
      const batches = Array.from({ length: 1 + random.below(8) }, (_, b) =>
        batch(
          wire,
          ...Array.from({ length: 1 + random.below(12) }, (_, m): [number, string] => {
            const text = random.chance(0.1)
              ? 'L'.repeat(65 + random.below(500))
              : random.chance(0.1)
                ? ''
                : `${b}.${m}.`.padEnd(5 + random.below(50), '~');
            const fine = text !== '' && text.length <= 64;
            expected.push(fine ? 1 : 0);
            if (fine) stored.push(text);
            return [9, text];
          }),
        ),
      );
      const stream = join(...batches, encodeGoodbye());
      const producer = world.producer(wire === 'u64' ? WIRE_U64 : WIRE_U32);
      for (let at = 0; at < stream.length; ) {
        const size = 1 + random.below(random.chance(0.2) ? 400 : 20);
        producer.send(stream.subarray(at, at + size));
        at += size;
        if (random.chance(0.3)) world.turn();
        if (random.chance(0.2) && world.log.appending) world.log.complete();
      }
      world.settle();
      assert.deepEqual([...producer.link.bytes], expected);
      assert.ok(producer.link.ended);
      assert.equal(producer.link.lost, 0);
      assert.deepEqual(drain(world, 9), stored);
    }
  });
});

describe('goodbye', () => {
  test('closes after the last reply, not before', () => {
    const world = brokerOf();
    const producer = world.producer();
    producer.send(join(batch('u64', [1, 'a']), encodeGoodbye(), batch('u64', [1, 'ignored'])));
    world.turn();
    assert.equal(producer.link.ended, false);
    world.settle();
    assert.deepEqual(producer.take(), acks(1));
    assert.ok(producer.link.ended);
    assert.deepEqual(drain(world, 1), ['a']);
  });

  test('alone, closes at once', () => {
    const world = brokerOf();
    const producer = world.producer();
    producer.send(encodeGoodbye());
    assert.ok(producer.link.ended);
  });

  test('a last reply that holds a refusal is sent before the end', () => {
    for (const messages of [
      [[1, '']],
      [
        [1, 'a'],
        [1, ''],
      ],
    ] as [number, string][][]) {
      const world = brokerOf();
      const producer = world.producer();
      producer.send(join(batch('u64', ...messages), encodeGoodbye()));
      world.settle();
      assert.equal(producer.link.lost, 0);
      assert.equal(producer.link.bytes.length, messages.length);
      assert.ok(producer.link.ended);
    }
  });

  test('a half-closed producer still gets what it is owed', () => {
    const world = brokerOf();
    const producer = world.producer();
    producer.send(batch('u64', [1, 'a'], [1, '']));
    producer.finish();
    assert.equal(producer.link.ended, false);
    world.settle();
    assert.deepEqual(producer.take(), acks(1, 0));
    assert.ok(producer.link.ended);
  });

  test('a producer that dies mid-message leaves nothing partial behind', () => {
    const world = brokerOf();
    const whole = batch('u64', [1, 'a'], [1, 'never complete']);
    const producer = world.producer();
    producer.send(whole.subarray(0, whole.length - 1));
    producer.vanish();
    world.advance(50, true);
    assert.deepEqual(drain(world, 1), ['a']);
    assert.equal(world.broker.budget.bytes, 0);
    assert.equal(world.broker.producers.size, 0);
  });

  test('replies that come due after the peer is gone cost no memory', () => {
    const world = brokerOf();
    const producer = world.producer();
    producer.send(batch('u64', [1, 'a']));
    world.turn();
    producer.link.queuedBytes = 1000; // a destroyed socket may go on showing what it had queued
    producer.vanish();
    world.settle();
    assert.equal(world.broker.budget.bytes, 0);
  });
});

describe('what is not this protocol', () => {
  const closed = (world: World, kind: string) =>
    assert.deepEqual(
      world.notices.map((notice) => notice.kind),
      [kind],
    );

  test('a batch size over the limit, up to 2^32-1', () => {
    for (const size of [65_537, 2 ** 31, 2 ** 32 - 1]) {
      const world = brokerOf();
      const producer = world.producer();
      producer.send(u32(size));
      assert.ok(producer.link.destroyed);
      closed(world, 'protocol.intake');
    }
    const world = brokerOf({ limits: { batchMessagesMax: 10 } });
    const [fine, wrong] = [world.producer(), world.producer()];
    fine.send(u32(10));
    assert.equal(fine.link.destroyed, false);
    wrong.send(u32(11));
    assert.ok(wrong.link.destroyed);
  });

  test('a length over the ceiling', () => {
    for (const length of [BigInt(MESSAGE_BYTES_CEILING) + 1n, 2n ** 32n, 2n ** 64n - 1n]) {
      const world = brokerOf();
      const producer = world.producer();
      producer.send(join(u32(1), head(1n, length, 'u64')));
      assert.ok(producer.link.destroyed);
      closed(world, 'protocol.intake');
      assert.equal(world.broker.counters.protocolErrors, 1);
    }
  });

  test('what came before it is stored, but nobody is told', () => {
    const world = brokerOf();
    const producer = world.producer();
    producer.send(join(batch('u64', [1, 'a']), u32(2 ** 32 - 1)));
    assert.ok(producer.link.destroyed);
    world.settle();
    assert.deepEqual(drain(world, 1), ['a']);
  });

  test('a length up to the ceiling is drained and dropped, and costs no memory', () => {
    const world = brokerOf();
    const producer = world.producer();
    producer.send(join(u32(2), head(1n, BigInt(MESSAGE_BYTES_CEILING), 'u64')));
    const chunk = new Uint8Array(1024 * 1024 - 8);
    let left = MESSAGE_BYTES_CEILING;
    while (left > 0) {
      producer.send(chunk.subarray(0, left));
      left -= Math.min(left, chunk.length);
      assert.equal(world.broker.budget.bytes, 0);
    }
    assert.deepEqual(producer.take(), acks());
    producer.send(batch('u64', [1, 'after']).subarray(4));
    world.settle();
    assert.deepEqual(producer.take(), acks(0, 1));
  });
});

describe('room', () => {
  // Segments of 16 KiB; messages stop where 4 KiB are reserved unless there is a next segment.
  const limits = { segmentBytes: 16 * 1024, messageBytesMax: 1024, reserveBytes: 4096 };
  const KIB = 'k'.repeat(1000);

  test('more than may wait for the disk: the producer is held back, then goes on', () => {
    const world = brokerOf({ limits });
    const producer = world.producer();
    const many = Array.from({ length: 40 }, (_, i): [number, string] => [1, `${i}`.padEnd(900)]);
    producer.send(batch('u64', ...many));
    world.turn();
    assert.ok(producer.link.paused);
    assert.ok(world.log.appending, 'what waits must be on its way without a tick of the clock');
    assert.deepEqual(producer.take(), acks());
    world.settle();
    assert.equal(producer.link.paused, false);
    assert.deepEqual(producer.take(), new Uint8Array(40).fill(1));
    assert.equal(drain(world, 1).length, 40);
  });

  test('a segment that is full is followed by the next', () => {
    const world = brokerOf({ limits });
    for (let i = 0; i < 60; i++) world.publish(1, `${i}`.padEnd(1000));
    assert.ok(world.log.bases().length >= 4);
    assert.equal(world.broker.commit.reasons.roll + world.broker.commit.reasons.publish > 60, true);
    const texts = drain(world, 1).map((text) => Number(text));
    assert.deepEqual(
      texts,
      Array.from({ length: 60 }, (_, i) => i),
    );
  });

  test('no next segment yet: wait; there it is: go on', () => {
    const world = brokerOf({ limits });
    world.log.next = false;
    const producer = world.producer();
    for (let i = 0; i < 20; i++) producer.send(batch('u64', [1, KIB]));
    world.settle();
    const before = producer.take().length;
    assert.ok(before > 3 && before < 20);
    assert.ok(producer.link.paused);
    world.log.next = true;
    world.broker.segmentChanged();
    world.settle();
    assert.equal(producer.take().length, 20 - before);
    assert.equal(producer.link.paused, false);
  });

  test('the disk is full: refused in place, until there is room again', () => {
    const world = brokerOf({ limits });
    world.log.next = false;
    world.log.nextAfterRoll = false;
    world.log.blockedBy = 'no space left';
    const producer = world.producer();
    producer.send(batch('u64', ...Array.from({ length: 20 }, (): [number, string] => [1, KIB])));
    world.settle();
    const replies = [...producer.take()];
    const stored = replies.indexOf(0);
    assert.ok(stored > 3);
    assert.deepEqual(
      replies,
      Array.from({ length: 20 }, (_, i) => (i < stored ? 1 : 0)),
    );
    assert.equal(world.broker.counters.refusedFull, 20 - stored);
    assert.equal(producer.link.paused, false);
    // Consumers keep draining, and their acks still find room.
    assert.equal(drain(world, 1).length, stored);
    world.advance(200, true);
    assert.ok(world.broker.commit.drained);
    producer.send(batch('u64', [1, KIB]));
    world.settle();
    assert.deepEqual(producer.take(), acks(0));
    world.log.blockedBy = undefined;
    world.log.next = true;
    world.broker.segmentChanged();
    producer.send(batch('u64', [1, KIB]));
    world.settle();
    assert.deepEqual(producer.take(), acks(1));
  });

  test('a wait that turns out to be a full disk ends in refusals', () => {
    const world = brokerOf({ limits });
    world.log.next = false;
    const producer = world.producer();
    for (let i = 0; i < 20; i++) producer.send(batch('u64', [1, KIB]));
    world.settle();
    assert.ok(producer.link.paused);
    const stored = producer.take().length;
    world.log.blockedBy = 'no space left';
    world.broker.segmentChanged();
    world.settle();
    assert.deepEqual(producer.take(), new Uint8Array(20 - stored));
  });

  test('the largest message fits, however little may wait for the disk', () => {
    // The largest message is larger than the share of a segment that may wait for the disk.
    const messageBytesMax = 20 * 1024 * 1024;
    const world = brokerOf({
      codec: freshEngine(),
      limits: { segmentBytes: 48 * 1024 * 1024, messageBytesMax },
    });
    const producer = world.producer();
    for (let i = 0; i < 3; i++) {
      producer.send(batch('u64', [1, new Uint8Array(messageBytesMax).fill(i + 1)]));
      world.settle();
      world.advance(50, true);
      assert.deepEqual(producer.take(), acks(1));
    }
  });

  test('nor does it have to fit a segment from a time of smaller ones', () => {
    const messageBytesMax = 20 * 1024;
    for (const offset of [4096, 16 * 1024, 28 * 1024, 32 * 1024 - 56]) {
      const world = brokerOf({
        limits: { segmentBytes: 64 * 1024, messageBytesMax },
        resume: { segmentBytes: 32 * 1024, offset },
      });
      for (let i = 0; i < 5; i++) world.publish(1, new Uint8Array(messageBytesMax).fill(65 + i));
      const bodies = drain(world, 1).map((text) => `${text.length}${text[0]}`);
      assert.deepEqual(
        bodies,
        [0, 1, 2, 3, 4].map((i) => messageBytesMax + String.fromCharCode(65 + i)),
      );
    }
  });

  test('a producer that leaves while it is held back is forgotten', () => {
    const world = brokerOf({ limits });
    world.log.next = false;
    const producer = world.producer();
    for (let i = 0; i < 20; i++) producer.send(batch('u64', [1, KIB]));
    world.settle();
    assert.ok(world.broker.budget.bytes > 0);
    producer.vanish();
    assert.equal(world.broker.budget.bytes, 0);
    const stored = world.broker.buckets.ready;
    assert.ok(stored < 20);
    world.log.next = true;
    world.broker.segmentChanged();
    world.settle();
    assert.equal(world.broker.producers.size, 0);
    assert.equal(world.broker.buckets.ready, stored, 'what it had kept was stored');
    assert.equal(world.broker.fairShare.roomAgain(), false, 'it still waits for room');
  });

  test('one that is held back when the broker closes takes nothing new afterwards', () => {
    const world = brokerOf({ limits });
    world.log.next = false;
    const producer = world.producer();
    for (let i = 0; i < 20; i++) producer.send(batch('u64', [1, KIB]));
    world.settle();
    const waiting = 20 - producer.take().length;
    world.broker.close();
    world.log.next = true;
    world.broker.segmentChanged();
    world.settle();
    assert.ok(producer.link.paused);
    assert.ok(producer.take().length < waiting, 'what the link held was read');
  });
});

describe('slow and stuck peers', () => {
  test('one whose message the closing broker does not read to its end is not called late', () => {
    const world = brokerOf({ limits: { partialMessageMs: 500 } });
    const producer = world.producer();
    producer.send(batch('u64', [1, 'abc']).subarray(0, 20));
    world.advance(100, true);
    world.broker.close();
    producer.send(batch('u64', [1, 'abc']).subarray(20));
    world.advance(5000, true);
    assert.equal(producer.link.destroyed, false);
    assert.deepEqual(world.notices, []);
  });

  test('one that does not read its replies is read no more, until it does', () => {
    const world = brokerOf({ limits: { peerBytesMax: 100 } });
    const producer = world.producer();
    producer.link.stuck = true;
    const some = batch('u64', ...Array.from({ length: 60 }, (): [number, string] => [1, 'x']));
    producer.send(some);
    world.settle();
    assert.equal(producer.link.paused, false);
    producer.send(some);
    world.settle();
    assert.ok(producer.link.paused);
    assert.equal(world.broker.budget.bytes, 120);
    producer.send(some);
    world.settle();
    assert.equal(producer.link.bytes.length, 120);
    producer.read();
    world.settle();
    assert.equal(producer.link.bytes.length, 180);
    assert.equal(producer.link.paused, false);
    assert.equal(world.broker.budget.bytes, 0);
  });

  test('room in the log does not make us read from one that does not read', () => {
    const world = brokerOf({ limits: { peerBytesMax: 2, segmentBytes: 16 * 1024 } });
    world.log.next = false;
    const producer = world.producer();
    producer.link.stuck = true;
    const kib = 'x'.repeat(1000);
    for (let i = 0; i < 3; i++) producer.send(batch('u64', [1, kib]));
    const rest = Array.from({ length: 6 }, (): [number, string] => [1, kib]);
    producer.send(batch('u64', ...rest)); // runs out of room in its middle
    world.settle();
    assert.equal(producer.link.queuedBytes, 3);
    world.log.next = true;
    world.broker.segmentChanged();
    assert.ok(producer.link.paused, 'it does not read its replies');
    producer.read();
    assert.equal(producer.link.paused, false);
    world.settle();
    assert.equal(producer.link.bytes.length, 9);
  });

  test('a message must end in time; longer ones have longer', () => {
    const world = brokerOf({ limits: { partialMessageMs: 500, messageBytesMax: 20_000 } });
    const [short, long, header, moving] = [0, 1, 2, 3].map(() => world.producer());
    short!.send(batch('u64', [1, 'abc']).subarray(0, 20));
    long!.send(join(u32(1), head(1n, 60_000_000n, 'u64'))); // refused, but drained
    header!.send(new Uint8Array(1));
    const stream = batch('u64', ...Array.from({ length: 200 }, (): [number, string] => [1, 'm']));
    for (let at = 0; at < 300; at += 10) {
      moving!.send(stream.subarray(at, at + 10));
      world.advance(50, true);
    }
    assert.ok(short!.link.destroyed);
    assert.ok(header!.link.destroyed);
    assert.equal(long!.link.destroyed, false);
    assert.equal(moving!.link.destroyed, false);
    assert.deepEqual(new Set(world.notices.map((n) => n.kind)), new Set(['timeout.intake']));
    world.advance(1_000_000, true);
    assert.ok(long!.link.destroyed);
  });

  test('silence between messages is no offence', () => {
    const world = brokerOf({ limits: { partialMessageMs: 1000 } });
    const producer = world.producer();
    producer.send(batch('u64', [1, 'a'], [1, 'b']).subarray(0, 4 + 17));
    world.advance(60_000, true);
    assert.equal(producer.link.destroyed, false);
    assert.deepEqual(drain(world, 1), ['a']);
  });

  test('when all buffers together are full, whoever holds the most goes', () => {
    const world = brokerOf({ limits: { bufferBytesMax: 1900, messageBytesMax: 1024 } });
    const [small, big, last] = [world.producer(), world.producer(), world.producer()];
    const begun = (bytes: number) =>
      join(u32(1), head(1n, 1024n, 'u64'), new Uint8Array(bytes)).slice();
    small.send(begun(300));
    big.send(begun(700));
    assert.equal(big.link.destroyed, false);
    last.send(begun(500));
    world.turn();
    assert.deepEqual(
      [small, big, last].map((peer) => peer.link.destroyed),
      [false, true, false],
    );
    assert.equal(world.notices.at(-1)?.kind, 'memory.intake');
    assert.equal(world.broker.budget.bytes, 512 + 1024); // what they take, which is powers of two
  });

  test('connections beyond the limit are turned away', () => {
    const world = brokerOf({ limits: { connectionsMax: 2 } });
    world.producer();
    world.consumer(1);
    assert.throws(() => world.producer(), /turned away/);
    assert.equal(world.broker.counters.refusedConnections, 1);
    assert.equal(world.notices.at(-1)?.kind, 'connections.full');
    world.peers[0]!.vanish();
    world.producer();
  });
});
