// A peek against a log that moves under it: segments on their way to their index, answers in pages,
// buckets that are forgotten, records that stand elsewhere by then; and how much it shows at most.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_HEADER_BYTES } from '../../../assembly/layout.ts';
import { PEEK_BYTES_MAX, type PeekedMessage } from '../../../src/contract/commands.ts';
import { peek } from '../../../src/core/admin/peek.ts';
import type { LogPorts } from '../../../src/core/ports/log.ts';
import { freshEngine } from '../../support/engine.ts';
import { acks, batch, brokerOf, type Indexed, type World } from '../../support/world.ts';

const KIB = 1024;
const SMALL = { segmentBytes: 16 * KIB, messageBytesMax: KIB, heartbeatMs: 1e9 };

interface Answer {
  texts: string[];
  messages: PeekedMessage[];
  cut: boolean;
  failure: string | undefined;
}

/** Begins a peek at bucket 1; `turns` are those that it asked for. */
function begin(
  world: World,
  options: { limit?: number; bytes?: number; from?: number; log?: Partial<LogPorts> },
) {
  const turns: (() => void)[] = [];
  const answers: Answer[] = [];
  peek({
    broker: world.broker,
    log: { ...world.log.ports, ...options.log },
    slot: world.broker.buckets.find(1, 0),
    limit: options.limit ?? 100,
    bytes: options.bytes ?? 100,
    from: options.from,
    base64: (bytes) => Buffer.from(bytes).toString(),
    soon: (call) => void turns.push(call),
    done: (messages, cut, failure) => {
      const texts = messages.map(({ payload }) => payload.trimEnd());
      answers.push({ texts, messages, cut, failure });
    },
  });
  return { turns, answers };
}

/** Lets the log answer until the peek has ended. */
function end(world: World, { answers }: { answers: Answer[] }): Answer {
  while (answers.length === 0) assert.ok(world.log.work(), 'the peek waits for nothing');
  assert.equal(answers.length, 1);
  return answers[0]!;
}

/** Publishes to bucket 1, and so much behind it that all of it is in indexes, on disk only. */
function chill(world: World, ...texts: string[]): Indexed[] {
  for (const text of texts) world.publish(1, text.padEnd(KIB));
  for (let i = 0; i < 60; i++) world.publish(2, `other ${i}`.padEnd(KIB));
  const all = [...world.log.indexes.values()].flat().filter(({ low }) => low === 1);
  assert.equal(all.length, texts.length, 'not all of it is in indexes: this tests nothing');
  return all;
}

test('while a segment goes from memory to its index nothing is passed over', () => {
  const world = brokerOf({ limits: SMALL, releaseMax: 1 });
  for (const text of ['a', 'b', 'c']) world.publish(1, text);
  const { indexing } = world.broker;
  const producer = world.producer();
  while (indexing.segments === 1) {
    producer.send(batch('u64', [2, 'x'.repeat(900)]));
    world.turn();
    while (world.log.appending) {
      world.log.complete();
      world.turn();
    }
  }
  world.log.indexed();
  while (world.broker.buckets.entries.from < 3) assert.ok(world.wake());
  assert.ok(indexing.releasing, 'released at once: this tests nothing');
  const peeked = begin(world, {});
  assert.equal(peeked.turns.length, 1, 'it waits for a turn');
  peeked.turns.shift()!();
  assert.equal(peeked.turns.length, 1, 'and again, as long as that is so');
  world.turn();
  assert.equal(indexing.releasing, false);
  peeked.turns.shift()!();
  assert.deepEqual(end(world, peeked).texts, ['a', 'b', 'c']);
});

test('an answer in pages is asked for from the place that the last one gave', () => {
  const world = brokerOf({ limits: SMALL });
  const texts = ['a', 'b', 'c', 'd'];
  chill(world, ...texts);
  world.log.findMost = 1;
  const places: number[] = [];
  const index = {
    find: (...[query, ...rest]: Parameters<World['log']['find']>) => {
      places.push(query.at);
      world.log.find(query, ...rest);
    },
  };
  const peeked = begin(world, { limit: 3, log: { index: index as LogPorts['index'] } });
  assert.deepEqual(end(world, peeked).texts, texts.slice(0, 3));
  assert.deepEqual(places, [0, 1, 2]);
});

