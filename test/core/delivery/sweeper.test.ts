// Where nobody comes to what waited too long, it is found: in time, not before its time, and it is
// dead, dropped or moved as rules say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIND_DEAD } from '../../../assembly/layout-placed.ts';
import { whyOf } from '../../../src/core/admin/explain.ts';
import { acks, rulesOf, WALL_MS } from '../../support/world.ts';
import { countsOf, texts, worldOf } from './ages.ts';

const DAY_MS = 86_400_000;
test('nobody comes: it is dead within a quarter of that time', () => {
  const world = worldOf(['2 ttl=10s']);
  world.publish(2, 'a', 'b');
  world.publish(3, 'c');
  world.pass(9950);
  assert.deepEqual(countsOf(world), [3, 0, 0, 0]);
  world.pass(2600);
  assert.deepEqual(countsOf(world), [1, 2, 2, 0]);
  const { wakes } = world;
  world.pass(60_000);
  assert.ok(world.wakes - wakes <= 40, `woken ${world.wakes - wakes} times in a minute`);
});

test('expired=drop: it is gone, and settled in the log', () => {
  const world = worldOf(['2 ttl=1s expired=drop', '3 ttl=1s dead_letter=drop']);
  world.publish(2, 'a', 'b');
  world.publish(3, 'c');
  world.pass(2100);
  assert.deepEqual(countsOf(world), [0, 0, 1, 2]);
  assert.equal(world.broker.counters.deadDroppedMessages, 1);
  assert.equal(world.broker.buckets.outcomes.settled.within(1, 3), 3);
  assert.equal(world.broker.retention.live, 0);
  assert.equal(world.broker.commit.waitingMarks, 0);
});

test('ttl shorter than delay: it expires without ever being ready', () => {
  const world = worldOf(['2 ttl=2s delay=1h']);
  world.publish(2, 'a', 'b');
  const consumer = world.consumer(2);
  world.pass(1950);
  assert.deepEqual(countsOf(world), [2, 0, 0, 0]);
  world.pass(1200);
  assert.deepEqual(countsOf(world), [0, 2, 2, 0]);
  world.pass(3_600_000);
  assert.deepEqual(texts(consumer), []);
});

test('what is to come again later expires, too', () => {
  const world = worldOf(['2 ttl=5s retry=1h']);
  world.publish(2, 'a');
  const consumer = world.consumer(2);
  assert.deepEqual(texts(consumer), ['a']);
  consumer.send(acks(0));
  world.pass(4000);
  assert.deepEqual(countsOf(world), [1, 0, 0, 0]);
  world.pass(2500);
  assert.deepEqual(countsOf(world), [0, 1, 1, 0]);
});

test('buckets that are paused, and in which no more may be out, expire as others', () => {
  const world = worldOf(['2 ttl=5s max_in_flight=1']);
  world.broker.paused.set('3', true);
  world.broker.rulesInForce!.use(rulesOf('2-3 ttl=5s max_in_flight=1'));
  world.publish(2, 'held', 'b');
  world.publish(3, 'c');
  const consumer = world.consumer(2);
  world.consumer(3);
  assert.deepEqual(texts(consumer), ['held']);
  world.pass(6500);
  assert.deepEqual(countsOf(world), [0, 2, 2, 0]);
});

test('another rule holds for what waits already', () => {
  const world = worldOf(['3 rate=5']);
  world.publish(2, 'a', 'b');
  world.pass(10_000);
  world.broker.rulesInForce!.use(rulesOf('2 ttl=9s'));
  world.pass(200);
  assert.deepEqual(countsOf(world), [0, 2, 2, 0]);
  world.publish(2, 'c');
  world.broker.rulesInForce!.use(rulesOf('2 ttl=1h'));
  world.pass(10_000);
  assert.deepEqual(texts(world.consumer(2)), ['c']);
});

test('the clock goes forward a day: all is too old at once; back a day: it waits a day longer', () => {
  const world = worldOf(['2 ttl=1h']);
  world.publish(2, 'a');
  world.wallMs -= DAY_MS;
  world.publish(2, 'b');
  world.pass(3_600_000 - 60_000);
  assert.deepEqual(countsOf(world), [2, 0, 0, 0]);
  world.wallMs += DAY_MS;
  world.pass(61_000 + 900_000);
  // A minute is what a look may be late; by the clock both are older than an hour.
  assert.deepEqual(countsOf(world), [0, 2, 2, 0]);
  assert.equal(world.wallMs > WALL_MS, true);
});

