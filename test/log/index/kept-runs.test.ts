// What is kept of runs: never more than may be, what was used last, tables rather than entries.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IndexHeader, Table } from '../../../src/log/index/index-file.ts';
import { type KeptRun, KeptRuns, type Loaded } from '../../../src/log/index/kept-runs.ts';

const TABLE = 100;
const COUNT = 100;
const ENTRIES = COUNT * 28;

function opened(kept: KeptRuns, count = COUNT): { run: KeptRun; loaded: Loaded } {
  const run: KeptRun = { loaded: undefined, gone: false };
  const table = { bytes: new Uint8Array(TABLE) } as Table;
  return { run, loaded: kept.keep(run, { count } as IndexHeader, table) };
}

const chunk = { page: 0, from: 0, to: 50 };
const entries = () => new DataView(new ArrayBuffer(ENTRIES));

// How many searches it takes until all entries are to be read.
function searchesUntilWanted(kept: KeptRuns, loaded: Loaded): number {
  for (let searches = 1; searches <= 10_000; searches++) {
    kept.searches(loaded, chunk);
    if (kept.wantsEntries(loaded)) return searches;
  }
  return Number.POSITIVE_INFINITY;
}

test('entries are wanted after some searches, the more the larger a run is', () => {
  const kept = new KeptRuns(1e9);
  const small = searchesUntilWanted(kept, opened(kept).loaded);
  assert.ok(small > 8, `${small}: a few are no reason`);
  const large = searchesUntilWanted(kept, opened(kept, 1_000_000).loaded);
  assert.ok(large > 10 * small, `${large}: what is read in pieces comes to about as much`);
  assert.equal(searchesUntilWanted(kept, opened(kept, 1e9).loaded), Number.POSITIVE_INFINITY);
});

test('while they are being read nobody else is told to, and once they are there neither', () => {
  const kept = new KeptRuns(1e9);
  const { run, loaded } = opened(kept);
  searchesUntilWanted(kept, loaded);
  kept.searches(loaded, chunk);
  assert.equal(kept.wantsEntries(loaded), false);
  kept.keepEntries(run, loaded, entries(), true);
  assert.equal(searchesUntilWanted(kept, loaded), Number.POSITIVE_INFINITY);
  kept.keepEntries(run, loaded, entries(), true);
  assert.equal(kept.bytes, TABLE + ENTRIES, 'counted once');
});

test('entries take the place of those of others, and tables of those used longest ago', () => {
  const kept = new KeptRuns(ENTRIES + 3 * TABLE);
  const [one, two, three] = [opened(kept), opened(kept), opened(kept)];
  kept.keepEntries(one.run, one.loaded, entries(), false);
  assert.equal(kept.bytes, ENTRIES + 3 * TABLE);
  kept.keepEntries(two.run, two.loaded, entries(), true);
  assert.deepEqual(
    [one, two, three].map(({ loaded }) => loaded.entries !== undefined),
    [false, true, false],
  );
  assert.ok([one, two, three].every(({ run, loaded }) => run.loaded === loaded));
  kept.used(one.run);
  kept.used(two.run);
  opened(kept);
  assert.deepEqual(
    [one, two, three].map(({ run }) => run.loaded !== undefined),
    [true, true, false],
  );
  assert.ok(two.loaded.entries !== undefined && two.loaded.ascends);
  assert.equal(kept.bytes, ENTRIES + 3 * TABLE);
});

test('nothing is kept of a run that is gone, or whose tables were dropped meanwhile', () => {
  const kept = new KeptRuns(ENTRIES + TABLE);
  const { run, loaded } = opened(kept);
  opened(kept);
  const other = opened(kept);
  kept.drop(run);
  kept.keepEntries(run, loaded, entries(), true);
  assert.deepEqual([run.loaded, loaded.entries], [undefined, undefined]);
  kept.drop(other.run);
  const gone: KeptRun = { loaded: undefined, gone: true };
  kept.keep(gone, other.loaded.header, other.loaded.table);
  assert.equal(gone.loaded, undefined);
});

test('entries for which there is no room beside their tables are not wanted', () => {
  const kept = new KeptRuns(ENTRIES + TABLE - 1);
  assert.equal(searchesUntilWanted(kept, opened(kept).loaded), Number.POSITIVE_INFINITY);
});
