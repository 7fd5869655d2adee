// What a peer can do to the others, and may not: each of these once worked.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBatch } from '../../src/codec/wire.ts';
import { AttemptCounts } from '../../src/core/collections/sequence-set.ts';
import { freshEngine } from '../support/engine.ts';
import { acks, batch, brokerOf, smallCodec } from '../support/world.ts';

const KIB = 'x'.repeat(1024);

test('a consumer that acks without reading is not sent more and more', () => {
  const world = brokerOf();
  const producer = world.producer();
  for (let i = 0; i < 50; i++) producer.send(batch('u64', [1, KIB]));
  world.settle();
  const consumer = world.consumer(1, 1);
  world.settle();
  consumer.link.stuck = true;
  consumer.send(Uint8Array.of(1)); // the first batch, which it has read
  for (let i = 0; i < 40; i++) consumer.send(Uint8Array.of(1));
  world.settle();
  assert.ok(consumer.link.queuedBytes < 4 * 1024, `${consumer.link.queuedBytes} bytes are queued`);
});

test('a reader that was slow goes on where it was', () => {
  const world = brokerOf();
  const producer = world.producer();
  for (let i = 0; i < 3; i++) producer.send(batch('u64', [1, `${i}${KIB.slice(1)}`]));
  world.settle();
  const consumer = world.consumer(1, 1);
  world.settle();
  consumer.link.stuck = true;
  consumer.send(Uint8Array.of(1));
  world.settle();
  const before = consumer.link.queuedBytes;
  assert.ok(before > 1000);
  consumer.send(Uint8Array.of(1)); // acked, but not read yet
  world.settle();
  assert.equal(consumer.link.queuedBytes, before);
  assert.equal(world.broker.buckets.ready, 1);
  consumer.read();
  world.settle();
  assert.equal(world.broker.buckets.ready, 0, 'the last message did not come after the pause');
});

test('producers that do not read their replies do not starve consumers for ever', () => {
  const world = brokerOf({ limits: { bufferBytesMax: 64, peerBytesMax: 1024 } });
  const deaf = world.producer();
  deaf.link.stuck = true;
  deaf.send(batch('u64', ...Array.from({ length: 200 }, (): [number, string] => [2, 'y'])));
  world.settle();
  assert.ok(world.broker.budget.over);
  const consumer = world.consumer(1, 1);
  const honest = world.producer();
  honest.send(batch('u64', [1, 'z']));
  world.settle();
  assert.deepEqual(honest.take(), acks(1));
  consumer.take();
  world.advance(12_000, true);
  consumer.send(acks(1)); // the heartbeat
  world.advance(50, true);
  assert.ok(deaf.link.destroyed);
  assert.ok(!consumer.link.destroyed && !honest.link.destroyed);
  assert.equal(world.broker.buckets.ready - 200, 0, 'the honest message was not delivered');
});

test('a message that comes byte by byte costs memory like its bytes', () => {
  const world = brokerOf();
  const producer = world.producer();
  const bytes = encodeBatch([{ bucket: 1n, body: new Uint8Array(1000).fill(7) }], 'u64');
  for (let at = 0; at < bytes.length - 1; at++) {
    producer.send(bytes.subarray(at, at + 1));
    const held = world.broker.budget.bytes;
    assert.equal(held, producer.session.heldBytes);
    assert.ok(held <= 2 * (at + 1) + 256, `${held} bytes for ${at + 1}`);
  }
  producer.send(bytes.subarray(bytes.length - 1));
  world.settle();
  assert.deepEqual(producer.take(), acks(1));
  assert.equal(world.broker.budget.bytes, 0);
});

