// Deadlines against a list of them: nobody early, nobody later than a slot, a bounded number in a
// tick.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deadlines, type Timed } from '../../../src/core/timing/deadlines.ts';
import { Random, seedOf } from '../../support/random.ts';

const SLOT_MS = 25;

interface Item {
  timed: Timed;
  dueMs: number;
}

const seed = seedOf('core/timing/deadlines.test');

const item = (): Item => ({ timed: { slot: -1 }, dueMs: Number.POSITIVE_INFINITY });

test(`each is looked at in its slot, and who is deleted is not (seed ${seed})`, () => {
  const random = new Random(seed);
  const deadlines = new Deadlines<Item>(({ timed }) => timed);
  const items = Array.from({ length: 300 }, item);
  let nowMs = 0;
  for (let step = 0; step < 5000; step++) {
    const each = items[random.below(items.length)]!;
    if (random.chance(0.2)) {
      deadlines.delete(each);
      each.dueMs = Number.POSITIVE_INFINITY;
    } else {
      const dueMs = nowMs + 1 + random.below(3000);
      deadlines.set(each, dueMs);
      each.dueMs = Math.min(each.dueMs, dueMs); // the earlier one holds
    }
    if (random.chance(0.5)) continue;
    nowMs += random.below(60);
    const first = Math.min(...items.map(({ dueMs }) => dueMs));
    assert.ok(
      (deadlines.nextMs >= first && deadlines.nextMs < first + 2 * SLOT_MS) || first === Infinity,
    );
    deadlines.advance(nowMs, (due) => {
      assert.ok(due.dueMs <= nowMs, 'looked at too early');
      due.dueMs = Number.POSITIVE_INFINITY;
    });
    for (const { dueMs } of items)
      assert.ok(dueMs > nowMs - 2 * SLOT_MS, 'nobody was looked at in time');
  }
});

test('of many that are due at once a tenth comes in each tick', () => {
  const deadlines = new Deadlines<Item>(({ timed }) => timed);
  const items = Array.from({ length: 20_000 }, item);
  for (const each of items) deadlines.set(each, 100);
  const counts: number[] = [];
  for (let nowMs = 100; deadlines.nextMs <= nowMs; nowMs += SLOT_MS) {
    let count = 0;
    deadlines.advance(nowMs, (each) => {
      count++;
      deadlines.set(each, nowMs + 10_000);
    });
    counts.push(count);
  }
  assert.ok(counts.length <= 20, `${counts}`);
  assert.ok(Math.max(...counts) <= 2000, `${counts}`);
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    items.length,
  );
});
