// Messages that are published again, by the rule of their bucket, on a broker: stored once within
// the window, each answer when what it speaks of is durable, and nothing of it for other buckets.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  RECORD_ALIGN,
  RECORD_ATTEMPTS_AT,
  RECORD_BODY_BYTES_AT,
  RECORD_BUCKET_AT,
  RECORD_COUNT_AT,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_MESSAGES,
  RECORD_PLACED,
  RECORD_SEQUENCE_AT,
  RECORD_TYPE_AT,
} from '../../../assembly/layout.ts';
import { freshEngine } from '../../support/engine.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  acks,
  batch,
  brokerOf,
  consumeAll,
  rulesOf,
  smallCodec,
  type World,
} from '../../support/world.ts';

const seed = seedOf('core/fairness/dedup.test');
const codecs = [
  ['plain', smallCodec],
  ['wasm', () => freshEngine()],
] as const;
const places = { resume: { places: true } };

type Message = [bucket: number, body: string];

/** What waits in a bucket, all of which is acked. */
function consume(world: World, bucket: number): string[] {
  const consumer = world.consumer(bucket);
  const found = consumeAll(world, consumer);
  consumer.vanish();
  world.settle();
  return found;
}

/** What the records of a batch say of themselves. */
function recordsOf(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = [];
  for (let at = 0; at < bytes.length; ) {
    found.push({
      type: bytes[at + RECORD_TYPE_AT]!,
      count: view.getUint32(at + RECORD_COUNT_AT, true),
      bucket: view.getUint32(at + RECORD_BUCKET_AT, true),
      attempts: view.getUint32(at + RECORD_ATTEMPTS_AT, true),
      sequence: Number(view.getBigUint64(at + RECORD_SEQUENCE_AT, true)),
    });
    const bodyBytes = view.getUint32(at + RECORD_BODY_BYTES_AT, true);
    at += RECORD_HEADER_BYTES + Math.ceil(bodyBytes / RECORD_ALIGN) * RECORD_ALIGN;
  }
  return found;
}

