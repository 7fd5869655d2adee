// Files held ready: when one more is made, and what is said when it cannot be. What segments and
// compaction do with them is in segments.test.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spareName } from '../../../src/log/segments/segment.ts';
import { Spares } from '../../../src/log/segments/spares.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { paceOf } from '../../support/pace.ts';

const BYTES = 16 * 1024;

/** Spares that are to be two and the reserve; `count` of them are there. */
async function setUp(count: number) {
  const files = new MemoryFiles();
  const list = [];
  for (let n = 0; n < count; n++) {
    const name = spareName(2 * n);
    files.put(name, new Uint8Array(BYTES));
    const handle = await new Promise<number>((resolve) =>
      files.open(name, false, (_failure, opened) => resolve(opened)),
    );
    list.push({ name, handle, bytes: BYTES });
  }
  const troubles: string[] = [];
  const spares = new Spares(
    {
      files,
      zeros: new Uint8Array(4096),
      segmentBytes: BYTES,
      pace: paceOf(setImmediate),
      spareBytes: 2 * BYTES,
      trouble: (text, failure) => void troubles.push(`${text}: ${failure.message}`),
    },
    list,
  );
  let ended = 0;
  const stockUp = async () => {
    const before = ended;
    assert.ok(spares.stockUp(() => void ended++));
    await files.settle();
    assert.equal(ended, before + 1, 'its end is told once');
  };
  return { files, spares, troubles, stockUp };
}

test('beyond the reserve a file is made only while much is free', async () => {
  const { files, spares, troubles, stockUp } = await setUp(1);
  files.capacity = files.usedBytes + 4 * BYTES - 1;
  await stockUp();
  assert.equal(spares.count, 1);
  files.capacity++;
  await stockUp();
  assert.equal(spares.count, 2, 'and then there is less');
  assert.ok(spares.lacks);
  assert.deepEqual(troubles, [], 'that there is no space is said elsewhere');
});

test('the reserve is made while there is room for it, and little more', async () => {
  const { files, spares, stockUp } = await setUp(0);
  files.capacity = 1.25 * BYTES - 1;
  await stockUp();
  assert.equal(spares.count, 0);
  files.capacity++;
  await stockUp();
  assert.equal(spares.count, 1);
});

test('any other reason why none can be made is said', async () => {
  const { files, spares, troubles, stockUp } = await setUp(1);
  files.fail({ op: 'sync', nth: 1, code: 'EIO' });
  await stockUp();
  assert.equal(spares.count, 1);
  assert.equal(troubles.length, 1);
  assert.match(troubles[0]!, /no further space can be held ready: .*EIO/);
});

test('one that is given back is kept if it fits and is wanted, and never after the end', async () => {
  const { spares, stockUp } = await setUp(1);
  assert.deepEqual([spares.wants(BYTES), spares.wants(2 * BYTES)], [true, false]);
  spares.stop();
  assert.equal(spares.wants(BYTES), false);
  await assert.rejects(stockUp, 'nothing is made any more');
});
