// Who is dead in a line: by attempts or because a consumer said so, run by run; and that it leaves
// the line only as far as there is room for it, and a part of it in a turn.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASON_DELIVERIES, REASON_REJECTED } from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../../../src/core/buckets/buckets.ts';
import { emptySlice, type Slice } from '../../../src/core/buckets/slice.ts';
import { Dying } from '../../../src/core/delivery/dying.ts';
import type { EffectiveRules } from '../../../src/core/rules/effective.ts';

const SLOT = 3;

/** A line of parts, in a world whose rules are these. */
function setUp(line: Partial<Slice>[], rules?: Partial<EffectiveRules>) {
  const parts = line.map((part) => ({ ...emptySlice(), slot: SLOT, ...part }));
  const taken: [number, number, string][] = [];
  const waiting: number[] = [];
  const mover = {
    isFull: false,
    take: (part: Slice, { reason }: { reason: number }) => {
      taken.push([part.sequence, part.count, reason === REASON_REJECTED ? 'rejected' : 'over']);
      return true;
    },
    waits: (slot: number) => void waiting.push(slot),
  };
  const settlement = {
    withdraw: (next: Slice, count: number): Slice => {
      const part = { ...next, count };
      next.sequence += count;
      next.count -= count;
      if (next.count === 0) parts.shift();
      return part;
    },
    discard: (part: Slice, reason: number) => {
      const why = reason === REASON_DELIVERIES ? 'over' : 'rejected';
      taken.push([part.sequence, part.count, `dropped, ${why}`]);
    },
    drop: () => assert.fail('nothing expires'),
  };
  const buckets = {
    peek: () => parts[0],
    rules: rules === undefined ? { table: undefined } : { table: {}, of: () => rules },
  } as unknown as Buckets<unknown>;
  return {
    dying: new Dying({ buckets, settlement, mover, rulesInForce: undefined }),
    taken,
    waiting,
    mover,
    parts,
  };
}

test('without rules only what was rejected is dead', () => {
  const { dying, taken } = setUp([{ sequence: 1, count: 9, attempts: 60_000 }]);
  assert.equal(dying.isPossible, false);
  assert.deepEqual([dying.isOver(SLOT, 65_535), dying.areDropped(SLOT)], [false, false]);
  dying.rejected(1, 2);
  dying.rejected(5, 1);
  assert.equal(dying.isPossible, true);
  const part = (sequence: number, count: number) => ({ ...emptySlice(), sequence, count });
  assert.deepEqual(
    [dying.aliveIn(part(1, 9)), dying.aliveIn(part(3, 9)), dying.aliveIn(part(6, 4))],
    [0, 2, 4],
  );
  assert.equal(dying.clear(SLOT), 'alive');
  assert.deepEqual(taken, [[1, 2, 'rejected']]);
  dying.gone(1, 5);
  assert.equal(dying.isPossible, false);
});

test('who was charged as often as the rule allows is dead, and no sooner', () => {
  const line = [
    { sequence: 1, count: 4, attempts: 5 },
    { sequence: 5, count: 1, attempts: 7 },
    { sequence: 6, count: 1, attempts: 4 },
  ];
  const { dying, taken } = setUp(line, { maxDeliveries: 5, deadLetter: 'keep' });
  assert.deepEqual([dying.isOver(SLOT, 4), dying.isOver(SLOT, 5)], [false, true]);
  dying.rejected(2, 1);
  assert.equal(dying.clear(SLOT), 'alive');
  assert.deepEqual(taken, [
    [1, 4, 'over'],
    [5, 1, 'over'],
  ]);
  assert.equal(setUp([], { maxDeliveries: 0 }).dying.isOver(SLOT, 65_535), false, 'no limit');
});

test('a line whose next is dead waits while there is no room, unless it is dropped', () => {
  const line = [{ sequence: 1, count: 2, attempts: 5 }];
  const kept = setUp(line, { maxDeliveries: 1, deadLetter: 'move' });
  kept.mover.isFull = true;
  assert.equal(kept.dying.clear(SLOT), 'waits');
  assert.deepEqual([kept.taken, kept.waiting], [[], [SLOT]]);
  kept.mover.isFull = false;
  assert.equal(kept.dying.clear(SLOT), 'empty');
  const dropped = setUp(line, { maxDeliveries: 1, deadLetter: 'drop' });
  dropped.mover.isFull = true;
  assert.equal(dropped.dying.clear(SLOT), 'empty');
  assert.deepEqual([dropped.taken, dropped.waiting], [[[1, 2, 'dropped, over']], []]);
});

test('very many leave their line in several turns', () => {
  const line = Array.from({ length: 2500 }, (_, i) => ({ sequence: i + 1, count: 1, attempts: 1 }));
  const { dying, taken, waiting, parts } = setUp(line, { maxDeliveries: 1, deadLetter: 'keep' });
  const heads = [dying.clear(SLOT), dying.clear(SLOT), dying.clear(SLOT)];
  assert.deepEqual([heads, taken.length], [['waits', 'waits', 'empty'], 2500]);
  assert.deepEqual([waiting, parts.length], [[SLOT, SLOT], 0]);
});
