// Who takes over a log that it followed has all that waits in it and goes on as after a start.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyLog } from '../../../src/log/tools/verify.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { codec, TIME_MS, World } from '../harness.ts';
import { BUCKETS, Copy, filesAfter, RULES, record } from './harness.ts';

const seed = seedOf('log/following/taking-over.test');

/** What every bucket delivers until it is empty, once nothing waits for a time any more. */
async function drainAll(
  world: World,
  clock: { wallMs: number },
): Promise<Record<string, string[]>> {
  for (let i = 0; i < 40; i++) {
    clock.wallMs += 100;
    await world.advance(100);
  }
  const all: Record<string, string[]> = {};
  for (const bucket of BUCKETS) all[bucket] = (await world.drain(bucket)).sort();
  return all;
}

test('who takes over has all that waits, and what it writes is followed by others', async () => {
  const random = new Random(seed);
  // Of the last acts nothing is acked, so that much waits at the end: each makes a batch or more.
  const batches = await record(random, 2, 220, false, RULES, 150);
  const LATE = 40;
  for (let round = 0; round < 8; round++) {
    const isLate = round % 2 === 1;
    const count = isLate ? batches.length - random.below(LATE) : 1 + random.below(batches.length);
    const clock = { wallMs: TIME_MS };
    const plain = await World.open(filesAfter(batches, count), { rules: RULES, clock });
    const expected = await drainAll(plain, clock);
    const waited = Object.values(expected).flat().length;
    if (isLate) assert.ok(waited >= 220 - 150 - LATE, `${waited} messages waited`);
    const copy = await Copy.open(new MemoryFiles(), codec);
    for (let i = 0; i < count; i++) {
      await copy.follow(batches, i, i + 1);
      if (random.below(20) === 0) await copy.advance(2000);
    }
    const { epoch } = copy.follower;
    const later = { wallMs: TIME_MS };
    const world = await own(copy, epoch + 1, later);
    const sent = world.publish([{ bucket: 5, body: 'new' }]);
    await world.settle();
    assert.deepEqual(sent.received, [1]);
    expected[5] = [...expected[5]!, 'new'].sort();
    expected[6] = [...expected[6]!, 'new'].sort();
    assert.deepEqual(await drainAll(world, later), expected, `after ${count} batches`);
    assert.equal(world.failure, undefined);
    const files = await world.close();
    const report = await verifyLog(files, codec, () => {});
    assert.deepEqual([report.bad, report.missing], [[], []], `after ${count} batches`);
  }
});

async function own(copy: Copy, epoch: number, clock: { wallMs: number }): Promise<World> {
  const begin = (await copy.takeOver(epoch))!;
  const { follower, files, state, notes } = copy;
  const parts = { files, log: follower.log, recovered: follower.recovered, state, notes };
  const options = { rules: RULES, clock };
  const world = World.takeOver(parts, [begin.resume, begin.inMemory], options);
  await world.settle();
  return world;
}

test('a log that was taken over is followed no more, and no epoch comes twice', async () => {
  const batches = await record(new Random(seed + 1), 1, 30);
  const copy = await Copy.open(new MemoryFiles(), codec);
  await copy.follow(batches, 0, 20);
  await assert.rejects(copy.takeOver(copy.follower.epoch), /no later one/);
  const { epoch } = copy.follower;
  const begin = (await copy.takeOver(epoch + 3))!;
  assert.equal(begin.resume.epoch, epoch + 3);
  assert.equal(begin.resume.places, true);
  assert.match((await copy.apply(batches[20]!))!.message, /taken over/);
  await assert.rejects(copy.takeOver(epoch + 4), /taken over/);
  await copy.follower.close();
});

test('a segment that is made before an owner has begun does not say that it has', async () => {
  const batches = await record(new Random(seed + 2), 1, 60);
  const closing = batches.findIndex(({ base }) => base > batches[0]!.base);
  const copy = await Copy.open(new MemoryFiles(), codec);
  const { epoch } = batches[0]!;
  await copy.follow(batches, 0, closing - 1);
  // There is room for no segment, and then, once somebody tries to be the owner, there is.
  copy.files.capacity = copy.files.usedBytes;
  await copy.follow(batches, closing - 1, closing);
  await copy.takeOver(epoch + 1);
  copy.files.capacity = Number.POSITIVE_INFINITY;
  copy.follower.log.retry();
  await copy.files.settle();
  assert.ok(copy.follower.log.nextReady(), 'it was made');
  // Somebody else was first, and goes on as before.
  await copy.follower.close();
  const again = await Copy.open(copy.files, codec);
  assert.equal(again.follower.epoch, epoch);
  await again.follow(batches, closing, batches.length);
  await again.follower.close();
});
