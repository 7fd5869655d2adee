// What may wait in a bucket: each message that fits goes in and each that does not is refused in
// its place, with the open batch, what is being written and what is held counted; by a model that
// adds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RECORD_MESSAGES,
  RECORD_PLACED,
  RULES_MASKS_COUNT_AT,
  RULES_RANGES_COUNT_AT,
} from '../../../assembly/layout.ts';
import { FORM_SETTLES, HEAD_BYTES, KIND_DEAD, KIND_LIVE } from '../../../assembly/layout-placed.ts';
import { Batch } from '../../../src/core/commit/batch.ts';
import { WatchedRun } from '../../../src/core/fairness/intake-policy.ts';
import { Quotas } from '../../../src/core/fairness/quotas.ts';
import { ROW_WORDS } from '../../../src/core/records/rows.ts';
import { freshEngine } from '../../support/engine.ts';
import { Random, seedOf } from '../../support/random.ts';
import { acks, batch, brokerOf, rulesOf, smallCodec } from '../../support/world.ts';

const seed = seedOf('core/fairness/quotas.test');
const codecs = [
  ['plain', smallCodec],
  ['wasm', () => freshEngine()],
] as const;

type Message = [bucket: number, body: string];
const of = (bucket: number, ...lengths: number[]): Message[] =>
  lengths.map((length) => [bucket, 'x'.repeat(length)]);

for (const [name, codec] of codecs) {
  const worldOf = (...rules: string[]) => brokerOf({ codec: codec(), rules });
  const publish = (world: ReturnType<typeof worldOf>, ...messages: Message[]): string => {
    const producer = world.producer();
    producer.send(batch('u64', ...messages));
    world.settle();
    return producer.take().join('');
  };

  test(`${name}: max_messages: so many wait, and what is acked makes room`, () => {
    const world = worldOf('2 max_messages=3');
    assert.equal(publish(world, ...of(2, 1, 1), ...of(1, 1), ...of(2, 1, 1, 1)), '111100');
    const { counters } = world.broker;
    assert.deepEqual([counters.refusedByRule, counters.refusedFull], [2, 0]);
    assert.equal(publish(world, ...of(2, 1), ...of(1, 1)), '01');
    const consumer = world.consumer(2, 2);
    assert.equal(publish(world, ...of(2, 1)), '0', 'what is held counts');
    consumer.send(acks(0, 1));
    assert.equal(publish(world, ...of(2, 1, 1)), '10');
  });

  test(`${name}: max_bytes: what fits goes in, also behind what does not`, () => {
    const world = worldOf('2 max_bytes=10');
    assert.equal(publish(world, ...of(2, 4, 11, 7, 3, 3, 1)), '100110');
    assert.equal(publish(world, ...of(2, 1)), '0');
    const consumer = world.consumer(2, 1);
    consumer.send(acks(1));
    assert.equal(publish(world, ...of(2, 5, 4, 1)), '010');
    assert.equal(world.broker.counters.refusedByRule, 6);
  });

  test(`${name}: both bounds; neighbours without a rule are not asked about`, () => {
    const world = worldOf('2-3 max_messages=2', '3 max_bytes=5');
    assert.equal(publish(world, ...of(2, 9, 9, 9), ...of(3, 5, 1), ...of(4, 9, 9, 9)), '11010111');
    assert.equal(publish(world, ...of(3, 1, 1), ...of(2, 1)), '000');
  });

  test(`${name}: the open batch counts, and the one that is being written`, () => {
    const world = worldOf('2 max_messages=4', '3 max_bytes=40');
    const [first, second, third] = [world.producer(), world.producer(), world.producer()];
    first.send(batch('u64', ...of(2, 1, 1), ...of(3, 20)));
    world.turn();
    assert.ok(world.log.appending);
    second.send(batch('u64', ...of(2, 1), ...of(3, 15)));
    third.send(batch('u64', ...of(2, 1, 1), ...of(3, 6, 5)));
    world.turn();
    world.settle();
    assert.equal(first.take().join(''), '111');
    assert.equal(second.take().join(''), '11');
    assert.equal(third.take().join(''), '1001');
  });

  test(`${name}: in any pieces, from several, with acks and failures: none too many, none too few`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 25; round++) {
      const [most, bytes] = [1 + random.below(20), 20 + random.below(400)];
      const world = worldOf(`2 max_messages=${most}`, `3 max_bytes=${bytes}`);
      const consumers = [2, 3].map((bucket) => world.consumer(bucket, 1 + random.below(5)));
      const held: number[][] = [[], []]; // lengths, in order
      for (let turn = 0; turn < 30; turn++) {
        const sent = Array.from({ length: 1 + random.below(30) }, (): Message => {
          const length = 1 + random.below(random.chance(0.1) ? 500 : 40);
          return of(1 + random.below(3), length)[0]!;
        });
        // The bucket's limit, by adding up. A batch comes whole or in pieces.
        const producer = world.producer();
        for (let rest = batch('u64', ...sent); rest.length > 0; ) {
          const size = random.chance(0.5) ? rest.length : 1 + random.below(300);
          producer.send(rest.subarray(0, size));
          rest = rest.subarray(size);
        }
        const expected = sent.map(([bucket, { length }]) => {
          const line = held[bucket - 2];
          if (line === undefined) return 1;
          const sum = line.reduce((all, each) => all + each, 0);
          const fits = bucket === 2 ? line.length < most : sum + length <= bytes;
          if (fits) line.push(length);
          return fits ? 1 : 0;
        });
        world.settle();
        assert.deepEqual([...producer.take()], expected, `round ${round}, turn ${turn}`);
        producer.vanish();
        // All is answered, or nothing: what is left of a record would be shared out.
        consumers.forEach((consumer, i) => {
          if (random.chance(0.5)) return;
          while (consumer.session.unacked > 0) {
            consumer.send(acks(random.chance(0.9) ? 1 : 0));
            world.turn();
          }
          held[i] = [];
        });
      }
    }
  });
}

