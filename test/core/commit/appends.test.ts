// Batches wait for the journal and go through it in one order; it says how many at once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Appends } from '../../../src/core/commit/appends.ts';
import { Batch } from '../../../src/core/commit/batch.ts';
import type { Failure } from '../../../src/core/ports/basics.ts';
import type { Journal } from '../../../src/core/ports/journal.ts';

function bench(depth: number) {
  let nowMs = 0;
  const taken: number[] = [];
  const dones: ((failure: Failure) => void)[] = [];
  const journal: Journal = {
    depth,
    aheadBytes: 100,
    append: (position, _bytes, done) => {
      taken.push(position);
      dones.push(done);
    },
    stalled: () => false,
    syncedPosition: 0,
    trim: () => {},
    startPosition: 0,
  };
  const ended: [number, number][] = [];
  const appends: Appends = new Appends({ journal, nowMs: () => nowMs }, () => {
    const { base, tookMs } = appends.ended();
    ended.push([base, tookMs]);
  });
  const add = (base: number, large = false) => {
    const batch = new Batch();
    batch.reset(base, 0);
    batch.close(8, 'publish', false);
    batch.large = large;
    appends.add(batch);
    return batch;
  };
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { appends, taken, dones, ended, add, pass };
}

test('in the order in which they were sealed, as many at once as the journal takes', () => {
  const { appends, taken, dones, ended, add, pass } = bench(2);
  assert.ok(appends.isEmpty && appends.isResting && !appends.waits);
  for (const base of [1, 2, 3]) add(base);
  assert.equal(appends.last?.base, 3);
  assert.equal(appends.next().base, 1);
  pass(5);
  assert.ok(appends.hasRoom);
  appends.next();
  assert.deepEqual([appends.hasRoom, appends.waits, appends.isResting], [false, true, false]);
  pass(5);
  dones.shift()!(undefined);
  assert.ok(appends.hasRoom);
  appends.next();
  assert.equal(appends.last?.base, 3, 'the newest in flight, as none waits');
  dones.shift()!(undefined);
  dones.shift()!(undefined);
  assert.deepEqual(taken, [1, 2, 3]);
  assert.deepEqual(ended, [
    [1, 10],
    [2, 5],
    [3, 0],
  ]);
  assert.ok(appends.isEmpty);
});

test('what is small is not worth it behind others; a large message is seen wherever it is', () => {
  const { appends, dones, add } = bench(3);
  assert.deepEqual([appends.isWorth(99), appends.isWorth(100)], [false, true]);
  add(1);
  assert.ok(!appends.hasLarge);
  add(2, true);
  assert.ok(appends.hasLarge);
  appends.next();
  appends.next();
  assert.ok(appends.hasLarge);
  dones.shift()!(undefined);
  assert.ok(appends.hasLarge);
  dones.shift()!(undefined);
  assert.ok(!appends.hasLarge);
});
