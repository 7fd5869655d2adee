// Records of a batch are kept as they were read until they count, and nothing is left of them then.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROW_WORDS } from '../../../src/core/records/rows.ts';
import { Staged } from '../../../src/core/segments/staged.ts';

test('rows are copied, each with the chunk that it was found in; clear forgets all', () => {
  const staged = new Staged();
  const rows = Uint32Array.from({ length: 2 * ROW_WORDS }, (_, i) => i);
  staged.add(rows, ROW_WORDS, 4096);
  staged.add(rows, 0, 8192);
  staged.marks.push(() => assert.fail('nobody asked'));
  rows.fill(0);
  assert.equal(staged.rows.count, 2);
  assert.deepEqual([staged.rows.words[0], staged.rows.words[ROW_WORDS + 1]], [ROW_WORDS, 1]);
  assert.deepEqual(staged.positions, [4096, 8192]);
  staged.clear();
  assert.deepEqual(
    [staged.rows.count, staged.positions.length, staged.heads.size, staged.marks.length],
    [0, 0, 0, 0],
  );
});
