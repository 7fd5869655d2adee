// What becomes ready at its time, by hand: which messages of an entry count, how much in a turn,
// and when it has to be woken.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';
import { DueTimes, FIRE_MAX } from '../../../src/core/delivery/due-times.ts';
import { COMPARE_MS, Firing } from '../../../src/core/delivery/firing.ts';
import {
  DUE_EXPIRES,
  DUE_READY,
  type DueEntry,
  emptyDueEntry,
} from '../../../src/core/records/due.ts';
import { FakeDueLog } from '../../support/due-log.ts';
import { WALL_MS } from '../../support/world.ts';

class Bench {
  readonly outcomes = noOutcomes();
  readonly due = new DueTimes({ store: new FakeDueLog(), wake: () => {}, failed: assert.fail });
  /** What became ready: bucket, first, count; and which slots were looked after. */
  readonly ready: [bucket: number, first: number, count: number][] = [];
  readonly dispatched: number[] = [];
  readonly jumps: number[] = [];
  asked = 0;
  wallMs = WALL_MS;
  nowMs = 0;
  readonly firing = new Firing({
    due: this.due,
    outcomes: this.outcomes,
    lines: {
      readyAgain: (low, _high, _kind, sequence, count) => {
        assert.equal(this.outcomes.waiting.within(sequence, count), 0, 'still waiting');
        this.ready.push([low, sequence, count]);
        return low % 100; // some are not known
      },
    },
    dispatch: (slot) => void this.dispatched.push(slot),
    soon: () => void this.asked++,
    wallMs: () => this.wallMs,
    jumped: (byMs) => void this.jumps.push(byMs),
  });

  wait(sequence: number, count: number, afterMs: number, fields: Partial<DueEntry> = {}): void {
    const turn = fields.turn ?? 1;
    this.outcomes.waiting.add(sequence, count);
    this.outcomes.turns.set(sequence, count, turn);
    const when = WALL_MS + afterMs;
    const what = DUE_READY;
    this.due.add(0, { ...emptyDueEntry(), when, low: 7, sequence, count, turn, what, ...fields });
  }

  pass(ms: number): void {
    this.wallMs += ms;
    this.nowMs += ms;
    this.firing.advance(this.nowMs);
  }
}

test('of an entry only those count that wait, in its turn, and are not settled', () => {
  const bench = new Bench();
  const { outcomes, firing } = bench;
  bench.wait(10, 10, 1000, { turn: 3 });
  bench.wait(30, 5, 1000, { what: DUE_EXPIRES });
  bench.wait(40, 1, 2000);
  outcomes.settled.add(12, 1);
  outcomes.waiting.remove(14, 1);
  outcomes.turns.set(16, 2, 4);
  bench.pass(999);
  assert.deepEqual([bench.ready, firing.messages], [[], 0]);
  bench.pass(1);
  assert.deepEqual(bench.ready, [
    [7, 10, 2],
    [7, 13, 1],
    [7, 15, 1],
    [7, 18, 2],
  ]);
  assert.deepEqual([firing.messages, bench.dispatched], [6, [7]]);
  assert.deepEqual(
    [...outcomes.waiting.runs(0, 100)],
    [
      [12, 1],
      [16, 2],
      [30, 5],
      [40, 1],
    ],
  );
});

test('the slots of buckets that are known are looked after, once all are ready', () => {
  const bench = new Bench();
  for (const [i, low] of [100, 1, 1, 2, 200, 1].entries()) bench.wait(i + 1, 1, 5, { low });
  bench.pass(5);
  assert.deepEqual(bench.dispatched, [1, 2, 1]);
});

test('a turn ends after so many entries, or messages; the rest comes in the next ones', () => {
  const bench = new Bench();
  for (let i = 0; i < 2 * FIRE_MAX + 1; i++) bench.wait(i + 1, 1, 10);
  bench.pass(10);
  assert.deepEqual([bench.firing.messages, bench.asked], [FIRE_MAX, 1]);
  bench.firing.turn();
  bench.firing.turn();
  assert.deepEqual([bench.firing.messages, bench.asked], [2 * FIRE_MAX + 1, 2]);
  bench.firing.turn();
  assert.equal(bench.asked, 2);
  const large = new Bench();
  for (let i = 0; i < 1024; i++) large.wait(1 + i * 1000, 1000, 10);
  large.pass(10);
  assert.ok(large.firing.messages < 500_000 && large.asked === 1, `${large.firing.messages}`);
});

test('woken at the next time; to compare the clocks if that is far; else never', () => {
  const bench = new Bench();
  bench.pass(0);
  assert.equal(bench.firing.dueMs, Number.POSITIVE_INFINITY);
  bench.wait(1, 1, 500);
  bench.wait(2, 1, 10 * COMPARE_MS);
  bench.pass(100);
  assert.equal(bench.firing.dueMs, 500);
  bench.pass(400);
  assert.deepEqual([bench.firing.messages, bench.firing.dueMs], [1, 500 + COMPARE_MS]);
  bench.pass(10 * COMPARE_MS);
  assert.deepEqual([bench.firing.messages, bench.firing.dueMs], [2, Number.POSITIVE_INFINITY]);
  assert.deepEqual(bench.jumps, []);
});

test('times are those of the wall clock, whatever the other one says', () => {
  const bench = new Bench();
  bench.wait(1, 1, 5000);
  bench.wait(2, 1, 9000);
  bench.pass(1000);
  bench.nowMs += 60_000; // as if the wall clock had been put back by as much
  bench.pass(0);
  assert.deepEqual([bench.firing.messages, bench.jumps], [0, [-60_000]]);
  bench.wallMs += 4000;
  bench.pass(0);
  assert.deepEqual([bench.firing.messages, bench.jumps.length], [1, 2]);
  bench.wallMs += 900; // so much is no jump
  bench.pass(0);
  assert.equal(bench.jumps.length, 2);
});

test('nothing in the due times: clocks are not looked at', () => {
  const bench = new Bench();
  bench.pass(10);
  bench.wallMs += 1e9;
  bench.pass(10);
  bench.firing.turn();
  assert.deepEqual(bench.jumps, []);
});
