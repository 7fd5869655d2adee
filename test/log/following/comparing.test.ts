// A batch that comes once more is compared with what the segment file holds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import { closesSegment } from '../../../src/log/following/batch.ts';
import { standsIn } from '../../../src/log/following/comparing.ts';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { SEGMENT_BYTES } from '../harness.ts';
import { filesAfter, record } from './harness.ts';

const seed = seedOf('log/following/comparing.test');

test('what was written stands there, and nothing else does', async () => {
  const batches = await record(new Random(seed), 1, 60);
  const files = filesAfter(batches, batches.length);
  const there = batches.filter(({ base }) => files.names().includes(segmentName(base)));
  assert.ok(there.length > 3);
  for (const batch of there) {
    assert.ok(await standsIn(files, batch.base, batch));
    const changed = batch.bytes.slice();
    changed[changed.length >> 1]! ^= 1;
    assert.ok(!(await standsIn(files, batch.base, { ...batch, bytes: changed })));
  }
  const { base } = batches.at(-1)!;
  const behind = { position: base + SEGMENT_BYTES - 8, bytes: new Uint8Array(16) };
  assert.ok(!(await standsIn(files, base, behind)), 'the file ends before it');
  await assert.rejects(standsIn(new MemoryFiles(), base, batches[0]!), /ENOENT|no such/i);
});

test('which batch closes its segment is told by its own bytes', async () => {
  const batches = await record(new Random(seed + 1), 2, 120);
  const closing = batches.filter(
    ({ base }, i) => batches[i + 1] !== undefined && batches[i + 1]!.base > base,
  );
  assert.ok(closing.length > 0);
  for (const batch of batches.slice(0, -1))
    assert.equal(closesSegment(batch.bytes), closing.includes(batch), `at ${batch.position}`);
  assert.equal(batches[0]!.position, SEGMENT_DATA_AT);
});
