// Files of ids: each id once, in order, those with the same first word in one page, whatever was
// over left out; several files become one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOT_WORDS } from '../../../src/core/collections/id-page.ts';
import { merged, readIdPages } from '../../../src/log/index/id-reader.ts';
import { ID_PAGE_BYTES, idRunName, PAGE_SLOTS } from '../../../src/log/index/id-run.ts';
import {
  type OpenRun,
  PIECE_PAGES,
  type RunPlan,
  writeRun,
} from '../../../src/log/index/id-writer.ts';
import type { Folder } from '../../support/folder.ts';
import { Random, seedOf } from '../../support/random.ts';
import { HOUR_S, idsIn, planOf, TIME_MS, tableOf } from './id-files.ts';

const seed = seedOf('log/index/id-writer.test');

async function pagesOf(plan: RunPlan, run: OpenRun): Promise<Uint32Array[]> {
  const into = new Uint8Array(run.pages * ID_PAGE_BYTES);
  return readIdPages(plan, run, 0, run.pages, into);
}

test('what is written is found in order, page by page', async () => {
  const random = new Random(seed);
  for (const count of [1, PAGE_SLOTS, PAGE_SLOTS + 1, (PIECE_PAGES + 2) * PAGE_SLOTS, 20_000]) {
    const plan = planOf(12);
    const table = tableOf(random, count);
    const run = (await writeRun(plan, table.inOrder()))!;
    const pages = await pagesOf(plan, run);
    assert.deepEqual(idsIn(pages), idsIn(table.inOrder()));
    assert.deepEqual(
      [...run.firsts],
      pages.map((slots) => slots[0]!),
    );
    assert.equal(run.count, count);
    assert.equal(run.untilMs, TIME_MS + HOUR_S * 1000);
    const first = pages.flatMap((slots) => slots.filter((_, i) => i % SLOT_WORDS === 0) as never);
    assert.deepEqual(
      first,
      [...first].sort((a, b) => a - b),
    );
  }
});

test('ids with the same first word stand in one page, also where a piece ends', async () => {
  const plan = planOf(12);
  const slot = (first: number, other: number) => [first, other, 0, 0, 0, (400 << 21) + (100 << 5)];
  const slots: number[] = [];
  // The last two of each page are alike with the first one of the next.
  for (let i = 0; i < (PIECE_PAGES + 3) * PAGE_SLOTS; i++) {
    const k = i % PAGE_SLOTS;
    slots.push(...slot(k >= PAGE_SLOTS - 2 ? i - k + PAGE_SLOTS : i, i));
  }
  const pieces = [Uint32Array.from(slots)];
  const run = (await writeRun({ ...plan, nowMs: 0 }, pieces))!;
  const pages = await pagesOf(plan, run);
  assert.deepEqual(idsIn(pages), idsIn(pieces));
  for (let i = 1; i < pages.length; i++)
    assert.notEqual(pages[i]![0], pages[i - 1]!.at(-SLOT_WORDS), `page ${i}`);
});

test('what is over is left out; of nothing there is no file', async () => {
  const random = new Random(seed);
  const plan = planOf(12, { nowMs: TIME_MS + HOUR_S * 1000 });
  assert.equal(await writeRun(plan, tableOf(random, 500).inOrder()), undefined);
  assert.deepEqual((plan.files as Folder).names(), []);
  const late = tableOf(random, 300, TIME_MS + 1);
  assert.equal((await writeRun(plan, late.inOrder()))!.count, 300);
});

test('several files become one', async () => {
  const random = new Random(seed);
  const plan = planOf(1);
  const tables = [3000, 1, 9000, 200].map((count) => tableOf(random, count));
  const runs: OpenRun[] = [];
  for (const [i, table] of tables.entries())
    runs.push((await writeRun({ ...plan, number: i + 1 }, table.inOrder()))!);
  const one = (await writeRun({ ...plan, number: 9 }, merged(plan, runs)))!;
  const all = tables.flatMap((table) => idsIn(table.inOrder()));
  const found = idsIn(await pagesOf(plan, one));
  assert.deepEqual([...found].sort(), all.sort());
  assert.equal(one.count, 12_201);
  const firsts = found.map((id) => Number(id.split(',')[0]));
  assert.deepEqual(
    firsts,
    [...firsts].sort((a, b) => a - b),
  );
});

test('a page that is not as it was written is an error; what failed leaves no file', async () => {
  const plan = planOf(3);
  const run = (await writeRun(plan, tableOf(new Random(seed), 1000).inOrder()))!;
  (plan.files as Folder).image(idRunName(3))[ID_PAGE_BYTES + 50]! ^= 1;
  await assert.rejects(pagesOf(plan, run), /page 1 of 000003.ids is damaged/);
  await assert.rejects(readIdPages(plan, run, run.pages, 1, new Uint8Array(4096)), /damaged/);
  const stopped = { ...planOf(4), stopped: () => new Error('no more') };
  await assert.rejects(writeRun(stopped, tableOf(new Random(seed), 10).inOrder()), /no more/);
  assert.deepEqual((stopped.files as Folder).names(), []);
});