test('payload of a record that is done in part is shared out evenly, to the byte in the end', () => {
  const world = brokerOf({ rules: ['2 max_bytes=1000'] });
  const payload = () => world.broker.buckets.payload.of(world.broker.buckets.find(2, 0));
  world.publish(2, 'x'.repeat(10), 'x'.repeat(31));
  world.publish(2, 'x'.repeat(100));
  assert.equal(payload(), 141);
  const consumer = world.consumer(2, 1);
  assert.equal(payload(), 141);
  consumer.send(acks(0));
  assert.equal(payload(), 141);
  consumer.send(acks(1));
  assert.equal(payload(), 121);
  consumer.send(acks(1));
  assert.equal(payload(), 100);
  consumer.send(acks(1));
  assert.equal(payload(), 0);
});

test('a rule that comes later counts what waits already; one that goes lets all in', () => {
  const world = brokerOf({ rules: [] });
  world.publish(2, 'x'.repeat(30), 'x'.repeat(30));
  const producer = world.producer();
  const answers = () => {
    producer.send(batch('u64', ...of(2, 41)));
    world.settle();
    return producer.take().join('');
  };
  world.broker.rulesInForce!.use(rulesOf('2 max_bytes=100'));
  assert.equal(answers(), '0');
  world.broker.rulesInForce!.use(rulesOf('2 max_messages=2'));
  assert.equal(answers(), '0');
  world.broker.rulesInForce!.use(rulesOf('2 batch=2'));
  assert.equal(answers(), '1');
});

test('what is not counted yet is at least known: too many may go in, and stay', () => {
  const world = brokerOf({ rules: ['2 max_messages=5'] });
  world.publish(2, 'a', 'b', 'c');
  const { buckets } = world.broker;
  // As after a start that left the oldest to be found in indexes.
  buckets.recovered(world.broker.nextSequence, 3, true);
  const slot = buckets.find(2, 0);
  assert.equal(buckets.isCounted(slot), false);
  const producer = world.producer();
  producer.send(batch('u64', ...of(2, 1, 1, 1, 1)));
  world.settle();
  assert.equal(producer.take().join(''), '1100', 'what is known counts');
});

test('what is moved into a bucket is on its way there, as what is to come later is', () => {
  const world = brokerOf({ rules: ['2 max_messages=9'] });
  const quotas = new Quotas(world.broker.buckets);
  const run = new WatchedRun();
  run.low = 2;
  const batchOf = (type: number, bodyBytes: number, form = 0, kind = KIND_LIVE) => {
    const sealed = new Batch();
    const row = new Uint32Array(ROW_WORDS);
    row.set([type, (form << 16) | (kind << 8), 0, bodyBytes, 2, 0, 1, 0, 1]);
    sealed.rows.add(row, 1);
    return sealed;
  };
  quotas.packed(run, 2, 10);
  quotas.moving(2, 0, 1, 5);
  quotas.durable(batchOf(RECORD_PLACED, HEAD_BYTES + 4 + 5, FORM_SETTLES, KIND_DEAD));
  assert.equal(quotas.passing, 3, 'its dead line is another one');
  quotas.durable(batchOf(RECORD_PLACED, HEAD_BYTES + 4 + 5, FORM_SETTLES));
  assert.equal(quotas.passing, 2);
  quotas.durable(batchOf(RECORD_PLACED, HEAD_BYTES + 4 + 5));
  assert.equal(quotas.passing, 1);
  quotas.durable(batchOf(RECORD_MESSAGES, 4 + 5));
  assert.equal(quotas.passing, 0);
});

test('without a quota nothing is watched and nothing is counted', () => {
  const world = brokerOf({ rules: ['* batch=5 rate=1000'] });
  const counts = [RULES_MASKS_COUNT_AT, RULES_RANGES_COUNT_AT];
  assert.deepEqual(
    counts.map((at) => world.codec.rules.getUint32(at, true)),
    [0, 0],
  );
  world.publish(2, 'abc');
  const { payload } = world.broker.buckets;
  assert.deepEqual([payload.isOn, payload.of(1)], [false, 0]);
});
