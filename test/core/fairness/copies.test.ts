// Copies for other buckets, by the rule of a message's own, on a broker: with their message in one
// batch or not at all, once, and for nobody whose rule does not say so.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RECORD_MESSAGES, RECORD_PLACED } from '../../../assembly/layout.ts';
import { REASON_COPIED } from '../../../assembly/layout-placed.ts';
import type { Batch } from '../../../src/core/commit/batch.ts';
import type { Head } from '../../../src/core/records/placed.ts';
import { BUCKET_LOW, ROW_WORDS, TYPE } from '../../../src/core/records/rows.ts';
import { freshEngine } from '../../support/engine.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  acks,
  batch,
  brokerOf,
  consumeAll,
  rulesOf,
  smallCodec,
  WALL_MS,
  type World,
  type WorldOptions,
} from '../../support/world.ts';

const seed = seedOf('core/fairness/copies.test');
const codecs = [
  ['plain', smallCodec],
  ['wasm', () => freshEngine()],
] as const;

type Message = [bucket: number, body: string];

/** All that waits in a bucket. */
function drain(world: World, bucket: number): string[] {
  const consumer = world.consumer(bucket);
  const found = consumeAll(world, consumer);
  consumer.vanish();
  return found;
}

/** Batches with messages that became durable: type and bucket of their records, and their heads. */
function watch(world: World): { records: number[][]; heads: Head[] }[] {
  const seen: { records: number[][]; heads: Head[] }[] = [];
  world.broker.onBatch(({ rows: { words, count }, heads }: Batch) => {
    if (count === 0) return;
    const records = Array.from({ length: count }, (_, i) => [
      words[i * ROW_WORDS + TYPE]!,
      words[i * ROW_WORDS + BUCKET_LOW]!,
    ]);
    seen.push({ records, heads: [...heads.values()] });
  });
  return seen;
}

