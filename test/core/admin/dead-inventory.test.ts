// Dead messages that are in indexes only, as after a start, and of which nobody knows the bucket: a
// look finds them, in memory and on disk, and what is gone since is not counted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIND_DEAD } from '../../../assembly/layout-placed.ts';
import { DeadInventory } from '../../../src/core/admin/dead-inventory.ts';
import type { LogPorts } from '../../../src/core/ports/log.ts';
import { acks, brokerOf, type World } from '../../support/world.ts';

const KIB = 1024;
const SMALL = { segmentBytes: 16 * KIB, messageBytesMax: KIB, heartbeatMs: 1e9 };
const REJECTED = 2;

/** Messages of a bucket die. */
function die(world: World, bucket: number, ...texts: string[]): void {
  world.publish(bucket, ...texts);
  const consumer = world.consumer(bucket, texts.length);
  consumer.send(acks(...texts.map(() => REJECTED)));
  world.settle();
  consumer.vanish();
  world.settle();
}

/** A world in which three died that are on disk only, and one that is not; all are forgotten. */
function worldWith(): World {
  const world = brokerOf({ limits: SMALL, rules: ['* batch=100'], resume: { places: true } });
  die(world, 7, 'a', 'b');
  die(world, 8, 'c');
  for (let i = 0; i < 60; i++) world.publish(2, `other ${i}`.padEnd(KIB));
  const { buckets } = world.broker;
  assert.ok(buckets.entries.from > 4, 'they are still in memory: this tests nothing');
  die(world, 9, 'd');
  buckets.isPartial = true;
  return world;
}

function setUp(world: World, index: Partial<LogPorts['index']> = {}) {
  const turns: (() => void)[] = [];
  const later: (() => void)[] = [];
  let visits = 0;
  const inventory = new DeadInventory({
    broker: world.broker,
    index: {
      visit: (...visit) => {
        visits++;
        (index.visit ?? world.log.ports.index.visit.bind(world.log.ports.index))(...visit);
      },
    },
    soon: (call) => void turns.push(call),
    after: (_ms, call) => void later.push(call),
  });
  const look = async (): Promise<number> => {
    let dones = 0;
    world.broker.stir(); // as whoever is asked does
    inventory.look(() => void dones++);
    for (let i = 0; i < 50; i++) {
      turns.shift()?.();
      await undefined; // a visit of the log ends in a microtask
    }
    return dones;
  };
  const counts = () => [7, 8, 9].map((bucket) => inventory.of(String(bucket)));
  return { inventory, look, later, counts, visits: () => visits };
}

test('what is on disk and in memory is found, its lines are known, and the next list waits for none', async () => {
  const world = worldWith();
  const { look, counts, later, visits } = setUp(world);
  assert.deepEqual(counts(), [0, 0, 0]);
  assert.equal(await look(), 1);
  assert.deepEqual(counts(), [2, 1, 1]);
  for (const bucket of [7, 8, 9])
    assert.notEqual(world.broker.buckets.find(bucket, 0, KIND_DEAD), 0, `${bucket} is not known`);
  later[0]!();
  const before = visits();
  assert.equal(await look(), 1, 'at once, and once');
  assert.equal(visits(), before, 'it looked again although nothing is old');
  world.pass(11_000);
  await look();
  assert.ok(visits() > before, 'it never looks again');
});

test('only segments are read that hold some, and what is gone since does not count', async () => {
  const world = worldWith();
  const { look, counts, visits } = setUp(world);
  await look();
  const all = world.broker.retention.segments.length;
  assert.ok(visits() > 0 && visits() < all / 2, `${visits()} of ${all} segments were read`);
  const { dead, settled } = world.broker.buckets.outcomes;
  const [[first]] = [...dead.runs(0, 1e6)] as [[number, number]];
  settled.add(first, 1);
  assert.deepEqual(counts(), [1, 1, 1]);
});

test('where all is known nothing is looked for', async () => {
  const world = worldWith();
  world.broker.buckets.isPartial = false;
  const { look, counts, visits } = setUp(world);
  assert.equal(await look(), 1);
  assert.deepEqual([counts(), visits()], [[0, 0, 0], 0]);
});

test('a list does not wait for a disk that is slow; one that cannot be read is left out', async () => {
  const slow = worldWith();
  const waiting: Parameters<LogPorts['index']['visit']>[] = [];
  const { look, later } = setUp(slow, { visit: (...visit) => void waiting.push(visit) });
  assert.equal(await look(), 0);
  later[0]!();
  assert.equal(await look(), 0, 'the same look, for which the next list waits, too');
  assert.equal(waiting.length, 1);
  const torn = worldWith();
  const failing = setUp(torn, { visit: (_base, _record, done) => done(new Error('EIO')) });
  assert.equal(await failing.look(), 1);
  assert.deepEqual(failing.counts(), [0, 0, 1], 'what is in memory is found all the same');
});