test('the clock goes back a day: what came behind one from before is found behind it', () => {
  const world = worldOf(['2-3 ttl=1h']);
  for (const bucket of [2, 3]) world.publish(bucket, 'a');
  world.wallMs -= DAY_MS;
  for (const bucket of [2, 3]) world.publish(bucket, 'b');
  world.pass(2 * 3_600_000);
  assert.deepEqual(countsOf(world), [4, 0, 0, 0]);
  const consumer = world.consumer(3);
  assert.deepEqual(texts(consumer), ['a']);
  world.pass(DAY_MS);
  assert.deepEqual(texts(consumer), []);
  assert.deepEqual(countsOf(world), [0, 3, 3, 0]);
});

test('dead_letter: they go there, what it does not take stays with its bucket', () => {
  const world = worldOf(['2 ttl=1s dead_letter=3', '3 max_messages=1']);
  world.publish(2, 'a', 'b');
  world.pass(2500);
  assert.deepEqual(countsOf(world), [1, 1, 2, 0]);
  assert.equal(world.broker.counters.deadFallbackMessages, 1);
  assert.deepEqual(texts(world.consumer(3)), ['a']);
});

test('where it was moved to, a message waits anew', () => {
  const world = worldOf(['2 ttl=2s dead_letter=3', '3 ttl=4s']);
  world.publish(2, 'a');
  world.pass(3100);
  const { buckets } = world.broker;
  assert.equal(buckets.readyOf(buckets.find(3, 0)), 1);
  world.pass(2900);
  assert.equal(buckets.readyOf(buckets.find(3, 0)), 1, 'it came some 2 s ago');
  world.pass(2600);
  assert.deepEqual(countsOf(world), [0, 1, 2, 0]);
});

test('dead_keep: the dead are dropped when they are dead for so long, however old they are', () => {
  const world = worldOf(['2 max_deliveries=1 dead_keep=1m ttl=1h']);
  world.publish(2, 'a', 'b');
  world.pass(600_000);
  const consumer = world.consumer(2);
  consumer.send(acks(0, 1));
  world.pass(50_000);
  assert.deepEqual(countsOf(world), [0, 1, 0, 0]);
  world.pass(30_000);
  assert.deepEqual(countsOf(world), [0, 0, 0, 0]);
  assert.equal(world.broker.counters.dropped['dead-keep'], 1);
  const { buckets, retention } = world.broker;
  assert.equal(retention.live, 0);
  assert.equal(buckets.find(2, 0, KIND_DEAD), 0, 'nothing of it is kept');
});

test('many buckets and many messages: all of them, and nothing of others', () => {
  const world = worldOf(['100-199 ttl=3s expired=drop', '200-299 ttl=3s']);
  const bodies = (bucket: number) => Array.from({ length: 4 }, (_, i) => `${bucket} ${i}`);
  for (let bucket = 90; bucket < 310; bucket += 2) world.publish(bucket, ...bodies(bucket));
  world.pass(10_000);
  assert.deepEqual(countsOf(world), [10 * 4, 50 * 4, 50 * 4, 50 * 4]);
});

test('why: its line is taken over while more of it is to be moved than there is room for', () => {
  const world = worldOf(['2 ttl=1s'], { resume: {}, limits: { marksMax: 1 } });
  for (const body of ['a', 'b', 'c']) world.publish(2, body);
  // There is no segment yet that may say of messages that they were moved.
  world.log.raised = false;
  const slot = world.broker.buckets.find(2, 0);
  const why = () => {
    const around = { consumers: [], isPurging: false, wallMs: world.wallMs };
    return whyOf(world.broker, slot, around).code;
  };
  world.pass(900);
  assert.equal(why(), 'no-consumer');
  world.pass(1200);
  assert.equal(why(), 'expiring');
  world.log.raised = true;
  world.broker.segmentChanged();
  world.pass(1000);
  assert.deepEqual(countsOf(world), [0, 3, 3, 0]);
});
