// The list of files of ids comes back as it was written, or not at all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { decodeIdList, encodeIdList, type IdList } from '../../../src/log/index/id-list.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('log/index/id-list.test');
const LOG_ID = 0x1122334455667788n;

const upTo = { position: 2 ** 45 + 8, identity: 2 ** 32 - 1, crc: 77 };
const LIST: IdList = {
  next: 9,
  synced: true,
  runs: [
    { number: 3, pages: 12, level: 1, sum: 2 ** 31, count: 2000, untilMs: 1.7e12, upTo },
    { number: 8, pages: 1, level: 0, sum: 5, count: 1, untilMs: 1.8e12, upTo: { ...upTo, crc: 0 } },
  ],
  segments: [
    { base: 0, idBytes: 4096, identity: 1, complete: true, runs: [3, 8] },
    { base: 2 ** 45, idBytes: 56, identity: 2 ** 32 - 1, complete: false, runs: [] },
  ],
};

test('comes back as it was', () => {
  for (const list of [LIST, { next: 1, synced: false, runs: [], segments: [] }])
    assert.deepEqual(decodeIdList(encodeIdList(list, LOG_ID, crc32c), LOG_ID, crc32c), list);
});

test('is not believed if any bit is another, or some of it is missing, or of another log', () => {
  const random = new Random(seed);
  const bytes = encodeIdList(LIST, LOG_ID, crc32c);
  for (let at = 0; at < bytes.length; at++) {
    const other = bytes.slice();
    other[at]! ^= 1 << random.below(8);
    assert.equal(decodeIdList(other, LOG_ID, crc32c), undefined, `byte ${at}`);
    assert.equal(decodeIdList(bytes.subarray(0, at), LOG_ID, crc32c), undefined, `${at} bytes`);
  }
  assert.equal(decodeIdList(bytes, LOG_ID + 1n, crc32c), undefined);
});
