// Ids are looked up in the files that may have them, many at a time, and who waits is told; an
// answer is one of those files, and of no other.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOT_WORDS } from '../../../src/core/collections/id-page.ts';
import { IdLooks } from '../../../src/log/index/id-looks.ts';
import { ID_PAGE_BYTES, idRunName } from '../../../src/log/index/id-run.ts';
import { type IdRun, writeRun } from '../../../src/log/index/id-writer.ts';
import type { Folder } from '../../support/folder.ts';
import { Random, seedOf } from '../../support/random.ts';
import { HOUR_S, planOf, TIME_MS, tableOf } from './id-files.ts';

const seed = seedOf('log/index/id-looks.test');

/** Looks over one file of so many ids; these, word by word, and the file. */
async function lookerOver(count: number) {
  const plan = planOf(3);
  const table = tableOf(new Random(seed), count);
  const written = (await writeRun(plan, table.inOrder()))!;
  const upTo = { position: 0, identity: 0, crc: 0 };
  const run: IdRun = { ...written, level: 0, upTo, reads: 0, retired: false };
  const damaged: Error[] = [];
  let told = () => {};
  const looks = new IdLooks(
    { files: plan.files, crc32c: plan.crc32c, soon: setImmediate },
    {
      candidates: () => {
        run.reads++;
        return [run];
      },
      readDone: () => run.reads--,
      told: () => told(),
      damaged: (failure) => damaged.push(failure),
    },
  );
  const next = () =>
    new Promise<void>((resolve) => {
      told = resolve;
    });
  const ids = [...table.inOrder()].flatMap((piece) => {
    const all: Uint32Array[] = [];
    for (let at = 0; at < piece.length; at += SLOT_WORDS) all.push(piece.slice(at, at + 4));
    return all;
  });
  return { looks, run, ids, next, damaged, files: plan.files as Folder };
}

test('finds what is there, and nothing else; the file is free again', async () => {
  const { looks, run, ids, next } = await lookerOver(2000);
  const other = ids[7]!.slice();
  other[3]! ^= 1;
  for (const id of [...ids.slice(0, 200), other]) {
    assert.equal(looks.answer(id, 0), undefined);
    looks.add(id, 0);
  }
  await next();
  for (const id of ids.slice(0, 200))
    assert.deepEqual(looks.answer(id, 0), [{ timeMs: TIME_MS, keptMs: HOUR_S * 1000 }]);
  assert.deepEqual(looks.answer(other, 0), []);
  assert.equal(run.reads, 0);
  await looks.close();
});

test('what is asked while others are looked up comes next; more than fit ask again', async () => {
  const { looks, ids, next } = await lookerOver(2000);
  let rest = ids.slice();
  for (let rounds = 0; rest.length > 0; rounds++) {
    assert.ok(rounds < 20);
    for (const id of rest) looks.add(id, 0);
    await next();
    rest = rest.filter((id) => looks.answer(id, 0) === undefined);
  }
  await looks.close();
});

test('what was found before another file came is asked again', async () => {
  const { looks, ids, next } = await lookerOver(100);
  looks.add(ids[0]!, 0);
  await next();
  assert.equal(looks.answer(ids[0]!, 0)!.length, 1);
  looks.forget();
  assert.equal(looks.answer(ids[0]!, 0), undefined);
  const ended = next();
  looks.add(ids[1]!, 0);
  // Between the question and its answer, too.
  await new Promise(setImmediate);
  looks.forget();
  await ended;
  assert.equal(looks.answer(ids[1]!, 0), undefined);
  await looks.close();
});

test('a page that is not as it was written is told, and tried again', async () => {
  const { looks, ids, next, damaged, files } = await lookerOver(100);
  files.image(idRunName(3))[ID_PAGE_BYTES - 90]! ^= 1;
  files.image(idRunName(3))[100]! ^= 1;
  looks.add(ids[0]!, 0);
  await next();
  assert.equal(looks.answer(ids[0]!, 0), 'failed');
  assert.equal(looks.answer(ids[0]!, 0), undefined);
  assert.match(damaged[0]!.message, /page 0 of 000003.ids is damaged/);
  await looks.close();
});
