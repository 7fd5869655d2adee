// Where a rule says that the oldest go: exactly so many as are too much, the oldest of what is
// ready, with each batch that is durable; what is held or delayed counts and stays.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASON_OVERFLOW } from '../../../assembly/layout-placed.ts';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { Random, seedOf } from '../../support/random.ts';
import { acks, batch, brokerOf, rulesOf, textOf, type World } from '../../support/world.ts';

const seed = seedOf('core/delivery/overflow.test');
type Consumer = ReturnType<World['consumer']>;

const texts = (consumer: Consumer): string[] =>
  new DeliveryDecoder('u64')
    .push(consumer.take())
    .filter(({ isHeartbeat }) => !isHeartbeat)
    .flatMap((frame) => Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))));

/** All that is ready, one delivery. */
function drain(world: World, bucket: number): string[] {
  const consumer = world.consumer(bucket);
  const found = texts(consumer);
  consumer.send(new Uint8Array(found.length).fill(1));
  consumer.vanish();
  return found;
}

test('max_messages: the oldest go, everybody is answered with 1', () => {
  const world = brokerOf({ rules: ['2 max_messages=3 overflow=drop-oldest'] });
  world.publish(2, 'a', 'b', 'c');
  assert.equal(world.broker.counters.dropped.overflow, 0);
  world.publish(2, 'd', 'e');
  world.publish(1, 'other');
  const { counters, buckets, retention } = world.broker;
  assert.deepEqual([counters.dropped.overflow, counters.refusedByRule], [2, 0]);
  assert.deepEqual([buckets.ready, buckets.unacked, retention.live], [4, 0, 4]);
  assert.deepEqual(drain(world, 2), ['c', 'd', 'e']);
  world.publish(2, ...Array.from({ length: 50 }, (_, i) => `${i}`));
  assert.deepEqual(drain(world, 2), ['47', '48', '49'], 'a batch that is larger goes itself');
});

test('what is dropped is settled in the log', () => {
  const world = brokerOf({ rules: ['2 max_messages=1 overflow=drop-oldest'] });
  world.publish(2, 'a', 'b', 'c');
  assert.equal(world.broker.commit.waitingMarks > 0, true);
  world.pass(1000);
  assert.equal(world.broker.commit.waitingMarks, 0);
  assert.equal(world.broker.buckets.outcomes.settled.within(1, 2), 2);
});

test('max_bytes: as few as do; a message that is larger goes itself', () => {
  const world = brokerOf({ rules: ['2 max_bytes=10 overflow=drop-oldest'] });
  for (const body of ['aaaa', 'bbbb', 'cc']) world.publish(2, body);
  assert.equal(world.broker.counters.dropped.overflow, 0);
  world.publish(2, 'd');
  assert.equal(world.broker.counters.dropped.overflow, 1);
  assert.deepEqual(drain(world, 2), ['bbbb', 'cc', 'd']);
  world.publish(2, 'aa', 'bb', 'cc', 'dd', 'ee');
  world.publish(2, 'ff');
  assert.deepEqual(drain(world, 2), ['bb', 'cc', 'dd', 'ee', 'ff']);
  world.publish(2, 'x'.repeat(11));
  assert.deepEqual(drain(world, 2), []);
});

test('what is held counts and stays; waiting consumers are given theirs first', () => {
  const world = brokerOf({ rules: ['2 max_messages=3 overflow=drop-oldest'] });
  const consumer = world.consumer(2, 2);
  world.publish(2, 'a', 'b', 'c', 'd', 'e');
  assert.deepEqual(texts(consumer), ['a', 'b']);
  assert.equal(world.broker.counters.dropped.overflow, 2);
  consumer.send(acks(1, 0));
  assert.deepEqual(texts(consumer), ['b', 'e'], 'what failed comes at its old place');
});

test('the oldest go, also where they are suspects', () => {
  const world = brokerOf({ rules: ['2 max_messages=3 overflow=drop-oldest'] });
  const other = world.consumer(2, 1);
  world.publish(2, 'held');
  assert.deepEqual(texts(other), ['held']);
  const lost = world.consumer(2, 2);
  world.publish(2, 'a', 'b');
  assert.deepEqual(texts(lost), ['a', 'b']);
  lost.vanish();
  world.publish(2, 'c', 'd');
  assert.equal(world.broker.counters.dropped.overflow, 2);
  other.send(acks(1));
  assert.deepEqual(texts(other), ['c']);
});

test('what is older than suspects and has to be looked up goes before them', () => {
  const rules = ['2 max_messages=4 overflow=drop-oldest retry=1s'];
  const limits = { segmentBytes: 16 * 1024, heartbeatMs: 1e9 };
  const world = brokerOf({ rules, limits, resume: { places: true } });
  const { counters, buckets } = world.broker;
  const other = world.consumer(2, 1);
  world.publish(2, 'oldest');
  assert.deepEqual(texts(other), ['oldest']);
  other.send(acks(0));
  world.publish(2, 'held');
  assert.deepEqual(texts(other), ['held']);
  for (let i = 0; i < 40; i++) world.publish(9, 'x'.repeat(1000));
  assert.ok(buckets.entries.firstSequence > 2, 'these two are in an index');
  const lost = world.consumer(2, 2);
  world.publish(2, 'a', 'b');
  assert.deepEqual(texts(lost), ['a', 'b']);
  lost.vanish();
  world.turn();
  world.wallMs += 1050;
  world.advance(1050);
  assert.deepEqual([buckets.delayed.count, world.log.finds.length], [0, 1], 'it is ready again');
  world.publish(2, 'c', 'd');
  assert.equal(counters.dropped.overflow, 2);
  const left: string[] = [];
  for (let found = ['held']; found.length > 0; found = texts(other)) {
    left.push(...found);
    other.send(acks(1));
    world.settle();
  }
  assert.deepEqual(left.toSorted(), ['b', 'c', 'd', 'held']);
});

