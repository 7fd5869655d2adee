// Due times that wait in memory for room on the disk: found like those in a file, bounded, and
// written one segment after the other.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failure } from '../../../src/core/ports/basics.ts';
import { type DueEntry, emptyDueEntry } from '../../../src/core/records/due.ts';
import { PendingDueTimes } from '../../../src/log/index/pending-due-times.ts';
import { paceOf } from '../../support/pace.ts';
import { Random, seedOf } from '../../support/random.ts';
import { BASE, columnsOf, dueEntries, IDENTITY, inDueOrder, NOW } from '../due-harness.ts';

const random = new Random(seedOf('log/index/pending-due-times.test'));

class Bench {
  readonly turns: (() => void)[] = [];
  #serial = 0;
  readonly held = new PendingDueTimes(
    paceOf((call) => void this.turns.push(call)),
    () => ++this.#serial,
  );

  settle(): void {
    for (let call = this.turns.shift(); call !== undefined; call = this.turns.shift()) call();
  }

  add(entries: readonly DueEntry[], base = BASE): boolean[] {
    const got: boolean[] = [];
    this.held.add(base, IDENTITY, columnsOf(entries), (added) => void got.push(added));
    this.settle();
    return got;
  }
}

test('in order, and found by time and sequence', () => {
  const bench = new Bench();
  const entries = dueEntries(random, 40_000, 5000);
  assert.deepEqual(bench.add(entries), [true]);
  const held = bench.held.of(BASE, IDENTITY)!;
  const sorted = inDueOrder(entries);
  const entry = emptyDueEntry();
  for (let i = 0; i < 500; i++) {
    const at = random.below(sorted.length);
    assert.ok(held.read(at, entry));
    assert.deepEqual(entry, sorted[at]);
    const when = NOW - 10 + random.below(5020);
    const sequence = sorted[random.below(sorted.length)]!.sequence;
    const isBefore = (each: DueEntry) =>
      each.when < when || (each.when === when && each.sequence < sequence);
    assert.equal(held.find(when, sequence), sorted.filter(isBefore).length);
  }
  assert.equal(held.read(sorted.length, entry), false);
  assert.equal(bench.held.of(BASE, IDENTITY + 1), undefined);
  assert.equal(bench.held.at(BASE, held.serial), held);
  assert.equal(bench.held.at(BASE, held.serial + 1), undefined);
});

test('no more than a million entries; room comes back', () => {
  const bench = new Bench();
  const entries = dueEntries(random, 400_000, 5000);
  assert.deepEqual(bench.add(entries, BASE), [true]);
  assert.deepEqual(bench.add(entries, BASE + 1), [true]);
  assert.deepEqual(bench.add(entries, BASE + 2), [false]);
  bench.held.drop(BASE);
  assert.deepEqual(bench.add(entries, BASE + 2), [true]);
  assert.deepEqual(bench.add(entries, BASE + 2), [true], 'in the place of its own');
});

test('dropped while it is brought into order: not kept', () => {
  const bench = new Bench();
  const got: boolean[] = [];
  const entries = columnsOf(dueEntries(random, 100, 5000));
  bench.held.add(BASE, IDENTITY, entries, (added) => void got.push(added));
  bench.held.drop(BASE);
  bench.settle();
  assert.deepEqual([got, bench.held.oldest()], [[false], undefined]);
});

test('written one after the other, until that fails', () => {
  const bench = new Bench();
  const entries = dueEntries(random, 10, 5000);
  for (let i = 0; i < 3; i++) bench.add(entries, BASE + i);
  const calls: [number, (failure: Failure) => void][] = [];
  const write = (base: number, _identity: number, _entries: unknown, done: (f: Failure) => void) =>
    void calls.push([base, done]);
  bench.held.retry(write);
  bench.held.retry(write);
  assert.deepEqual(
    calls.map(([base]) => base),
    [BASE],
    'one at a time',
  );
  calls[0]![1](undefined);
  assert.equal(bench.held.oldest()!.base, BASE + 1);
  calls[1]![1](new Error('no space'));
  assert.deepEqual([calls.length, bench.held.oldest()!.base], [2, BASE + 1]);
  bench.held.retry(write);
  bench.add(entries, BASE + 1); // another one meanwhile, which is not written yet
  calls[2]![1](undefined);
  assert.ok(bench.held.of(BASE + 1, IDENTITY) !== undefined);
});
