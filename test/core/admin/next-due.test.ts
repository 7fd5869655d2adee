// When a bucket's next message is ready: in its rows, and as the end of what `why` says. Entries of
// other buckets, of messages that are settled, and of an earlier turn do not count.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BucketRows } from '../../../src/core/admin/bucket-rows.ts';
import { nextDue } from '../../../src/core/admin/next-due.ts';
import { acks, brokerOf, type World } from '../../support/world.ts';

/** What consumers answered is on disk by then. */
const WRITTEN_MS = 200;

function worldWith(...rules: string[]): World {
  return brokerOf({ rules, resume: { places: true } });
}

const NO_INVENTORY = { of: () => 0 };
const slotOf = ({ broker }: World, bucket: number) => broker.buckets.find(bucket, 0);
const rowOf = (world: World, bucket: number) =>
  new BucketRows(world.broker, () => world.wallMs, NO_INVENTORY).rows([slotOf(world, bucket)])[0]!;
const msOf = (text: string | null | undefined) =>
  text === null || text === undefined ? text : Date.parse(text);

/** Publishes and fails messages of a bucket, one consumer after the other. */
function fail(world: World, bucket: number, ...texts: string[]): void {
  world.publish(bucket, ...texts);
  const consumer = world.consumer(bucket, texts.length);
  consumer.send(acks(...texts.map(() => 0)));
  world.pass(WRITTEN_MS);
  consumer.vanish();
  world.settle();
}

test('what failed waits until its time, and why says until when', () => {
  const world = worldWith('7 retry=10s', '8 retry=5s');
  fail(world, 8, 'another bucket');
  const from = world.wallMs;
  fail(world, 7, 'a', 'b');
  const { delayed, nextDueAt, why } = rowOf(world, 7);
  assert.deepEqual([delayed, why.code], [2, 'in-retry']);
  const dueMs = msOf(nextDueAt)!;
  assert.ok(dueMs >= from + 10_000 && dueMs <= from + 11_000, `${dueMs - from}`);
  assert.equal(why.until, nextDueAt);
  world.pass(12_000);
  const later = rowOf(world, 7);
  assert.deepEqual([later.delayed, later.nextDueAt, later.why.code], [0, null, 'no-consumer']);
  assert.equal(later.why.until, undefined);
});

test('what is published for later, and the first of several times', () => {
  const world = worldWith('7 delay=60s');
  const from = world.wallMs;
  world.publish(7, 'first');
  world.pass(20_000);
  world.publish(7, 'second');
  world.settle();
  const { why, nextDueAt } = rowOf(world, 7);
  assert.equal(why.code, 'delayed');
  const dueMs = msOf(nextDueAt)!;
  assert.ok(dueMs >= from + 60_000 && dueMs < from + 61_000, `${dueMs - from}`);
  assert.equal(msOf(why.until), dueMs);
});

test('one at a time: nothing comes until the one that failed comes again', () => {
  const world = worldWith('7 max_in_flight=1 retry=30s');
  world.publish(7, 'a', 'b');
  const consumer = world.consumer(7, 1);
  consumer.send(acks(0));
  world.pass(WRITTEN_MS);
  const { why, nextDueAt } = rowOf(world, 7);
  assert.equal(why.code, 'in-order-hold');
  assert.equal(why.until, nextDueAt);
  assert.ok(msOf(nextDueAt)! > world.wallMs);
});

test('an entry whose messages are settled, or of another turn, says nothing', () => {
  const world = worldWith('7 retry=10s', '8 retry=10s');
  fail(world, 7, 'a');
  fail(world, 8, 'b');
  const { broker } = world;
  const slots = [slotOf(world, 7), slotOf(world, 8)];
  assert.deepEqual([...nextDue(broker, slots).keys()], slots);
  const { outcomes } = broker.buckets;
  outcomes.settled.add(1, 1);
  outcomes.turns.set(2, 1, 2);
  assert.deepEqual([...nextDue(broker, slots)], []);
});

test('the rows of a list are looked up together, and one that waits for nothing has no time', () => {
  const world = worldWith('7 retry=10s');
  fail(world, 7, 'a');
  world.publish(9, 'ready');
  const rows = new BucketRows(world.broker, () => world.wallMs, NO_INVENTORY);
  const [seven, nine] = rows.rows([slotOf(world, 7), slotOf(world, 9)]);
  assert.ok(seven!.nextDueAt !== null);
  assert.equal(nine!.nextDueAt, null);
});