test('what is delayed counts and stays until its time; then the oldest go with the next batch', () => {
  const rules = ['2 max_messages=2 overflow=drop-oldest delay=1s'];
  const world = brokerOf({ rules, resume: { places: true } });
  world.publish(2, 'a', 'b', 'c');
  assert.deepEqual(
    [world.broker.counters.dropped.overflow, world.broker.buckets.delayed.count],
    [0, 3],
  );
  world.pass(1050);
  world.publish(1, 'any');
  assert.deepEqual(drain(world, 2), ['b', 'c']);
});

test('another rule is for what waits already, and for nobody once it is gone', () => {
  const world = brokerOf({ rules: ['2 max_messages=4'] });
  world.publish(2, 'a', 'b', 'c', 'd');
  world.broker.rulesInForce!.use(rulesOf('2 max_messages=2 overflow=drop-oldest'));
  world.publish(1, 'any');
  assert.equal(world.broker.counters.dropped.overflow, 2);
  world.broker.rulesInForce!.use(rulesOf('1 max_messages=100'));
  world.publish(2, 'e', 'f');
  assert.deepEqual(drain(world, 2), ['c', 'd', 'e', 'f']);
});

const diedIn = ({ broker: { buckets, counters } }: World): number[] => [
  buckets.ready,
  buckets.dead,
  counters.dead[REASON_OVERFLOW]!,
  counters.dropped.overflow,
];

test('dead-oldest: the oldest die, exactly as many as are too much', () => {
  const rules = ['2 max_messages=3 overflow=dead-oldest'];
  const world = brokerOf({ rules, resume: { places: true } });
  world.publish(2, 'a', 'b', 'c', 'd', 'e');
  world.pass(100);
  assert.deepEqual(diedIn(world), [3, 2, 2, 0]);
  world.publish(2, 'f');
  world.pass(100);
  assert.deepEqual(diedIn(world), [3, 3, 3, 0]);
  assert.deepEqual(drain(world, 2), ['d', 'e', 'f']);
  assert.equal(world.broker.counters.refusedByRule, 0);
});

test('dead-oldest by bytes: as few as do, whatever is on its way', () => {
  const rules = ['2 max_bytes=10 overflow=dead-oldest'];
  const world = brokerOf({ rules, resume: { places: true } });
  world.publish(2, 'aaaa', 'bbb', 'cc', 'dd', 'e');
  assert.deepEqual(drain(world, 2), ['bbb', 'cc', 'dd', 'e']);
  world.pass(100);
  assert.deepEqual(diedIn(world), [0, 1, 1, 0]);
  assert.equal(world.broker.buckets.payload.of(world.broker.buckets.find(2, 0)), 0);
});

test('dead-oldest: the dead are moved, dropped, or wait for room as others that die', () => {
  const rules = [
    '2-3 max_messages=1 overflow=dead-oldest',
    '2 dead_letter=drop',
    '3 dead_letter=4',
    '4 max_messages=2',
  ];
  const world = brokerOf({ rules, resume: { places: true }, limits: { marksMax: 1 } });
  world.publish(2, 'a', 'b', 'c');
  assert.deepEqual(diedIn(world), [1, 0, 2, 0]);
  assert.equal(world.broker.counters.deadDroppedMessages, 2);
  for (const body of ['d', 'e', 'f', 'g']) world.publish(3, body);
  world.pass(1000);
  assert.deepEqual(diedIn(world), [1 + 1 + 2, 1, 5, 0]);
  assert.equal(world.broker.counters.deadFallbackMessages, 1);
  assert.deepEqual([drain(world, 4), drain(world, 3)], [['d', 'e'], ['g']]);
});

test('any batches, with acks and failures: a line by a model that adds', () => {
  const random = new Random(seed);
  for (let round = 0; round < 20; round++) {
    const most = 1 + random.below(20);
    const world = brokerOf({ rules: [`2 max_messages=${most} overflow=drop-oldest`] });
    const consumer = world.consumer(2, 3);
    let line: string[] = [];
    let held: string[] = [];
    for (let turn = 0; turn < 40; turn++) {
      const bodies = Array.from({ length: 1 + random.below(12) }, (_, i) => `${turn} ${i}`);
      const producer = world.producer();
      producer.send(batch('u64', ...bodies.map((body): [number, string] => [2, body])));
      world.settle();
      assert.equal(producer.take().length, bodies.length);
      producer.vanish();
      line.push(...bodies);
      if (held.length === 0) held = line.splice(0, 3);
      line = line.slice(Math.min(line.length, Math.max(0, line.length + held.length - most)));
      const { buckets } = world.broker;
      assert.deepEqual([buckets.ready, buckets.unacked], [line.length, held.length], `${turn}`);
      assert.ok(buckets.ready === 0 || buckets.ready + buckets.unacked <= most);
      if (random.chance(0.6)) {
        assert.deepEqual(texts(consumer), held);
        const fails = random.chance(0.3);
        consumer.send(new Uint8Array(held.length).fill(fails ? 0 : 1));
        if (fails) line = [...held, ...line];
        held = line.splice(0, 3);
      }
      if (held.length > 0 && random.chance(0.1)) world.pass(100);
    }
  }
});
