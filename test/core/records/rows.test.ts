// Lists of rows, and numbers of two words.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BugError } from '../../../src/core/assert.ts';
import { join, ROW_WORDS, RowList } from '../../../src/core/records/rows.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/records/rows.test');

describe('rows', () => {
  test('a list keeps rows as they came, over growth and reuse', () => {
    const random = new Random(seed);
    const list = new RowList();
    for (let round = 0; round < 3; round++) {
      const expected: number[] = [];
      for (let step = 0; step < 40; step++) {
        const count = random.below(12);
        const rows = Uint32Array.from({ length: 20 * ROW_WORDS }, () => random.next());
        list.add(rows, count);
        expected.push(...rows.subarray(0, count * ROW_WORDS));
      }
      assert.equal(list.count * ROW_WORDS, expected.length);
      assert.deepEqual([...list.words.subarray(0, expected.length)], expected);
      list.clear();
      assert.equal(list.count, 0);
    }
  });

  test('numbers of two words are exact up to 2^53', () => {
    assert.equal(join(5, 0), 5);
    assert.equal(join(0, 1), 2 ** 32);
    assert.equal(join(2 ** 32 - 1, 2 ** 21 - 1), Number.MAX_SAFE_INTEGER);
    assert.throws(() => join(0, 2 ** 21), BugError);
  });
});
