// Marks that wait: merging, and that no sequence is lost on the way to the codec.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MARK_BYTES } from '../../../assembly/layout.ts';
import {
  attemptsBySequence,
  settledBySequence,
  WaitingMarks,
} from '../../../src/core/commit/waiting-marks.ts';
import { MarkList } from '../../../src/core/records/marks.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/records/marks.test');

describe('marks', () => {
  const unload = (list: MarkList | WaitingMarks, count: number): [number, number, number][] => {
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

  test('a list of marks that have left grows no further than it may', () => {
    const list = new MarkList(300);
    let next = 0;
    for (let round = 0; round < 50; round++) {
      while (list.add(next, 1, 0)) next += 2;
      assert.equal(list.count, 300);
      const left = unload(list, 7);
      assert.deepEqual(left[0], [round * 14, 1, 0]);
    }
    assert.ok(!list.add(next, 1, 0) || list.count <= 300);
  });

  // Both kinds, scattered and in order, far more than the list holds; what is written in the end,
  // in the order in which it is, says of every message what was said last.
  for (const [kind, bySequence] of [
    ['settled', settledBySequence],
    ['returned', attemptsBySequence],
  ] as const)
    test(`${kind}: beyond what the list holds nothing is lost, and what came later is later`, () => {
      const random = new Random(seed);
      for (let round = 0; round < 60; round++) {
        const most = 1 + random.below(20);
        const marks = new WaitingMarks(most, bySequence);
        const said = new Map<number, number>();
        const written = new Map<number, number>();
        // Places in the marks, and what must be written when one is reached.
        const places: { end: number; sequences: [number, number][] }[] = [];
        let since: [number, number][] = [];
        const collect = (count: number) => {
          for (const [sequence, n, attempts] of unload(marks, count))
            for (let i = 0; i < n; i++) written.set(sequence + i, attempts);
          for (const { end, sequences } of places)
            if (end <= marks.written)
              for (const [sequence, attempts] of sequences)
                assert.ok(
                  (written.get(sequence) ?? -1) >= attempts,
                  'a place was reached too early',
                );
        };
        const spread = random.chance(0.5) ? 300 : 5_000_000;
        for (let step = 0; step < 600; step++) {
          const sequence = 2 ** 33 + random.below(spread);
          const count = 1 + random.below(3);
          const settled = Array.from({ length: count }, (_, i) => said.get(sequence + i) ?? 0);
          if (kind === 'settled' && settled.some((each) => each > 0)) continue;
          const attempts = kind === 'settled' ? 0 : 1 + Math.max(...settled);
          marks.add(sequence, count, attempts);
          for (let i = 0; i < count; i++) {
            said.set(sequence + i, kind === 'settled' ? 1 : attempts);
            since.push([sequence + i, attempts]);
          }
          assert.ok(marks.count <= most && marks.count > 0);
          if (random.chance(0.1)) {
            places.push({ end: marks.end, sequences: since });
            since = [];
          }
          if (random.chance(0.05)) collect(random.below(marks.count + 1));
        }
        places.push({ end: marks.end, sequences: since });
        for (let left = 5000; marks.count > 0; left--) {
          assert.ok(left > 0, 'it does not end');
          collect(marks.count);
        }
        assert.deepEqual([marks.isOver, marks.waiting], [false, 0]);
        assert.ok(places.every(({ end }) => end <= marks.written));
        assert.equal(written.size, said.size);
        if (kind === 'returned')
          for (const [sequence, attempts] of said) assert.equal(written.get(sequence), attempts);
      }
    });
});