for (const [name, codec] of codecs)
  describe(name, () => {
    const worldOf = (...rules: string[]) => brokerOf({ codec: codec(), rules, ...places });
    const send = (world: World, ...messages: Message[]): Uint8Array => {
      const producer = world.producer();
      producer.send(batch('u64', ...messages));
      world.settle();
      const replies = producer.take();
      producer.vanish();
      return replies;
    };
    const published = ({ broker: { counters } }: World) => [
      counters.publishedMessages,
      counters.duplicateMessages,
    ];

    test('what was published before is answered as stored, and is stored once', () => {
      const world = worldOf('7 dedup=1m');
      assert.deepEqual(send(world, [7, 'a'], [7, 'b'], [8, 'a']), acks(1, 1, 1));
      assert.deepEqual(send(world, [7, 'b'], [7, 'c'], [8, 'a'], [7, 'a']), acks(1, 1, 1, 1));
      assert.deepEqual(consume(world, 7), ['a', 'b', 'c']);
      assert.deepEqual(consume(world, 8), ['a', 'a'], 'no rule for this one');
      assert.deepEqual(send(world, [7, 'a']), acks(1), 'also when it is done');
      assert.deepEqual(consume(world, 7), []);
      assert.deepEqual(published(world), [5, 3]);
    });

    test('within one batch, and in the one that is open', () => {
      const world = worldOf('7 dedup=1m');
      const [one, two] = [world.producer(), world.producer()];
      one.send(batch('u64', [7, 'a'], [7, 'a'], [7, 'b'], [7, 'a'], [7, 'b']));
      two.send(batch('u64', [7, 'b']));
      world.settle();
      assert.deepEqual(one.take(), acks(1, 1, 1, 1, 1));
      assert.deepEqual(two.take(), acks(1));
      assert.deepEqual(consume(world, 7), ['a', 'b']);
    });

    test('a second one is not answered before the first is durable', () => {
      const world = worldOf('7 dedup=1m');
      const [one, two, three] = [world.producer(), world.producer(), world.producer()];
      one.send(batch('u64', [7, 'a']));
      world.turn();
      two.send(batch('u64', [7, 'a']));
      world.turn();
      assert.ok(world.log.appending);
      assert.deepEqual([one.take(), two.take()], [acks(), acks()]);
      world.log.complete();
      world.turn();
      assert.deepEqual([one.take(), two.take()], [acks(1), acks(1)]);
      three.send(batch('u64', [7, 'a']));
      world.turn();
      assert.deepEqual(three.take(), acks(1), 'nothing is on its way: at once');
      assert.ok(!world.log.appending);
    });

    test('if the first is lost, nobody is told that the second is stored', () => {
      const world = worldOf('7 dedup=1m');
      const [one, two] = [world.producer(), world.producer()];
      one.send(batch('u64', [7, 'a']));
      world.turn();
      two.send(batch('u64', [7, 'a']));
      world.turn();
      world.log.complete(new Error('no disk'));
      world.turn();
      assert.deepEqual([one.take(), two.take()], [acks(), acks()]);
      assert.ok(world.failure !== undefined);
    });

    test('where the disk is full, none of both is stored', () => {
      const world = worldOf('7 dedup=1m');
      world.log.isStalled = true;
      assert.deepEqual(send(world, [7, 'a']), acks(0));
      assert.deepEqual(send(world, [7, 'a'], [7, 'a']), acks(0, 0));
      world.log.isStalled = false;
      assert.deepEqual(send(world, [7, 'a'], [7, 'a']), acks(1, 1));
      assert.deepEqual(consume(world, 7), ['a']);
    });

    test('when the window is over it is stored again; a clock that goes back makes it longer', () => {
      const world = worldOf('7 dedup=2s');
      send(world, [7, 'a'], [7, 'b']);
      world.wallMs += 1999;
      send(world, [7, 'a']);
      assert.deepEqual(consume(world, 7), ['a', 'b']);
      world.wallMs += 1;
      send(world, [7, 'a']);
      world.wallMs -= 3_600_000;
      send(world, [7, 'a']);
      assert.deepEqual(consume(world, 7), ['a']);
    });

    test('ids stand behind their messages, in the same batch', () => {
      const world = worldOf('7 dedup=90s');
      send(world, [7, 'a'], [7, 'b'], [8, 'x'], [7, 'c'], [7, 'a']);
      const { bytes } = world.log.durable.at(-1)!;
      const found = recordsOf(bytes).map(({ type, count, bucket, attempts, sequence }) =>
        type === RECORD_IDS ? [type, count, bucket, attempts, sequence] : [type, count],
      );
      const ids = (count: number) => [RECORD_IDS, count, 7, 90, world.wallMs];
      assert.deepEqual(found.slice(0, 5), [
        [RECORD_MESSAGES, 2],
        ids(2),
        [RECORD_MESSAGES, 1],
        [RECORD_MESSAGES, 1],
        ids(1),
      ]);
    });

    test('a bucket that is full refuses what is new, and answers for what is stored', () => {
      const world = worldOf('7 dedup=1m max_messages=2');
      assert.deepEqual(send(world, [7, 'a'], [7, 'b'], [7, 'c'], [7, 'a']), acks(1, 1, 0, 1));
      assert.deepEqual(send(world, [7, 'c'], [7, 'b']), acks(0, 1));
      assert.deepEqual(consume(world, 7), ['a', 'b']);
      assert.deepEqual(send(world, [7, 'c']), acks(1), 'what was refused was never known');
    });

    test('with a delay, too', () => {
      const world = worldOf('7 dedup=1m delay=1s');
      assert.deepEqual(send(world, [7, 'a'], [7, 'b'], [7, 'a']), acks(1, 1, 1));
      const { bytes } = world.log.durable.at(-1)!;
      const types = recordsOf(bytes).map(({ type }) => type);
      assert.deepEqual(types.slice(0, 2), [RECORD_PLACED, RECORD_IDS]);
      send(world, [7, 'a']);
      world.pass(1100);
      assert.deepEqual(consume(world, 7), ['a', 'b']);
    });

    test('where there is no memory for more ids, what is new is refused, and nothing forgotten', () => {
      const world = worldOf('7 dedup=1m');
      const { counters } = world.broker;
      const { ids } = world.broker.maintenance.windows;
      ids.bytesMax = ids.bytes;
      const bodies = Array.from({ length: 70 }, (_, i): Message => [7, `m${i}`]);
      const sendAll = () => bodies.flatMap((body) => [...send(world, body)]);
      const replies = sendAll();
      const stored = replies.indexOf(0);
      assert.ok(stored > 50 && replies.slice(stored).every((byte) => byte === 0));
      assert.equal(counters.refusedByRule, 70 - stored);
      assert.deepEqual(sendAll(), replies);
      assert.equal(counters.duplicateMessages, stored);
      const { kind, text } = world.notices.at(-1)!;
      assert.deepEqual([kind, /--memory/.test(text)], ['dedup.full', true]);
      assert.deepEqual(send(world, [8, 'x']), acks(1), 'others go on');
      world.wallMs += 60_000;
      assert.ok(send(world, ...bodies).every((byte) => byte === 1));
    });

    test('a rule that comes, changes and goes', () => {
      const world = worldOf('7 dedup=1m');
      const { rulesInForce } = world.broker;
      send(world, [7, 'a']);
      world.wallMs += 5000;
      rulesInForce!.use(rulesOf('7 dedup=5s'));
      send(world, [7, 'a']);
      assert.deepEqual(consume(world, 7), ['a', 'a'], 'a shorter window counts at once');
      rulesInForce!.use(rulesOf('7 batch=3'));
      send(world, [7, 'a']);
      assert.deepEqual(consume(world, 7), ['a']);
    });

    test('a segment with ids stays until they are over, and then goes by itself', () => {
      const world = worldOf('7 dedup=30s');
      const { log, broker } = world;
      for (let i = 0; log.bases().length < 3; i++) send(world, [7, `${i}${'x'.repeat(900)}`]);
      consume(world, 7);
      world.pass(2000);
      assert.equal(log.bases().length, 3);
      assert.equal(broker.retention.live, 0);
      world.pass(28_500);
      assert.ok(log.bases().length < 3, `${log.bases().length}`);
      world.pass(30_000);
      assert.equal(broker.maintenance.windows.ids.count, 0);
      const { wakes } = world;
      world.pass(60_000);
      assert.ok(world.wakes - wakes < 3, 'nothing is looked after any more');
    });

    test('segments are filled to their end, whatever stands behind messages', () => {
      const world = worldOf('7 dedup=1h');
      const { log } = world;
      for (let i = 0; log.bases().length < 5; i++) {
        const count = [1, 7, 100, 1500][i % 4]!;
        const bodies = Array.from({ length: count }, (_, k): Message => [7, `${i}.${k}`]);
        assert.ok(send(world, ...bodies).every((byte) => byte === 1));
      }
      assert.equal(world.failure, undefined);
    });

    test('whatever is sent, each body is stored once', () => {
      const random = new Random(seed);
      const world = brokerOf({
        codec: codec(),
        rules: ['0-9 dedup=1h'],
        limits: { segmentBytes: 256 * 1024, messageBytesMax: 4000 },
      });
      const sent = new Map<number, Set<string>>();
      const producers = Array.from({ length: 3 }, () => world.producer());
      for (let i = 0; i < 60; i++) {
        const messages = Array.from({ length: 1 + random.below(40) }, (): Message => {
          const bucket = random.below(3) * 7;
          const body = `${random.below(200)}`.padEnd(1 + random.below(2) * random.below(40), '-');
          sent.set(bucket, (sent.get(bucket) ?? new Set()).add(body));
          return [bucket, body];
        });
        producers[random.below(3)]!.send(batch('u64', ...messages));
        if (random.chance(0.3)) world.settle();
      }
      world.settle();
      for (const producer of producers) assert.ok(producer.take().every((byte) => byte === 1));
      for (const bucket of [0, 7]) {
        const found = consume(world, bucket);
        assert.deepEqual([...found].sort(), [...sent.get(bucket)!].sort());
      }
      assert.ok(consume(world, 14).length > sent.get(14)!.size);
    });
  });