for (const [name, codec] of codecs)
  describe(name, () => {
    const worldOf = (options: WorldOptions) => brokerOf({ codec: codec(), ...options });
    const send = (world: World, ...messages: Message[]): string => {
      const producer = world.producer();
      producer.send(batch('u64', ...messages));
      world.settle();
      const replies = producer.take();
      producer.vanish();
      return replies.join('');
    };

    test('each message is in its bucket and in each that gets copies, in one batch', () => {
      const world = worldOf({ rules: ['2 copy_to=20,21'], resume: { places: true } });
      const seen = watch(world);
      assert.equal(send(world, [1, 'a'], [2, 'b'], [2, 'c'], [1, 'd'], [2, 'e']), '11111');
      const [of, copy] = [RECORD_MESSAGES, RECORD_PLACED];
      assert.equal(seen.length, 1);
      const copies = [[of, 2], ...[20, 21].map((bucket) => [copy, bucket])];
      assert.deepEqual(seen[0]!.records, [[of, 1], ...copies, [of, 1], ...copies]);
      const { heads } = seen[0]!;
      assert.deepEqual(
        heads.map(({ reason, fromBucket, from, movedMs, dueMs }) => [
          reason,
          fromBucket,
          from,
          movedMs,
          dueMs,
        ]),
        [2, 2, 9, 9].map((from) => [REASON_COPIED, 2n, from, WALL_MS, 0]),
      );
      const { counters, buckets } = world.broker;
      assert.deepEqual([counters.publishedMessages, counters.publishedBytes], [5, 5]);
      assert.deepEqual([counters.copiedMessages, buckets.ready], [6, 11]);
      assert.deepEqual(drain(world, 1), ['a', 'd']);
      for (const bucket of [2, 20, 21]) assert.deepEqual(drain(world, bucket), ['b', 'c', 'e']);
      assert.deepEqual([buckets.ready, world.broker.retention.live], [0, 0]);
    });

    test('copies are not copied again, so a ring ends after one step', () => {
      const world = worldOf({ rules: ['1 copy_to=2', '2 copy_to=1,3'], resume: { places: true } });
      assert.equal(send(world, [1, 'a'], [2, 'b']), '11');
      assert.deepEqual(
        [1, 2, 3].map((bucket) => drain(world, bucket).join('')),
        ['ab', 'ab', 'b'],
      );
      assert.equal(world.broker.counters.copiedMessages, 3);
    });

    test('sixteen copies, of messages as large as any', () => {
      const targets = Array.from({ length: 16 }, (_, i) => 100 + i);
      const world = worldOf({ rules: [`2 copy_to=${targets}`] });
      const seen = watch(world);
      const bodies = Array.from({ length: 9 }, (_, i) => `${i}`.padEnd(i % 2 ? 1024 : 1, 'x'));
      assert.equal(send(world, ...bodies.map((body): Message => [2, body])), '1'.repeat(9));
      assert.ok(world.log.bases().length > 2, 'they went on in other segments');
      for (const { records } of seen) assert.equal(records.length % 17, 0);
      for (const bucket of [2, ...targets]) assert.deepEqual(drain(world, bucket), bodies);
    });

    test('a bucket that takes no more refuses the message whole, and what fits goes in', () => {
      const rules = ['2 copy_to=20,21', '20 max_messages=3', '21 max_bytes=10'];
      const world = worldOf({ rules, resume: { places: true } });
      const replies = send(world, [2, 'aaaa'], [2, 'bbbbbbb'], [2, 'cccc'], [2, 'ddd'], [2, 'e']);
      assert.equal(replies, '10101');
      assert.equal(send(world, [2, 'f'], [20, 'g'], [21, 'h'], [1, 'i']), '0011');
      assert.equal(world.broker.counters.refusedByRule, 4);
      assert.deepEqual(drain(world, 2), ['aaaa', 'cccc', 'e']);
      assert.equal(send(world, [2, 'j']), '0', 'it is not there that it has to be acked');
      assert.deepEqual(drain(world, 20), ['aaaa', 'cccc', 'e']);
      assert.equal(send(world, [2, 'k']), '0', 'in neither of them');
      assert.deepEqual(drain(world, 21), ['aaaa', 'cccc', 'e', 'h']);
      assert.equal(send(world, [2, 'l']), '1');
      assert.deepEqual(
        [2, 20, 21].map((each) => drain(world, each)),
        [['l'], ['l'], ['l']],
      );
    });

    test('what is on its way to a bucket counts, whoever it comes from', () => {
      const rules = ['2 copy_to=20', '3 copy_to=20', '20 max_messages=5'];
      const world = worldOf({ rules, resume: { places: true } });
      const producers = [2, 3, 20].map((bucket) => {
        const producer = world.producer();
        producer.send(batch('u64', [bucket, 'a'], [bucket, 'b']));
        return producer;
      });
      world.settle();
      assert.deepEqual(
        producers.map((each) => each.take().join('')),
        ['11', '11', '10'],
      );
      assert.equal(drain(world, 20).length, 5);
    });

    test('its own quota and that of the others, by bytes and by messages', () => {
      const rules = ['2 copy_to=20 max_bytes=8', '20 max_messages=2'];
      const world = worldOf({ rules, resume: { places: true } });
      assert.equal(send(world, [2, 'aaaa'], [2, 'bbbbb'], [2, 'cc'], [2, 'd']), '1010');
      assert.deepEqual(
        [2, 20].map((each) => drain(world, each)),
        [
          ['aaaa', 'cc'],
          ['aaaa', 'cc'],
        ],
      );
    });

    test('a delay is for the bucket whose rule has it', () => {
      const rules = ['2 copy_to=20,21 delay=2s', '20 delay=1s'];
      const world = worldOf({ rules, resume: { places: true } });
      assert.equal(send(world, [2, 'a'], [2, 'b']), '11');
      const consumers = [2, 20, 21].map((bucket) => world.consumer(bucket));
      const found = () => consumers.map((each) => consumeAll(world, each).join(''));
      assert.deepEqual(found(), ['', '', 'ab']);
      world.pass(1050);
      assert.deepEqual(found(), ['', 'ab', '']);
      world.pass(1000);
      assert.deepEqual(found(), ['ab', '', '']);
    });

    test('drop-oldest of a bucket that gets copies', () => {
      const rules = ['2 copy_to=20', '20 max_messages=2 overflow=drop-oldest'];
      const world = worldOf({ rules, resume: { places: true } });
      for (const body of ['a', 'b', 'c']) assert.equal(send(world, [2, body]), '1');
      assert.deepEqual(
        [2, 20].map((each) => drain(world, each).join('')),
        ['abc', 'bc'],
      );
    });

    test('a message that no segment can hold with its copies is refused, the others are not', () => {
      const targets = Array.from({ length: 16 }, (_, i) => 100 + i);
      const limits = { messageBytesMax: 4096 };
      const world = worldOf({ rules: [`2 copy_to=${targets}`], limits, resume: { places: true } });
      const bodies = [1, 4000, 1, 1600, 4096, 2].map((size) => 'x'.repeat(size));
      const messages = bodies.map((body): Message => [2, body]);
      assert.equal(send(world, ...messages, [3, 'y'.repeat(4096)]), '1011011');
      assert.equal(world.broker.counters.refusedByRule, 2);
      for (const bucket of [2, 115])
        assert.deepEqual(
          drain(world, bucket).map(({ length }) => length),
          [1, 1, 1600, 2],
        );
    });

    test('a bound that comes later counts what is there, and nothing that was on its way', () => {
      const world = worldOf({ rules: ['2 copy_to=20'], resume: { places: true } });
      assert.equal(send(world, [20, 'a'], [20, 'b'], [2, 'c']), '111');
      const producer = world.producer();
      producer.send(batch('u64', [20, 'd'], [20, 'e']));
      world.turn();
      assert.ok(world.log.appending);
      world.broker.rulesInForce!.use(rulesOf('2 copy_to=20', '20 max_messages=7'));
      const other = world.producer();
      other.send(batch('u64', [2, 'f']));
      world.settle();
      assert.deepEqual([producer.take().join(''), other.take().join('')], ['11', '1']);
      assert.equal(world.broker.rulesInForce!.quotas!.passing, 0);
      assert.equal(send(world, [20, 'g'], [20, 'h'], [20, 'i']), '100');
    });

    test('another rule is for what comes then', () => {
      const world = worldOf({ rules: ['2 copy_to=20'], resume: { places: true } });
      send(world, [2, 'a']);
      world.broker.rulesInForce!.use(rulesOf('2 copy_to=21'));
      send(world, [2, 'b']);
      world.broker.rulesInForce!.use(rulesOf('3 delay=1s'));
      send(world, [2, 'c']);
      assert.deepEqual(
        [2, 20, 21].map((each) => drain(world, each).join('')),
        ['abc', 'a', 'b'],
      );
    });

    test('what dies goes where the rule of its bucket says, and is not copied again', () => {
      const rules = ['2 copy_to=20', '20 copy_to=21 dead_letter=2'];
      const world = worldOf({ rules, resume: { places: true } });
      send(world, [2, 'a']);
      assert.deepEqual(drain(world, 2), ['a']);
      const consumer = world.consumer(20);
      world.settle();
      consumer.take();
      consumer.send(acks(2));
      world.pass(100);
      assert.deepEqual(
        [2, 20, 21].map((each) => drain(world, each).join('')),
        ['a', '', ''],
      );
      assert.equal(world.broker.counters.copiedMessages, 1);
    });

    test('a light producer waits for a few batches at most, whoever makes copies', () => {
      const rules = [`2 copy_to=${Array.from({ length: 16 }, (_, i) => 100 + i)}`];
      const world = worldOf({ rules, resume: { places: true } });
      const [heavy, light] = [world.producer(), world.producer()];
      light.send(batch('u64', [1, 'x']));
      world.pass(100);
      light.take();
      const large: Message[] = Array.from({ length: 40 }, () => [2, 'x'.repeat(900)]);
      heavy.send(batch('u64', ...large));
      world.turn();
      light.send(batch('u64', [1, 'y']));
      world.turn();
      for (let i = 0; light.take().length === 0; i++) {
        assert.ok(i < 4, 'it waits for more than a batch');
        world.log.complete();
        world.turn();
      }
      for (let i = 0; i < 40; i++) {
        world.pass(50);
        light.send(batch('u64', [1, 'z']));
      }
      assert.deepEqual(heavy.take(), new Uint8Array(40).fill(1));
      assert.equal(drain(world, 115).length, 40);
    });

    test('in any pieces, with segments that end and buckets that fill: all copies or none', () => {
      const random = new Random(seed);
      const rules = [
        '2 copy_to=20,21,22',
        '3 copy_to=21 delay=250ms',
        '4 copy_to=2,21',
        '22 max_messages=30',
      ];
      for (let round = 0; round < 4; round++) {
        const world = worldOf({ rules });
        const expected = new Map<number, string[]>();
        const stored = (bucket: number, body: string) =>
          expected.set(bucket, [...(expected.get(bucket) ?? []), body]);
        const targets = new Map([
          [2, [20, 21, 22]],
          [3, [21]],
          [4, [2, 21]],
        ]);
        for (let turn = 0; turn < 12; turn++) {
          // Of bucket 2 always some, so that the one that holds 30 gets full.
          const messages = Array.from({ length: 3 + random.below(38) }, (_, i): Message => {
            const size = random.chance(0.1) ? 1024 : 1 + random.below(200);
            const bucket = i < 3 ? 2 : 1 + random.below(4);
            return [bucket, `${turn} ${i} `.padEnd(size, 'x')];
          });
          const producer = world.producer();
          for (let rest = batch('u64', ...messages); rest.length > 0; ) {
            const size = 1 + random.below(rest.length);
            producer.send(rest.subarray(0, size));
            if (random.chance(0.5)) world.turn();
            rest = rest.subarray(size);
          }
          world.settle();
          const replies = producer.take();
          assert.equal(replies.length, messages.length);
          messages.forEach(([bucket, body], i) => {
            if (replies[i] === 1)
              for (const to of [bucket, ...(targets.get(bucket) ?? [])]) stored(to, body);
            else assert.equal(bucket, 2);
          });
          producer.vanish();
        }
        assert.ok(world.log.bases().length > 1, 'it went on in another segment');
        assert.equal(expected.get(22)!.length, 30);
        world.pass(400);
        for (const bucket of [1, 2, 3, 4, 20, 21, 22])
          assert.deepEqual(drain(world, bucket), expected.get(bucket), `bucket ${bucket}`);
      }
    });
  });

test('the largest message with sixteen copies goes in, whatever waits for the disk', () => {
  const targets = Array.from({ length: 16 }, (_, i) => 100 + i);
  const MIB = 1024 * 1024;
  const limits = { messageBytesMax: MIB, segmentBytes: 64 * MIB, reserveBytes: 4 * MIB };
  const world = brokerOf({ codec: freshEngine(), rules: [`2 copy_to=${targets}`], limits });
  const [one, other] = [world.producer(), world.producer()];
  const large = 'x'.repeat(MIB);
  for (let i = 0; i < 3; i++) {
    other.send(batch('u64', [1, large], [1, large], [2, 'small']));
    one.send(batch('u64', [2, large]));
    world.settle();
    assert.deepEqual([one.take(), other.take()], [acks(1), acks(1, 1, 1)]);
  }
  assert.ok(world.log.bases().length > 1);
  assert.deepEqual([world.broker.counters.copiedMessages, world.broker.buckets.ready], [96, 108]);
});
