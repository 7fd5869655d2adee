// Appends in whole blocks: what is written is the image as far as the append goes, then zeros.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK_BYTES } from '../../../assembly/layout.ts';
import { blockStart, blocksOf } from '../../../src/log/files/blocks.ts';

const IMAGE = Uint8Array.from({ length: 4 * BLOCK_BYTES }, (_, i) => 1 + (i % 255));

test('every start and end near the edges of blocks', () => {
  const edges = [0, 1, 8, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES];
  for (const from of edges) {
    for (const end of edges.flatMap((edge) => [edge, edge + BLOCK_BYTES])) {
      if (end <= from) continue;
      const last = new Uint8Array(BLOCK_BYTES).fill(0xee);
      const start = blockStart(from);
      const parts = blocksOf(IMAGE, start, end, last);
      const whole = Buffer.concat(parts);
      assert.equal(whole.length % BLOCK_BYTES, 0);
      assert.ok(start <= from && from - start < BLOCK_BYTES);
      assert.ok(start + whole.length >= end && start + whole.length - end < BLOCK_BYTES);
      assert.deepEqual(whole.subarray(0, end - start), Buffer.from(IMAGE.subarray(start, end)));
      assert.ok(whole.subarray(end - start).every((byte) => byte === 0));
    }
  }
});

test('the last block is a copy: what is packed behind the append does not reach the write', () => {
  const image = IMAGE.slice();
  const parts = blocksOf(image, 0, BLOCK_BYTES + 10, new Uint8Array(BLOCK_BYTES));
  const before = Buffer.concat(parts);
  image.fill(0xff, BLOCK_BYTES + 10);
  assert.deepEqual(Buffer.concat(parts), before);
});
