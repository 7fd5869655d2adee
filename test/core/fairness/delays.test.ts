// Messages that wait from the beginning, by the rule of their bucket, on a broker: stored at once,
// ready at their time and not before, counted, and none of it for anybody else.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RECORD_MESSAGES, RECORD_PLACED } from '../../../assembly/layout.ts';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import type { Batch } from '../../../src/core/commit/batch.ts';
import { ROW_WORDS, TYPE } from '../../../src/core/records/rows.ts';
import { freshEngine } from '../../support/engine.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  acks,
  batch,
  brokerOf,
  consumeAll,
  rulesOf,
  smallCodec,
  textOf,
  WALL_MS,
  type World,
  type WorldOptions,
} from '../../support/world.ts';

const seed = seedOf('core/fairness/delays.test');
const codecs = [
  ['plain', smallCodec],
  ['wasm', () => freshEngine()],
] as const;

type Message = [bucket: number, body: string];

/** Batches of messages that became durable: the types of their records, and when they are due. */
function watch(world: World): { types: number[]; due: number[] }[] {
  const seen: { types: number[]; due: number[] }[] = [];
  world.broker.onBatch(({ rows: { words, count }, heads }: Batch) => {
    if (count === 0) return;
    const types = Array.from({ length: count }, (_, i) => words[i * ROW_WORDS + TYPE]!);
    seen.push({ types, due: [...heads.values()].map(({ dueMs }) => dueMs) });
  });
  return seen;
}

