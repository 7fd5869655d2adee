// What a follower does beside its batches changes nothing of what it holds: indexes, checkpoints,
// compactions and starts in between, of which each goes by its own state.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedEngine } from '../../support/engine.ts';
import { loseAll, MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { indexOf, TIME_MS } from '../harness.ts';
import { assertHolds, Copy, RULES, record, startAfter, tellOf } from './harness.ts';

const seed = seedOf('log/following/followed-upkeep.test');
const codec = sharedEngine('a log that is opened begins with the key and the open segment');
const batches = await record(new Random(seed));

test('its own indexes, checkpoints and compactions change nothing of what it holds', async () => {
  const random = new Random(seed + 2);
  let copy = await Copy.open(new MemoryFiles(), codec);
  let compactions = 0;
  let doubts = 0;
  for (const [i, batch] of batches.entries()) {
    assert.equal(await copy.apply(batch), undefined);
    if (random.below(6) === 0) await copy.advance(2000);
    const isSample = random.below(15) === 0;
    const { isInDoubt } = copy.follower;
    if (isSample && isInDoubt) doubts++;
    // It is in doubt so seldom that chance alone would mostly miss it.
    if (isSample || isInDoubt) {
      const { state, next } = await startAfter(batches, i + 1);
      const [told, expected] = [copy.tell(), tellOf(state, next)];
      // Less may be left than it says, until it has counted again.
      if (isInDoubt) {
        assert.ok(told.live >= expected.live, `after batch ${i}: ${told.live} left`);
        told.live = expected.live;
      }
      assertHolds(told, expected, `after batch ${i}`);
    }
    if (random.below(60) > 0) continue;
    compactions += copy.follower.compactions;
    await copy.follower.close();
    copy = await Copy.open(copy.files.crash(loseAll), codec);
    const { state, next } = await startAfter(batches, i + 1);
    assertHolds(copy.tell(), tellOf(state, next), `opened again after batch ${i}`);
  }
  compactions += copy.follower.compactions;
  assert.ok(compactions > 0, 'nothing was ever compacted');
  assert.ok(doubts < batches.length / 30, 'it was hardly ever sure of what it holds');
  assert.deepEqual(copy.notes, []);
  await copy.follower.close();
});

test('ids that find no memory leave it for the disk, and are known after a start, too', async () => {
  const idBytesMax = 4000;
  const rules = RULES.map((rule) => rule.replace('dedup=2s', 'dedup=1h'));
  const recorded = await record(new Random(seed + 5), 2, 220, false, rules);
  const open = (files: MemoryFiles) => Copy.open(files, codec, TIME_MS, {}, idBytesMax);
  const copy = await open(new MemoryFiles());
  const { ids } = copy.state;
  let most = 0;
  for (const [i, batch] of recorded.entries()) {
    assert.equal(await copy.apply(batch), undefined);
    if (i % 4 === 0) await copy.advance(100);
    most = Math.max(most, ids.bytes);
  }
  assert.ok(ids.countOnDisk > ids.count / 2, `${ids.countOnDisk} of ${ids.count} on disk`);
  assert.ok(most < 2 * idBytesMax, `${most} bytes in memory`);
  await copy.follower.close();
  const again = await open(copy.files.crash(loseAll));
  assert.ok(again.state.ids.count >= ids.count, `${again.state.ids.count} of ${ids.count}`);
  assert.deepEqual([copy.notes, again.notes], [[], []]);
  await again.follower.close();
});

test('where an index cannot be written it is written later, and memory holds few segments', async () => {
  const copy = await Copy.open(new MemoryFiles(), codec);
  const fault = copy.files.fail({
    op: 'write',
    nth: 1,
    name: /^index\//,
    code: 'ENOSPC',
    times: 1_000_000,
  });
  let held = 0;
  for (const batch of batches.slice(0, 250)) {
    const applied = copy.apply(batch);
    const isHeld = await Promise.race([applied.then(() => false), turns(200).then(() => true)]);
    if (isHeld) {
      held++;
      copy.files.capacity = Number.POSITIVE_INFINITY;
      assert.ok(copy.state.buckets.entries.end > copy.state.buckets.entries.from);
      fault.times = 0;
      while (!(await Promise.race([applied.then(() => true), turns(20).then(() => false)])))
        await copy.advance(1000);
    }
    assert.equal(await applied, undefined);
  }
  assert.ok(fault.fired > 0);
  assert.equal(held, 1, 'it never waited for an index');
  assert.ok(indexOf(copy.files).names().length > 0);
  const { state, next } = await startAfter(batches, 250);
  assert.deepEqual(copy.tell(), tellOf(state, next));
  await copy.follower.close();
});

test('who is closed while an index is written gives it up, and says nothing of that', async () => {
  const closing = batches.findIndex(({ base }) => base > batches[0]!.base);
  let givenUp = 0;
  for (let count = 0; count < 12; count++) {
    const copy = await Copy.open(new MemoryFiles(), codec);
    await copy.follow(batches, 0, closing + 1);
    await turns(count);
    await copy.follower.close();
    if (indexOf(copy.files).names().length === 0) givenUp++;
    assert.deepEqual(copy.notes, [], `closed after ${count} turns`);
  }
  assert.ok(givenUp > 0, 'no index was under way');
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