test('refusals stand where they belong, however the batch goes on', () => {
  for (const at of [0, 1, 63, 64, 65, 199, 299]) {
    const world = brokerOf();
    const producer = world.producer();
    const bodies = Array.from({ length: 300 }, (_, i): [number, string] => [
      1,
      i === at ? '' : 'a',
    ]);
    const parts = bodies.map(([, text]) => {
      const head = new DataView(new ArrayBuffer(16));
      head.setBigUint64(0, 1n, true);
      head.setBigUint64(8, BigInt(text.length), true);
      return Buffer.concat([new Uint8Array(head.buffer), Buffer.from(text)]);
    });
    producer.send(Uint8Array.of(44, 1, 0, 0), new Uint8Array(Buffer.concat(parts)));
    world.settle();
    const expected = new Uint8Array(300).fill(1);
    expected[at] = 0;
    assert.deepEqual(producer.take(), expected);
  }
});

test('a batch of scattered messages has a bounded number of parts', () => {
  const world = brokerOf({ codec: freshEngine(), limits: { segmentBytes: 8 * 2 ** 20 } });
  const producer = world.producer();
  for (let i = 0; i < 5000; i++) producer.send(batch('u64', [1, 'a'], [2, 'b']));
  world.settle();
  const consumer = world.consumer(1, 65_536);
  world.settle();
  assert.equal(consumer.session.unacked, 4096);
  consumer.send(acks(...Array(4096).fill(1)));
  world.settle();
  assert.equal(consumer.session.unacked, 904);
});

test('while an append finds no space, publishes are refused at once', () => {
  const world = brokerOf();
  const producer = world.producer();
  world.log.isStalled = true;
  producer.send(batch('u64', [1, 'a'], [1, 'b']));
  assert.deepEqual(producer.take(), acks(0, 0));
  world.log.isStalled = false;
  producer.send(batch('u64', [1, 'a']));
  world.settle();
  assert.deepEqual(producer.take(), acks(1));
});

test('attempts of more messages than a Map can hold', () => {
  const counts = new AttemptCounts();
  counts.set(5, 20_000_000, 3);
  counts.set(70_000, 10, 4);
  counts.set(1, 1, 100_000);
  for (const [sequence, attempts] of [
    [1, 65_535],
    [4, 0],
    [5, 3],
    [65_536, 3],
    [70_000, 4],
    [70_010, 3],
    [20_000_004, 3],
    [20_000_005, 0],
    [1e12, 0],
  ] as const)
    assert.equal(counts.get(sequence), attempts, `sequence ${sequence}`);
});

for (const [name, codecOf] of [
  ['plain', smallCodec],
  ['wasm', freshEngine],
] as const)
  test(`messages of one record, failed and taken in any order (${name})`, () => {
    const world = brokerOf({ codec: codecOf() });
    const producer = world.producer();
    const texts = Array.from({ length: 40 }, (_, i) => `${i}`.repeat((i % 5) + 1));
    producer.send(batch('u64', ...texts.map((text): [number, string] => [1, text])));
    producer.send(batch('u64', ...texts.map((text): [number, string] => [2, `-${text}`])));
    world.settle();
    const [a, b] = [world.consumer(1, 7), world.consumer(2, 3)];
    const seen: string[][] = [[], []];
    for (let round = 0; round < 300; round++) {
      world.settle();
      [a, b].forEach((consumer, which) => {
        const bytes = consumer.take();
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        let at = 0;
        while (at < bytes.length) {
          const count = view.getUint32(at, true);
          at += 4;
          const reply: number[] = [];
          for (let i = 0; i < count; i++) {
            const size = Number(view.getBigUint64(at, true));
            const text = Buffer.from(bytes.subarray(at + 8, at + 8 + size)).toString();
            at += 8 + size;
            const fails = (round + i) % 3 === 0 && round < 100;
            reply.push(fails ? 0 : 1);
            if (!fails && size > 0) seen[which]!.push(text);
          }
          consumer.send(acks(...reply));
        }
      });
    }
    assert.deepEqual(seen[0]!.sort(), [...texts].sort());
    assert.deepEqual(seen[1]!.sort(), texts.map((text) => `-${text}`).sort());
  });