test('a bucket that is forgotten while the disk works shows nothing, and is no failure', () => {
  const world = brokerOf({ limits: SMALL, slotsMax: 1 });
  chill(world, 'a', 'b');
  const { buckets } = world.broker;
  const slot = buckets.open(1, 0);
  const peeked = begin(world, {});
  assert.equal(world.log.finds.length, 1);
  for (let bucket = 100; bucket < 120 && buckets.idOf(slot) === '1'; bucket++)
    world.publish(bucket, 'g');
  assert.notEqual(buckets.idOf(slot), '1', 'the bucket is known: this tests nothing');
  const { messages, failure } = end(world, peeked);
  assert.deepEqual([messages, failure], [[], undefined]);
});

test('a record that another one took the place of is not shown', () => {
  const world = brokerOf({ limits: SMALL });
  const [first, second] = chill(world, 'a', 'b');
  const [other] = [...world.log.indexes.values()].flat().filter(({ low }) => low === 2);
  const showing = (stands: Indexed) => {
    const bytes = RECORD_HEADER_BYTES + stands.bodyBytes;
    world.codec.memory.set(world.log.read(stands.position, bytes), 0);
    const reader = { resident: () => 0, load: () => assert.fail('it is in memory') };
    return end(world, begin(world, { limit: 1, log: { reader } }));
  };
  assert.deepEqual(showing(first!).texts, ['a']);
  for (const stands of [second!, other!]) {
    const { texts, failure } = showing(stands);
    assert.deepEqual(texts, []);
    assert.match(failure!, /compacted meanwhile: ask again/);
  }
});

test('a record that is always gone again is given up', () => {
  const world = brokerOf({ limits: SMALL });
  chill(world, 'a');
  let loads = 0;
  const reader: LogPorts['reader'] = {
    resident: () => -1,
    load: (_position, _bytes, done) => {
      loads++;
      done(undefined);
    },
  };
  const { failure } = end(world, begin(world, { limit: 1, log: { reader } }));
  assert.match(failure!, /could not be brought into memory/);
  assert.ok(loads > 1 && loads < 10, `${loads} loads`);
});

test('of part of a record only what still waits is shown', () => {
  const world = brokerOf();
  world.publish(1, 'a', 'b', 'c', 'd');
  const consumer = world.consumer(1, 2);
  assert.ok(consumer.take().length > 0);
  const { messages, cut } = end(world, begin(world, {}));
  assert.deepEqual(
    messages.map(({ sequence, payload }) => [sequence, payload]),
    [
      ['3', 'c'],
      ['4', 'd'],
    ],
  );
  assert.equal(cut, false, 'it is all that there is');
});

test('what is more than one answer may hold is cut, and that is said', () => {
  const MIB = 1024 * KIB;
  const limits = { segmentBytes: 8 * MIB, messageBytesMax: MIB };
  const world = brokerOf({ codec: freshEngine(), limits });
  const size = Math.ceil(PEEK_BYTES_MAX / 2.5);
  world.publish(1, ...Array.from({ length: 4 }, () => new Uint8Array(size).fill(65)));
  const { messages, cut } = end(world, begin(world, { bytes: size }));
  const shown = messages.map(({ payload, truncated }) => [payload.length, truncated]);
  const rest = PEEK_BYTES_MAX - 2 * size;
  assert.deepEqual(shown, [
    [size, false],
    [size, false],
    [rest, true],
  ]);
  assert.ok(cut);
  assert.equal(end(world, begin(world, { bytes: size, limit: 2 })).cut, false, 'as asked for');
});

test('pages of any size, each behind the one before, show all that one answer shows', () => {
  const world = brokerOf({ limits: SMALL });
  chill(world, 'a', 'b', 'c', 'd', 'e');
  world.publish(1, 'f', 'g', 'h');
  world.publish(1, 'i');
  const consumer = world.consumer(1, 1);
  world.settle();
  consumer.send(acks(1));
  world.settle();
  consumer.send(acks(0)); // it comes back, in front of what was looked up by then
  world.settle();
  consumer.vanish();
  world.settle();
  const all = end(world, begin(world, {})).texts;
  assert.deepEqual(all, [...'bcdefghi']);
  for (let limit = 1; limit <= all.length + 1; limit++) {
    const texts: string[] = [];
    for (let from = 0, more = true; more; ) {
      const { messages, texts: page } = end(world, begin(world, { limit, from }));
      texts.push(...page);
      more = page.length === limit && texts.length <= all.length;
      if (page.length > 0) from = Number(messages.at(-1)!.sequence) + 1;
    }
    assert.deepEqual(texts, all, `pages of ${limit}`);
  }
});