for (const [name, codec] of codecs)
  describe(name, () => {
    const worldOf = (options: WorldOptions) => brokerOf({ codec: codec(), ...options });
    const send = (world: World, ...messages: Message[]): Uint8Array => {
      const producer = world.producer();
      producer.send(batch('u64', ...messages));
      world.settle();
      const replies = producer.take();
      producer.vanish();
      return replies;
    };

    test('what is published is answered at once, and ready at its time', () => {
      const world = worldOf({ rules: ['2 delay=1s'], resume: { places: true } });
      const seen = watch(world);
      const replies = send(world, [1, 'a'], [2, 'b'], [2, 'c'], [1, 'd'], [2, 'e']);
      assert.deepEqual(replies, acks(1, 1, 1, 1, 1));
      const [of, later] = [RECORD_MESSAGES, RECORD_PLACED];
      assert.deepEqual(seen[0]!.types, [of, later, of, later]);
      assert.deepEqual(seen[0]!.due, [WALL_MS + 1000, WALL_MS + 1000]);
      const [one, two] = [world.consumer(1), world.consumer(2)];
      assert.deepEqual(consumeAll(world, one), ['a', 'd']);
      assert.deepEqual(consumeAll(world, two), []);
      const { buckets } = world.broker;
      const slot = buckets.find(2, 0);
      const counts = () => [buckets.readyOf(slot), buckets.delayed.of(slot), buckets.delayed.count];
      assert.deepEqual([buckets.ready, ...counts()], [0, 0, 3, 3]);
      world.pass(999);
      assert.deepEqual(consumeAll(world, two), []);
      world.pass(51);
      assert.deepEqual(consumeAll(world, two), ['b', 'c', 'e']);
      assert.deepEqual([buckets.ready, ...counts()], [0, 0, 0, 0]);
    });

    test('due times are rounded up to 8 ms, never down', () => {
      const world = worldOf({ rules: ['* delay=1001ms'], resume: { places: true } });
      const seen = watch(world);
      for (const at of [0, 1, 7, 8]) {
        world.wallMs = WALL_MS + at;
        send(world, [1, 'a']);
      }
      assert.equal(WALL_MS % 8, 0);
      const due = seen.flatMap((each) => each.due);
      assert.deepEqual(
        due,
        [1008, 1008, 1008, 1016].map((ms) => WALL_MS + ms),
      );
    });

    test('a log that holds no such records yet turns to a segment that may; nobody is refused', () => {
      const world = worldOf({ rules: ['2 delay=1s'] });
      const seen = watch(world);
      const replies = send(world, [1, 'a'], [2, 'b'], [1, 'c']);
      assert.deepEqual(replies, acks(1, 1, 1));
      assert.deepEqual(
        seen.map(({ types }) => types.join()),
        [`${RECORD_MESSAGES}`, `${RECORD_PLACED},${RECORD_MESSAGES}`],
      );
      world.pass(1050);
      assert.deepEqual(consumeAll(world, world.consumer(2)), ['b']);
    });

    test('a quota counts what is to come later', () => {
      const rules = ['2 delay=1s max_messages=3', '3 delay=1s max_bytes=10'];
      const world = worldOf({ rules, resume: { places: true } });
      assert.equal(send(world, [2, 'a'], [2, 'b'], [2, 'c'], [2, 'd']).join(''), '1110');
      assert.equal(
        send(world, [3, 'aaaaa'], [3, 'bbbbbb'], [3, 'ccccc'], [2, 'e']).join(''),
        '1010',
      );
      const [first, second] = [world.producer(), world.producer()];
      world.pass(1050);
      const consumer = world.consumer(2);
      assert.deepEqual(consumeAll(world, consumer), ['a', 'b', 'c']);
      first.send(batch('u64', [2, 'f'], [2, 'g']));
      second.send(batch('u64', [2, 'h'], [2, 'i']));
      world.settle();
      assert.deepEqual([first.take().join(''), second.take().join('')], ['11', '10']);
    });

    test('another rule is for what comes then; what waits keeps its time', () => {
      const world = worldOf({ rules: ['2 delay=2s'], resume: { places: true } });
      send(world, [2, 'slow']);
      world.broker.rulesInForce!.use(rulesOf('2 delay=1s'));
      send(world, [2, 'a']);
      world.broker.rulesInForce!.use(rulesOf('3 delay=1s'));
      send(world, [2, 'at once']);
      const consumer = world.consumer(2);
      assert.deepEqual(consumeAll(world, consumer), ['at once']);
      world.pass(1050);
      assert.deepEqual(consumeAll(world, consumer), ['a']);
      world.pass(1000);
      assert.deepEqual(consumeAll(world, consumer), ['slow']);
    });

    test('messages that fill segments, in any pieces, with others between them', () => {
      const random = new Random(seed);
      for (let round = 0; round < 4; round++) {
        const world = worldOf({ rules: ['2 delay=1s', '3 delay=250ms max_messages=40'] });
        const sent: Message[][] = [[], [], []];
        for (let turn = 0; turn < 12; turn++) {
          const messages = Array.from({ length: 1 + random.below(60) }, (_, i): Message => {
            const size = random.chance(0.1) ? 1024 : 1 + random.below(200);
            return [1 + random.below(3), `${turn} ${i} `.padEnd(size, 'x')];
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
          messages.forEach((message, i) => {
            if (replies[i] === 1) sent[message[0] - 1]!.push(message);
            else assert.equal(message[0], 3);
          });
          producer.vanish();
        }
        assert.ok(world.log.bases().length > 1, 'it went on in another segment');
        world.pass(1100);
        for (const bucket of [1, 2, 3]) {
          const expected = sent[bucket - 1]!.map(([, body]) => body);
          assert.deepEqual(consumeAll(world, world.consumer(bucket)), expected, `bucket ${bucket}`);
        }
        assert.equal(world.broker.buckets.delayed.count, 0);
      }
    });

    test('the largest message goes in, whatever its head takes', () => {
      const world = worldOf({ rules: ['2 delay=1s'], resume: { places: true } });
      for (let i = 0; i < 70; i++)
        assert.deepEqual(send(world, [2, 'x'.repeat(1024)]), acks(1), `message ${i}`);
    });

    test('the first message of a batch goes in, however little of a segment is left', () => {
      const segmentBytes = 64 * 1024;
      // With some of them the message has room, and its head has none.
      const lefts = [2048, ...Array.from({ length: 21 }, (_, i) => 520 + 8 * i)];
      const turned: number[] = [];
      for (const left of lefts) {
        const resume = { places: true, offset: segmentBytes - left };
        const world = worldOf({ rules: ['2 delay=1s'], resume, limits: { segmentBytes } });
        assert.deepEqual(send(world, [2, 'x'.repeat(200)]), acks(1), `with ${left} bytes left`);
        if (world.log.bases().length > 1) turned.push(left);
      }
      assert.deepEqual(turned, lefts.slice(1));
    });

    test('one at a time: what was never given to anybody holds nothing back', () => {
      const rules = ['2 delay=1s max_in_flight=1 retry=5s'];
      const world = worldOf({ rules, resume: { places: true } });
      send(world, [2, 'a'], [2, 'b']);
      world.pass(900);
      send(world, [2, 'c']);
      world.pass(150);
      const consumer = world.consumer(2, 1);
      const frames = (): string[] =>
        new DeliveryDecoder('u64')
          .push(consumer.take())
          .filter(({ isHeartbeat }) => !isHeartbeat)
          .map((frame) => textOf(frame.body(0)));
      assert.deepEqual(frames(), ['a']);
      consumer.send(acks(0));
      world.pass(500);
      assert.deepEqual(frames(), [], 'what failed does');
    });
  });
