// Batches that come together are written and synced together: state and bytes are those of one by
// one, wherever it is stopped it goes on, and one that does not fit holds up none before it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLAG_LAST, RECORD_FLAGS_AT, RECORD_HEADER_BYTES } from '../../../assembly/layout.ts';
import type { Failure, Position } from '../../../src/core/ports/basics.ts';
import type { FollowedBatch } from '../../../src/log/following/batch.ts';
import { freshEngine, sharedEngine } from '../../support/engine.ts';
import { anyFate, MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { TIME_MS } from '../harness.ts';
import {
  assertHolds,
  batchesBefore,
  Copy,
  type Recorded,
  record,
  segmentsOf,
  startAfter,
  tellOf,
} from './harness.ts';

const seed = seedOf('log/following/gathering.test');
const codec = sharedEngine('a log that is opened begins with the key and the open segment');
const batches = await record(new Random(seed));

/** Hands batches over; gives how many were taken, or why none was. */
function apply(copy: Copy, given: readonly FollowedBatch[]): Promise<[Failure, number]> {
  return new Promise((resolve) => {
    copy.follower.apply(given, (failure, count) => resolve([failure, count]));
  });
}

type Four = [Recorded, Recorded, Recorded, Recorded];

const closes = ({ bytes }: FollowedBatch) =>
  (bytes[bytes.length - RECORD_HEADER_BYTES + RECORD_FLAGS_AT]! & FLAG_LAST) !== 0;

test('some at a time come to what each alone comes to; none is behind one that closes', async () => {
  const random = new Random(seed + 1);
  const copy = await Copy.open(new MemoryFiles(), codec);
  let together = 0;
  for (let done = 0; done < batches.length; ) {
    const given = batches.slice(done, done + 1 + random.below(9));
    const syncs = copy.files.count('sync');
    const [failure, count] = await apply(copy, given);
    assert.equal(failure, undefined);
    assert.ok(count >= 1 && count <= given.length, `${count} of ${given.length}`);
    const closing = given.findIndex(closes);
    assert.equal(count, closing < 0 ? given.length : closing + 1);
    // Beside it the next segment may be made, which is synced, too.
    if (count > 1 && closing < 0) assert.ok(copy.files.count('sync') - syncs < count + 2);
    if (count > 1) together++;
    done += count;
    if (random.below(8) > 0 && done < batches.length) continue;
    const { state, next } = await startAfter(batches, done);
    assert.deepEqual(copy.tell(), tellOf(state, next), `after ${done} batches`);
    assert.deepEqual(segmentsOf(copy.state), segmentsOf(state), `after ${done} batches`);
  }
  assert.ok(together > 40, `${together} times more than one`);
  await copy.follower.close();
});

test('what does not fit is told alone, and those before it are there', async () => {
  const copy = await Copy.open(new MemoryFiles(), codec);
  const at = batches.findIndex((_, i) => !batches.slice(i, i + 4).some(closes));
  await copy.follow(batches, 0, at);
  const [first, second, third, fourth] = [0, 1, 2, 3].map((i) => batches[at + i]!) as Four;
  const bent = { ...third, bytes: third.bytes.slice() };
  bent.bytes[bent.bytes.length - 1]! ^= 1;
  assert.deepEqual(await apply(copy, [first, second, bent, fourth]), [undefined, 2]);
  const [failure, count] = await apply(copy, [bent, fourth]);
  assert.match(failure!.message, /is no batch of this log/);
  assert.equal(count, 0);
  assert.deepEqual(await apply(copy, [third, fourth]), [undefined, 2]);
  const { state, next } = await startAfter(batches, at + 4);
  assert.deepEqual(copy.tell(), tellOf(state, next));
  await copy.follower.close();
});

test('wherever it is stopped it goes on from what was synced before, and behind it', async () => {
  const random = new Random(seed + 2);
  const other = freshEngine();
  const copy = await Copy.open(new MemoryFiles(), codec);
  let [stops, unbelieved] = [0, 0];
  for (let done = 0; done < batches.length; ) {
    copy.files.auto = false;
    let taken = 0;
    const given = batches.slice(done, done + 1 + random.below(6));
    const ended = apply(copy, given).then(([failure, count]) => {
      assert.equal(failure, undefined);
      taken = count;
    });
    const syncedTo = copy.follower.end;
    while (taken === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      if (copy.files.pending.length === 0) continue;
      copy.files.step();
      if (random.below(10) > 0) continue;
      stops++;
      const after = copy.files.fork().crash(anyFate(random));
      if (await isRefused(after.clone())) unbelieved++;
      await goOn(after, done, syncedTo);
    }
    await ended;
    copy.files.auto = true;
    done += taken;
  }
  assert.ok(stops > 30, `only ${stops}`);
  assert.ok(unbelieved > 0, 'no batch stood behind one that was torn');
  await copy.follower.close();

  // Without a word of what was synced, a record that claims so of a torn one is believed.
  async function isRefused(files: MemoryFiles): Promise<boolean> {
    try {
      await (await Copy.open(files, other)).follower.close();
      return false;
    } catch (error) {
      assert.match((error as Error).message, /is damaged/);
      return true;
    }
  }

  async function goOn(files: MemoryFiles, least: number, syncedTo: Position): Promise<void> {
    const again = await Copy.open(files, other, TIME_MS, { syncedTo });
    const from = batchesBefore(batches, again.follower.end);
    assert.ok(from >= least, `${from} batches are there of ${least} that were done`);
    const to = Math.min(batches.length, from + random.below(40));
    await again.follow(batches, from, to);
    const { state, next } = await startAfter(batches, to);
    await again.takeOver(again.follower.epoch + 1);
    assertHolds(again.tell(), tellOf(state, next), `from batch ${from} to ${to}`);
    await again.follower.close();
  }
});
