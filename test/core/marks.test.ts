// Marks that wait: merging, and that no sequence is lost on the way to the codec.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MARK_BYTES } from '../../assembly/layout.ts';
import { MarkList } from '../../src/core/marks.ts';
import { Random, seedOf } from '../support/random.ts';

const seed = seedOf('core/marks.test');

describe('marks', () => {
  const unload = (list: MarkList, count: number): [number, number, number][] => {
    const view = new DataView(new ArrayBuffer(Math.max(1, count) * MARK_BYTES));
    list.unload(count, view);
    return Array.from({ length: count }, (_, i) => [
      Number(view.getBigUint64(i * MARK_BYTES, true)),
      view.getUint32(i * MARK_BYTES + 8, true),
      view.getUint32(i * MARK_BYTES + 12, true),
    ]);
  };

  test('ranges that touch and have the same attempts are one mark', () => {
    const list = new MarkList();
    list.add(5, 2, 0);
    list.add(7, 1, 0);
    list.add(8, 1, 1);
    list.add(9, 4, 1);
    list.add(14, 1, 1);
    list.add(13, 1, 1);
    assert.equal(list.count, 4);
    assert.deepEqual(unload(list, 4), [
      [5, 3, 0],
      [8, 5, 1],
      [14, 1, 1],
      [13, 1, 1],
    ]);
    assert.equal(list.count, 0);
  });

  test('nothing is merged into a mark that has left', () => {
    const list = new MarkList();
    list.add(5, 1, 0);
    unload(list, 1);
    list.add(6, 1, 0);
    assert.deepEqual(unload(list, 1), [[6, 1, 0]]);
  });

  test('random adds and unloads lose no sequence', () => {
    const random = new Random(seed);
    const list = new MarkList();
    const expected: number[] = [];
    const got: number[] = [];
    let next = 2 ** 33;
    const collect = (count: number) => {
      for (const [sequence, n] of unload(list, count))
        for (let i = 0; i < n; i++) got.push(sequence + i);
    };
    for (let step = 0; step < 4000; step++) {
      next += random.chance(0.7) ? 2 : 0;
      const count = 1 + random.below(4);
      list.add(next, count, 0);
      for (let i = 0; i < count; i++) expected.push(next + i);
      next += count;
      if (random.chance(0.05)) collect(random.below(list.count + 1));
    }
    collect(list.count);
    assert.deepEqual(got, expected);
  });
});
