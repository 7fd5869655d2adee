// A folder that is to hold a copy of a log holds that one, laid out as all copies are, or it is
// refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CopyLayout, demandSameLayout } from '../../../src/log/recovery/copies.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { Copy, record } from '../following/harness.ts';
import { codec, LOG_ID, SEGMENT_BYTES, TIME_MS } from '../harness.ts';

const seed = seedOf('log/recovery/copies.test');

test('a folder of another log, or of another layout, is refused and left as it is', async () => {
  const batches = await record(new Random(seed), 1, 10);
  const copy = await Copy.open(new MemoryFiles(), codec);
  await copy.follow(batches, 0, 10);
  await copy.follower.close();
  const { files } = copy;
  const before = files.fingerprint();
  const other = Copy.open(files, codec, TIME_MS, { newLogId: LOG_ID + 1n });
  await assert.rejects(other, { code: 'other', message: /holds the log .*, not / });
  const larger = Copy.open(files, codec, TIME_MS, { segmentBytes: 2 * SEGMENT_BYTES });
  await assert.rejects(larger, { code: 'other', message: /has 32768 bytes/ });
  const lazy = Copy.open(files, codec, TIME_MS, { mode: 'interval' });
  await assert.rejects(lazy, { code: 'other', message: /--sync/ });
  assert.equal(files.fingerprint(), before);
});

test('nodes of another layout are told apart, by all that differs', () => {
  const own: CopyLayout = {
    logId: 1n,
    segmentBytes: 64,
    segmentEntriesMax: 10,
    messageBytesMax: 7,
  };
  demandSameLayout(own, { ...own });
  const refused = (theirs: Partial<CopyLayout>, message: RegExp) =>
    assert.throws(() => demandSameLayout(own, { ...own, ...theirs }), { code: 'other', message });
  refused({ logId: 2n }, /0000000000000001, not 0000000000000002/);
  refused({ segmentBytes: 65 }, /size of a segment .* is 64 here and 65 there/);
  refused({ segmentEntriesMax: 11 }, /number of records .* is 10 here and 11 there/);
  refused({ messageBytesMax: 8 }, /--max-message is 7 here and 8 there/);
});
