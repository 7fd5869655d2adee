// A bucket has a line of each kind, which know nothing of each other.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KIND_DEAD, KIND_LIVE, KIND_SETTINGS } from '../../../assembly/layout-placed.ts';
import { BucketTable, isOf, KIND_SHIFT } from '../../../src/core/buckets/bucket-table.ts';
import { Buckets } from '../../../src/core/buckets/buckets.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';
import type { RuleTable } from '../../../src/core/rules/rule-table.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/buckets/known-lines.test');
const KINDS = [KIND_LIVE, KIND_DEAD, KIND_SETTINGS];
const bucketsOf = (slotsMax?: number) => new Buckets<string>(seed | 0, noOutcomes(), slotsMax);

/** What a line holds, by sequence, in order. */
interface Line {
  ready: number[];
  taken: number[];
  /** What is in runs, and was not looked up since the line was forgotten. */
  runs: number[];
}

describe('lines of a bucket', () => {
  test('have slots of their own, and what is of one is in no other', () => {
    const buckets = bucketsOf();
    const slots = KINDS.map((kind) => buckets.open(7, 9, kind));
    assert.equal(new Set(slots).size, 3);
    for (const [kind, slot] of slots.entries()) {
      assert.equal(buckets.find(7, 9, kind), slot);
      assert.deepEqual(buckets.placeOf(slot), { low: 7, high: 9, kind, next: 0 });
      assert.equal(buckets.idOf(slot), String(9n * 2n ** 32n + 7n));
      buckets.push(slot, 4096 + kind * 100, 1 + kind * 10, 2 + kind, 20, 0);
      assert.equal(buckets.countOf(kind), 1);
    }
    assert.equal(buckets.find(7, 9), slots[KIND_LIVE]);
    assert.equal(buckets.open(7, 9), slots[KIND_LIVE]);
    assert.deepEqual([buckets.ready, buckets.dead, buckets.count], [2, 3, 1]);
    const next = buckets.peek(slots[KIND_DEAD]!)!;
    assert.equal(next.sequence, 11);
    buckets.take(next, 2);
    assert.deepEqual([buckets.ready, buckets.unacked, buckets.dead], [2, 0, 1]);
    buckets.requeue({ ...next, sequence: 12, first: 1, count: 1, attempts: 1 });
    assert.deepEqual([buckets.unacked, buckets.dead], [0, 2]);
    buckets.settle(slots[KIND_DEAD]!, 11, 1);
    assert.deepEqual([buckets.ready, buckets.unacked, buckets.dead], [2, 0, 2]);
    buckets.setAside(buckets.peek(slots[KIND_SETTINGS]!)!);
    buckets.tidy(slots[KIND_SETTINGS]!);
    assert.equal(buckets.find(7, 9, KIND_SETTINGS), 0);
    assert.notEqual(buckets.find(7, 9), 0, 'a line went with another one of its bucket');
  });

  test('are told apart by kind alone, should their hashes be alike', () => {
    const table = new BucketTable();
    const slots = KINDS.map((kind) => table.open(7, 9, kind << KIND_SHIFT, 0));
    for (const slot of slots)
      assert.deepEqual(
        KINDS.map((kind) => isOf(table.pages, slot, 7, 9, kind)),
        slots.map((each) => each === slot),
      );
  });

  test('keep their kind when they go on in entries, after a start, and with rules', () => {
    const buckets = bucketsOf();
    const slots = KINDS.map((kind) => buckets.open(7, 9, kind));
    for (const [kind, slot] of slots.entries()) {
      buckets.push(slot, 4096 + kind * 100, 1 + kind * 10, 5, 20, 0);
      buckets.indexed.exhausted(slot);
      assert.equal(buckets.kindOf(slot), kind);
    }
    const { dead, settings, settled } = buckets.outcomes;
    dead.add(11, 5);
    settings.add(21, 5);
    settled.add(1, 2);
    settled.add(11, 1);
    buckets.recovered(26, 12, true);
    const set = { batchMax: 5 };
    const table = { generation: 1, resolve: () => 3, setOf: () => set };
    buckets.rules.use(table as unknown as RuleTable);
    for (const [kind, slot] of slots.entries()) {
      buckets.rules.of(slot);
      assert.equal(buckets.find(7, 9, kind), slot);
      assert.equal(buckets.readyOf(slot), [3, 4, 5][kind]);
    }
    assert.deepEqual([buckets.ready, buckets.dead], [3, 4]);
  });

  test(`random lines of few buckets, forgotten and known again (seed ${seed})`, () => {
    for (let round = 0; round < 20; round++) {
      const random = new Random(seed + round);
      const buckets = bucketsOf([3, 8, 1000][round % 3]);
      const model = new Map<string, Line>();
      let sequence = 1;
      const lineOf = (id: number, kind: number): Line => {
        const key = `${id}/${kind}`;
        const line = model.get(key) ?? { ready: [], taken: [], runs: [] };
        model.set(key, line);
        return line;
      };
      for (let step = 0; step < 2000; step++) {
        const [id, kind] = [random.below(4), random.below(3)];
        const line = lineOf(id, kind);
        const found = buckets.find(id, 5, kind);
        const next = found === 0 ? undefined : buckets.peek(found);
        switch (random.below(5)) {
          case 0:
          case 1: {
            const slot = buckets.open(id, 5, kind);
            buckets.push(slot, sequence * 64, sequence, 1, 8, 0);
            line.ready.push(sequence++);
            break;
          }
          case 2:
            if (next === undefined) break;
            assert.equal(next.sequence, line.ready[0], `${id}/${kind} of round ${round}`);
            buckets.take(next, 1);
            line.taken.push(line.ready.shift()!);
            break;
          case 3: {
            const done = line.taken.pop();
            if (done === undefined) break;
            buckets.settle(found, done, 1);
            buckets.tidy(found);
            break;
          }
          default:
            if (!random.chance(0.1)) break;
            buckets.indexed.release(buckets.entries.end, Number.POSITIVE_INFINITY);
            for (const each of model.values()) each.runs.push(...each.ready.splice(0));
        }
        const sums = KINDS.map((each) => {
          const lines = [...model].filter(([key]) => key.endsWith(`/${each}`));
          const count = (of: (line: Line) => number[]) =>
            lines.reduce((sum, [, one]) => sum + of(one).length, 0);
          return [count((one) => one.ready) + count((one) => one.runs), count((one) => one.taken)];
        });
        assert.deepEqual([buckets.ready, buckets.unacked], sums[KIND_LIVE]);
        assert.equal(buckets.dead, sums[KIND_DEAD]![0]);
        for (const [key, { taken, ready, runs }] of model) {
          const [bucket, of] = key.split('/').map(Number);
          const slot = buckets.find(bucket!, 5, of!);
          assert.ok(slot !== 0 || taken.length + ready.length === 0, `${key} is lost`);
          if (slot === 0) continue;
          assert.deepEqual([buckets.kindOf(slot), buckets.unackedOf(slot)], [of, taken.length]);
          const most = ready.length + runs.length;
          assert.ok(buckets.readyOf(slot) <= most && buckets.readyOf(slot) >= ready.length);
        }
        // What is in runs is found again, and counts when it is.
        if (random.chance(0.05)) lookUp(buckets, id, kind, lineOf(id, kind));
      }
    }
  });
});

function lookUp(buckets: Buckets<string>, id: number, kind: number, line: Line): void {
  if (line.runs.length === 0) return;
  const slot = buckets.open(id, 5, kind);
  const share = buckets.openSubscription(slot);
  share.consumers++;
  if (buckets.indexed.lookupDue(slot)) {
    const parts = { position: 0, messages: 1, bodyBytes: 8, attempts: 0, kind };
    const { next } = buckets.placeOf(slot);
    const found = line.runs.filter((sequence) => sequence >= next);
    buckets.indexed.found(
      slot,
      found.map((sequence) => ({ ...parts, sequence })),
    );
    for (let part = buckets.peek(slot); part !== undefined; part = buckets.peek(slot)) {
      assert.equal(part.sequence, line.runs.shift());
      buckets.take(part, 1);
      line.taken.push(part.sequence - 1);
      if (share.aheadAt === share.ahead.length) break;
    }
    buckets.indexed.exhausted(slot);
  }
  share.consumers--;
  buckets.tidy(slot);
}
