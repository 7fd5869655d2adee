// What is damaged behind the position that is remembered as synced ends the log, and can be had
// again; what is damaged before it is refused, and nothing has changed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseOf, segmentName } from '../../../src/log/segments/segment.ts';
import { sharedEngine } from '../../support/engine.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { Copy, record } from '../following/harness.ts';
import { TIME_MS } from '../harness.ts';

const codec = sharedEngine('a log that is opened begins with the key and the open segment');
// Its first message stays, so that no segment goes: who says that one may is not damaged then.
const batches = await record(new Random(seedOf('log/recovery/torn.test')), 2, 220, true);
const DAMAGED = 10;
// An index is made again by any start that reads its segment.
const isSegment = (name: string) => baseOf(name) !== undefined;

/** A copy's files with one damaged batch, and where a number of batches end. */
async function damagedCopy() {
  const copy = await Copy.open(new MemoryFiles(), codec);
  const ends: number[] = [];
  for (const batch of batches.slice(0, 20)) {
    ends.push(copy.follower.end);
    assert.equal(await copy.apply(batch), undefined);
  }
  ends.push(copy.follower.end);
  await copy.follower.close();
  const { base, position } = batches[DAMAGED]!;
  copy.files.flip(segmentName(base), position - base + 8, 1);
  return { files: copy.files, ends };
}

test('damage before that position is refused, whatever proof it takes', async () => {
  const { files, ends } = await damagedCopy();
  for (const syncedTo of [ends[DAMAGED + 1], ends.at(-1), undefined]) {
    const before = files.fingerprint(isSegment);
    await assert.rejects(Copy.open(files, codec, TIME_MS, { syncedTo }), /is damaged/);
    assert.equal(files.fingerprint(isSegment), before, 'something was changed');
  }
});

test('damage behind it is cut off with all that follows, and the log goes on from there', async () => {
  const { files, ends } = await damagedCopy();
  const copy = await Copy.open(files, codec, TIME_MS, { syncedTo: ends[DAMAGED]! });
  assert.equal(copy.follower.end, ends[DAMAGED]);
  await copy.follow(batches, DAMAGED, 30);
  const { end } = copy.follower;
  await copy.follower.close();
  // Nothing that was cut off can be taken for a part of it later.
  const again = await Copy.open(files, codec);
  assert.equal(again.follower.end, end);
  await again.follower.close();
});
