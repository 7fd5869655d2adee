// Sources whose lines go on in indexes: where these are in memory, nobody has to watch a source for
// it, and what is given out, in which order, is what it is without.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_HEADER_BYTES } from '../../../assembly/layout.ts';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { acks, brokerOf, textOf } from '../../support/world.ts';

type World = ReturnType<typeof brokerOf>;
type Consumer = ReturnType<World['consumer']>;

const LIMITS = { segmentBytes: 16 * 1024, messageBytesMax: 1024, heartbeatMs: 1e9 };

/** A broker with messages in sources 10 and on that stand in indexes only. */
function stocked(rules: string[], lines: string[][], isAtHand = true): World {
  const world = brokerOf({ limits: LIMITS, rules, resume: { places: true } });
  const most = Math.max(...lines.map((line) => line.length));
  for (let i = 0; i < most; i++)
    for (const [source, line] of lines.entries())
      if (i < line.length) world.publish(10 + source, line[i]!);
  for (let i = 0; i < 100; i++) world.publish(5, 'd'.repeat(1000));
  world.settle();
  const { buckets } = world.broker;
  for (const source of lines.keys()) assert.ok(buckets.isOlder(buckets.find(10 + source, 0)));
  world.log.isAtHand = isAtHand;
  return world;
}

// The records of all sources are in memory, too.
function readBack({ log }: World): void {
  for (const record of [...log.indexes.values()].flat())
    if (record.low >= 10)
      log.load(record.position, RECORD_HEADER_BYTES + record.bodyBytes, () => {});
  while (log.loads.length > 0) log.loaded();
}

function texts(world: World, consumer: Consumer): string[] {
  world.settle();
  return new DeliveryDecoder('u64')
    .push(consumer.take())
    .filter(({ isHeartbeat }) => !isHeartbeat)
    .flatMap((frame) => Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))));
}

// Everything that a consumer gets which is done with each batch at once, batch by batch.
function drain(world: World, consumer: Consumer): string[][] {
  const all: string[][] = [];
  for (let got = texts(world, consumer); got.length > 0; got = texts(world, consumer)) {
    all.push(got);
    consumer.send(acks(...got.map(() => 1)));
  }
  return all;
}

const LINES = [['a0', 'a1', 'a2'], ['b0'], ['c0', 'c1']];

for (const isAtHand of [false, true])
  test(`one of each in turn, in its order, ${isAtHand ? 'at hand' : 'looked up'}`, () => {
    const world = stocked(['9 sources=10-19'], LINES, isAtHand);
    const all = drain(world, world.consumer(9, 1)).flat();
    assert.deepEqual(all.toSorted(), LINES.flat());
    for (const line of LINES)
      assert.deepEqual(
        all.filter((text) => line.includes(text)),
        line,
      );
    assert.deepEqual(all.slice(0, 3).toSorted(), ['a0', 'b0', 'c0'], 'nobody is left out');
    for (const source of LINES.keys())
      assert.equal(world.broker.buckets.find(10 + source, 0), 0, 'what is empty is not known');
  });

test('nobody watches a source of which all is in memory', () => {
  const lines = Array.from({ length: 10 }, (_, i) => [`${i}`]);
  const world = stocked(['9 sources=10-19'], lines);
  readBack(world);
  const consumer = world.consumer(9, 100);
  world.turn();
  assert.equal(world.broker.buckets.unacked, 10);
  assert.equal(world.broker.buckets.watched, 1, 'its own bucket alone');
  assert.equal(drain(world, consumer).flat().length, 10);
  assert.equal(world.log.finds.length, 0);
});

test('what failed comes again before the next one of its source', () => {
  const world = stocked(['9 sources=10-19', '10-19 max_in_flight=2'], [['a0', 'a1', 'a2'], ['b0']]);
  const consumer = world.consumer(9, 1);
  assert.deepEqual(texts(world, consumer), ['a0']);
  consumer.send(acks(0));
  const all = drain(world, consumer).flat();
  assert.deepEqual(
    all.filter((text) => text.startsWith('a')),
    ['a0', 'a1', 'a2'],
  );
  assert.equal(all.length, 4);
});

test('what is dead of it is not given out, and what is behind it is', () => {
  const world = stocked(['9 sources=10-19', '10 ttl=1s'], [['a0', 'a1'], ['b0']]);
  world.pass(2000);
  const consumer = world.consumer(9, 10);
  assert.deepEqual(drain(world, consumer).flat(), ['b0']);
  world.settle();
  assert.equal(world.broker.buckets.dead, 2);
});

test('a weight is held, and a source at its limit waits', () => {
  const rules = ['9 sources=10-19 order=weighted batch=8', '10 weight=3', '11 max_in_flight=1'];
  const world = stocked(rules, [
    ['a0', 'a1', 'a2', 'a3'],
    ['b0', 'b1'],
  ]);
  readBack(world);
  const [one, two] = [world.consumer(9, 4), world.consumer(9, 4)];
  const got = [...texts(world, one), ...texts(world, two)];
  assert.deepEqual(got.toSorted(), ['a0', 'a1', 'a2', 'a3', 'b0']);
  one.send(acks(1, 1, 1, 1));
  two.send(acks(1));
  assert.deepEqual([...texts(world, one), ...texts(world, two)], ['b1']);
});

test('a record that cannot be read is set aside, and the rest of its source goes on', () => {
  const world = stocked(['9 sources=10-19'], [['a0', 'a1'], ['b0']]);
  const consumer = world.consumer(9, 10);
  world.turn();
  assert.ok(world.log.loads.length > 0, 'it is on disk');
  world.log.loaded(new Error('damaged'));
  const all = drain(world, consumer).flat();
  assert.equal(all.length, 2);
  assert.equal(world.broker.counters.unreadableMessages, 1);
});
