// Buckets that were paused while a broker ran, on files in memory: they are so in the next life,
// wherever the record stands that says it, and in a repaired copy; those that were resumed are not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIND_SETTINGS } from '../../assembly/layout-placed.ts';
import type { Outcome } from '../../src/contract/commands.ts';
import { store } from '../../src/core/commit/storing.ts';
import { NO_HEAD } from '../../src/core/records/placed.ts';
import { pauseText } from '../../src/core/segments/settings.ts';
import { repairLog } from '../../src/log/tools/repair.ts';
import { sharedEngine } from '../support/engine.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import { codec, indexOf, LOG_ID, TIME_MS, World } from './harness.ts';

const MOST = `${2n ** 64n - 1n}`;
const reader = sharedEngine('it only scans, and names the key first');

const pausedIn = ({ broker }: World, ids = ['1', '2', '3', '7', MOST]): string[] =>
  ids.filter((id) => broker.paused.has(id));

async function change(world: World, id: string, wanted: boolean): Promise<void> {
  const answers: Outcome[] = [];
  world.broker.pauses.ask(id, wanted, (outcome) => void answers.push(outcome));
  await world.settle();
  for (let i = 0; i < 20 && answers.length === 0; i++) await world.advance(50);
  assert.deepEqual(answers, [{ ok: true, result: { id, paused: wanted } }]);
}

/** Fills segments with messages of a bucket. */
async function fill(world: World, bucket: number, segments: number): Promise<void> {
  for (let i = 0; i < segments * 8; i++) {
    world.publish([{ bucket, body: `m${i}`.padEnd(4000, '.') }]);
    await world.settle();
  }
  await world.advance(2000);
}

async function made(): Promise<MemoryFiles> {
  const world = await World.open(new MemoryFiles());
  for (const id of ['7', '3', MOST]) await change(world, id, true);
  await fill(world, 1, 2);
  await change(world, '3', false);
  await change(world, '2', true);
  await change(world, MOST, false);
  await change(world, MOST, true);
  await fill(world, 1, 9);
  assert.deepEqual(pausedIn(world), ['2', '7', MOST]);
  return world.files.kill();
}

test('in segments that a start does not read pauses are in force, and in all that it reads', async () => {
  const files = await made();
  const next = await World.open(files.clone());
  assert.ok(next.used.checkpoint && next.used.segments.length > 3);
  assert.deepEqual(pausedIn(next), ['2', '7', MOST]);
  indexOf(files).clear();
  const whole = await World.open(files);
  assert.deepEqual(whole.used, { segments: [], checkpoint: false });
  assert.deepEqual(pausedIn(whole), ['2', '7', MOST]);
});

test('a compaction keeps them, and what was resumed goes with its segment', async () => {
  const world = await World.open(await made());
  await world.drain(1);
  const { compaction } = world.broker;
  const { count } = compaction;
  for (let i = 0; i < 200 && compaction.count === count; i++) await world.advance(1000);
  assert.ok(compaction.count > count, world.notes.join());
  assert.equal(world.broker.retention.live, 3);
  const after = await World.open(world.files.kill());
  assert.deepEqual(pausedIn(after), ['2', '7', MOST]);
  for (const id of ['2', '7', MOST]) await change(after, id, false);
  assert.equal(after.broker.retention.live, 0);
  await after.advance(1000);
  const end = await World.open(after.files.kill());
  assert.deepEqual([pausedIn(end), end.broker.retention.live], [[], 0]);
});

test('a bucket that two messages say is paused, because a mark was lost, is resumed from both', async () => {
  const world = await World.open(new MemoryFiles());
  await change(world, '7', true);
  const text = pauseText('7');
  const message = { low: 7, high: 0, kind: KIND_SETTINGS, head: NO_HEAD, settles: false, text };
  assert.ok(store(world.broker.commit, world.broker.codec, message));
  world.broker.flushSoon();
  await world.settle();
  const next = await World.open(world.files.kill());
  assert.deepEqual([pausedIn(next), next.broker.retention.live], [['7'], 2]);
  await change(next, '7', false);
  const end = await World.open(next.files.kill());
  assert.deepEqual([pausedIn(end), end.broker.retention.live], [[], 0]);
});

test('a repaired copy has them, and no bucket is paused that was resumed', async () => {
  const into = new MemoryFiles();
  const target = { files: into, codec, newLogId: LOG_ID + 1n, wallMs: () => TIME_MS };
  await repairLog(await made(), reader, target, () => {});
  assert.deepEqual(pausedIn(await World.open(into)), ['2', '7', MOST]);
});
