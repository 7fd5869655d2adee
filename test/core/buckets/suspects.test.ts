// Suspects of one bucket: how many come together, in which order, and whose turn it is.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BATCH_MESSAGES_MAX } from '../../../assembly/layout.ts';
import { LEVEL_MAX } from '../../../assembly/layout-placed.ts';
import { emptySlice, type Slice } from '../../../src/core/buckets/slice.ts';
import { levelOf, mostOf, Suspects } from '../../../src/core/buckets/suspects.ts';

const slice = (sequence: number, level: number): Slice => ({
  ...emptySlice(),
  sequence,
  count: 1,
  level,
});

/** Suspects by sequence and level, as if they had come back in this order. */
function of(...all: [sequence: number, level: number][]): Suspects {
  const suspects = new Suspects();
  for (const [sequence, level] of all) suspects.push(slice(sequence, level));
  return suspects;
}

/** What is given out until there is nothing of that sort. */
function taken(suspects: Suspects): number[] {
  const sequences: number[] = [];
  for (let next = suspects.peek(); next !== undefined; next = suspects.peek()) {
    sequences.push(next.sequence);
    assert.ok(next.count > 0, 'it is there once');
    // The line has gone on behind it.
    next.sequence += next.count;
    next.count = 0;
    suspects.pop(next);
  }
  return sequences;
}

describe('levels', () => {
  test('of what was lost, half comes together, and each loss is at least one level less', () => {
    for (let count = 2; count <= BATCH_MESSAGES_MAX; count++) {
      const level = levelOf(count);
      assert.equal(level, Math.ceil(Math.log2(count)));
      const half = mostOf(level);
      assert.ok(half < count && half * 2 >= count, `${half} of ${count}`);
      assert.ok(levelOf(half) < level || (level === 1 && half === 1), `${count}`);
    }
    assert.deepEqual([levelOf(1), mostOf(1)], [1, 1]);
    assert.equal(mostOf(0), Number.POSITIVE_INFINITY);
  });

  test('that of the largest batch is one that the log has room for', () => {
    assert.ok(levelOf(BATCH_MESSAGES_MAX) <= LEVEL_MAX);
  });
});

describe('suspects', () => {
  test('of several levels leave one by one where all are taken, neighbours, too', () => {
    const suspects = of([4, 3], [5, 1], [6, 2], [7, 1]);
    suspects.all();
    assert.deepEqual(taken(suspects), [4, 5, 6, 7]);
    assert.equal(suspects.size, 0);
  });

  test('of one level come together, in their order, whatever stands between them', () => {
    const suspects = of([9, 3], [4, 2], [7, 2], [5, 2]);
    assert.equal(suspects.peek(), undefined, 'nobody has decided whose turn it is');
    assert.ok(suspects.choose(1, 1, false, 'suspects'));
    assert.deepEqual(taken(suspects), [9]);
    assert.ok(suspects.choose(0, 1, false, 'suspects'));
    assert.deepEqual(taken(suspects), [4, 5, 7], 'those of which fewer come together are later');
    assert.equal(suspects.size, 0);
  });

  test('that their consumers died of alone come last, so that the others are not kept back', () => {
    const suspects = of([5, 1], [9, 1]);
    suspects.push({ ...slice(3, 1), attempts: 1 });
    const order: number[] = [];
    while (suspects.choose(0, 1, false, 'suspects')) order.push(...taken(suspects));
    assert.deepEqual(order, [5, 9, 3]);
  });

  test('are held by half of the consumers at most, and by one in any case', () => {
    for (const [consumers, most] of [
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 2],
      [9, 4],
    ] as const) {
      const suspects = of(...Array.from({ length: 20 }, (_, i): [number, number] => [i + 1, 1]));
      let out = 0;
      for (let i = 0; i < 12; i++) {
        suspects.choose(100, consumers, false, 'suspects');
        const level = suspects.peek()?.level ?? 0;
        if (level === 0) continue;
        suspects.holders++;
        out++;
      }
      assert.deepEqual([out, suspects.holders], [most, most], `${consumers} consumers`);
      suspects.returned();
      suspects.choose(100, consumers, false, 'suspects');
      assert.equal(suspects.peek()?.sequence, 1, 'one came back');
    }
  });

  test('go to all where nothing else waits, but not while the rest is being read', () => {
    const suspects = of([1, 1], [2, 1]);
    suspects.holders++;
    assert.ok(suspects.choose(0, 2, false, 'rest'));
    assert.equal(suspects.peek()?.sequence, 1);
    assert.equal(suspects.choose(0, 2, true, 'rest'), false);
    suspects.returned();
    assert.ok(suspects.choose(0, 2, true, 'rest'));
    assert.equal(suspects.peek()?.sequence, 1);
  });

  test('where one message comes after the other, what stands first is first', () => {
    const suspects = of([5, 1]);
    for (const [rest, expected] of [
      [4, undefined],
      [6, 5],
      [0, 5],
    ] as const) {
      suspects.choose(rest, 1, false, 'in order');
      assert.equal(suspects.peek()?.sequence, expected, `the rest goes on at ${rest}`);
    }
  });

  test('whoever takes all of the line is given them by sequence', () => {
    const suspects = of([5, 1], [3, 2], [4, 1]);
    suspects.all();
    assert.ok(suspects.isAll);
    assert.deepEqual(taken(suspects), [3, 4, 5]);
    suspects.choose(1, 1, false, 'suspects');
    assert.ok(!suspects.isAll);
  });

  test('those behind a place are taken out, of every level', () => {
    const suspects = of([5, 1], [3, 2], [4, 1], [9, 4]);
    const dropped = suspects.dropFrom(4).map(({ sequence }) => sequence);
    assert.deepEqual(
      dropped.sort((a, b) => a - b),
      [4, 5, 9],
    );
    assert.deepEqual([suspects.size, suspects.first()?.sequence], [1, 3]);
    assert.ok(!suspects.isOver);
  });
});
