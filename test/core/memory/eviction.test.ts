// Who goes when all buffers together are over their bound: who holds the most, and who does not
// read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Budget } from '../../../src/core/memory/budget.ts';
import { Eviction, type MemoryHolder } from '../../../src/core/memory/eviction.ts';
import { LARGE_BYTES } from '../../../src/core/memory/reservations.ts';
import type { Overdue } from '../../../src/core/timing/overdue.ts';

class Fake implements MemoryHolder {
  heldBytes: number;
  readonly unreserved: boolean;
  stuckSinceMs: number;
  evicted: string | undefined;
  readonly link = { destroyed: false };

  constructor(heldBytes: number, unreserved = false, stuckSinceMs = -1) {
    this.heldBytes = heldBytes;
    this.unreserved = unreserved;
    this.stuckSinceMs = stuckSinceMs;
  }

  evict(text: string): void {
    this.evicted = text;
    this.heldBytes = 0;
  }
}

function relieved(...sessions: Fake[]): number[] {
  const sets = [new Set(sessions.slice(0, 1)), new Set(sessions.slice(1))];
  const relief = new Eviction(new Budget(1000), sets, {} as Overdue);
  relief.relieve();
  return sessions.flatMap((each, i) => (each.evicted === undefined ? [] : [i]));
}

test('whoever holds the most is closed, of producers and consumers; nobody, if none holds any', () => {
  assert.deepEqual(relieved(new Fake(10), new Fake(30), new Fake(20)), [1]);
  assert.deepEqual(relieved(new Fake(40), new Fake(30)), [0]);
  assert.deepEqual(relieved(new Fake(0), new Fake(0)), []);
});

test('one that waits for memory goes first, unless it sent no more than a first piece', () => {
  assert.deepEqual(relieved(new Fake(10 * LARGE_BYTES), new Fake(LARGE_BYTES + 1, true)), [1]);
  assert.deepEqual(relieved(new Fake(LARGE_BYTES + 2), new Fake(LARGE_BYTES, true)), [0]);
});

test('it is told what it held, and that it waited', () => {
  const waits = new Fake(LARGE_BYTES + 1, true);
  relieved(waits);
  const text = `it held ${LARGE_BYTES + 1} bytes, the most of those that wait, when all buffers`;
  assert.ok(waits.evicted!.startsWith(text), waits.evicted);
});

test('who has not read for 10 s is marked, while the buffers are over their bound', () => {
  const budget = new Budget(1000);
  const added: [unknown, number, () => void][] = [];
  const overdue = {
    add: (...what: [unknown, number, () => void]) => void added.push(what),
  } as unknown as Overdue;
  const [reads, stuck, later] = [new Fake(5), new Fake(5, false, 100), new Fake(5, false, 200)];
  const relief = new Eviction(budget, [new Set([reads, stuck, later])], overdue);
  relief.advance(60_000);
  assert.equal(added.length, 0, 'there is room');
  budget.bytes = 1001;
  relief.advance(10_099);
  assert.equal(added.length, 0);
  relief.advance(10_100);
  assert.deepEqual(
    added.map(([session, dueMs]) => [session, dueMs]),
    [[stuck, 10_100]],
  );
  stuck.stuckSinceMs = 10_090; // it read meanwhile
  added[0]![2]();
  assert.equal(stuck.evicted, undefined);
  stuck.stuckSinceMs = 100;
  added[0]![2]();
  assert.match(stuck.evicted!, /it has not read what it was sent for 10000 ms, when all buffers/);
});
