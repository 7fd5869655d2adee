// Payload that waits or is held, against what the counts of messages make of it where all are of
// one length: while they are delivered, fail, are purged, go into indexes and are found there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partPayload } from '../../../src/core/buckets/payload-counts.ts';
import { emptySlice } from '../../../src/core/buckets/slice.ts';
import { ruleOfWords } from '../../../src/core/rules/rule.ts';
import { Random, seedOf } from '../../support/random.ts';
import { acks, batch, brokerOf } from '../../support/world.ts';

const seed = seedOf('core/buckets/payload-counts.test');
const LENGTH = 150;

test('shares of a record add up to its payload, however it is cut', () => {
  const random = new Random(seed);
  for (let round = 0; round < 200; round++) {
    const messages = 1 + random.below(50);
    const payload = messages + random.below(5000);
    const part = { ...emptySlice(), messages, bodyBytes: payload + 4 * messages };
    let sum = 0;
    for (let first = 0; first < messages; ) {
      const count = 1 + random.below(messages - first);
      const at = random.below(count);
      sum += partPayload({ ...part, first, count }, 0, at);
      sum += partPayload({ ...part, first, count }, at, count - at);
      first += count;
    }
    assert.equal(sum, payload);
  }
});

test('with every way in and out: as many bytes as there are messages', () => {
  const random = new Random(seed);
  const seen = { older: 0, uncounted: 0 };
  for (let round = 0; round < 12; round++) {
    const limits = { segmentBytes: 16 * 1024, messageBytesMax: 1024, heartbeatMs: 1e9 };
    const rules = ['* max_bytes=1GiB'];
    const world = brokerOf({ limits, rules, ...(round % 2 === 0 ? {} : { slotsMax: 2 }) });
    const { buckets } = world.broker;
    const consumers = new Set<ReturnType<typeof world.consumer>>();
    for (let step = 0; step < 250; step++) {
      const bucket = 1 + random.below(9);
      const kind = random.below(10);
      if (kind < 5) {
        const producer = world.producer();
        const many = Array.from({ length: 1 + random.below(20) }, (): [number, string] => [
          random.chance(0.7) ? bucket : 1 + random.below(9),
          'x'.repeat(LENGTH),
        ]);
        producer.send(batch('u64', ...many));
        world.settle();
        producer.vanish();
      } else if (kind < 7) consumers.add(world.consumer(bucket, 1 + random.below(9)));
      for (const consumer of consumers) {
        const { unacked } = consumer.session;
        if (random.chance(0.2)) {
          consumer.vanish();
          consumers.delete(consumer);
        } else if (unacked > 0) {
          const bytes = Array.from({ length: 1 + random.below(unacked) }, () => random.below(5));
          consumer.send(acks(...bytes.map((byte) => (byte > 0 ? 1 : 0))));
        }
      }
      if (random.chance(0.3)) world.advance(100, true);
      world.settle();
      for (const slot of buckets.slots()) {
        const messages = buckets.readyOf(slot) + buckets.unackedOf(slot);
        if (!buckets.isCounted(slot)) seen.uncounted++;
        if (buckets.headOf(slot).isOlder) seen.older++;
        assert.equal(
          buckets.payload.of(slot),
          messages * LENGTH,
          `round ${round}, step ${step}, bucket ${buckets.idOf(slot)}`,
        );
      }
    }
  }
  assert.ok(seen.older > 100 && seen.uncounted > 20, JSON.stringify(seen));
});

test('begun late: what is in indexes only is left out, also when it goes', () => {
  const limits = { segmentBytes: 16 * 1024, messageBytesMax: 1024, heartbeatMs: 1e9 };
  const world = brokerOf({ limits, rules: [] });
  const { buckets, rulesInForce } = world.broker;
  const all = 240;
  for (let at = 0; at < all; at += 10)
    world.publish(2, ...Array.from({ length: 10 }, () => 'x'.repeat(LENGTH)));
  const slot = buckets.find(2, 0);
  assert.ok(buckets.headOf(slot).isOlder);
  const rule = ruleOfWords('late', '2', ['max_bytes=1GiB']);
  rulesInForce!.changes.ask({ name: 'late', rule, expected: undefined }, () => {});
  world.settle();
  const counted = buckets.payload.of(slot) / LENGTH;
  assert.ok(counted > 0 && counted < all, `${counted}`);
  const consumer = world.consumer(2, 10);
  for (let left = all; left > 0; left = buckets.readyOf(slot) + buckets.unackedOf(slot)) {
    assert.equal(buckets.payload.of(slot), Math.min(counted, left) * LENGTH, `${left} left`);
    const { unacked } = consumer.session;
    if (unacked === 0) world.settle();
    consumer.send(acks(...new Array<number>(consumer.session.unacked).fill(1)));
    world.settle();
  }
  assert.equal(buckets.payload.of(slot), 0);
});
