// Lookups by hand: which segments are searched, in which order, and when a line goes on in memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Found } from '../../../src/core/ports/basics.ts';
import { IndexLookup } from '../../../src/core/segments/index-lookup.ts';
import { createState } from '../../../src/core/segments/state.ts';
import { NO_ENTRIES } from '../../support/entries.ts';
import { FakeLog, smallCodec } from '../../support/world.ts';

const record = (sequence: number, messages: number): Found => ({
  sequence,
  position: sequence * 10,
  messages,
  bodyBytes: 8,
  attempts: 0,
  kind: 0,
});

/** Five segments of ten sequences each; the last two are in memory. Bucket 1 has a consumer. */
class Bench {
  readonly state = createState(1, 1);
  readonly log = new FakeLog(smallCodec(), 100, 0);
  readonly ended: number[] = [];
  readonly failed: string[] = [];
  releasing = false;
  readonly lookup: IndexLookup;
  readonly slot: number;

  constructor(records: Record<number, Found[]>) {
    const { buckets, retention } = this.state;
    for (let base = 0; base <= 400; base += 100) {
      if (base > 0) this.log.roll(base);
      retention.open(base, 1 + base / 10, 10, 10);
    }
    for (const base of [0, 100, 200]) {
      this.log.index(base, NO_ENTRIES, () => {});
      this.log.indexed();
      const named = (records[base] ?? []).map((each) => ({ ...each, low: 1, high: 0 }));
      this.log.indexes.set(base, named);
    }
    buckets.recovered(51, 50, true);
    this.slot = buckets.open(1, 0);
    buckets.openSubscription(this.slot).consumers++;
    this.lookup = new IndexLookup({
      buckets,
      retention,
      index: this.log,
      memoryFrom: () => 300,
      releasing: () => this.releasing,
      ended: (slot) => void this.ended.push(slot),
      failed: (_slot, base, failure) => void this.failed.push(`${base} ${failure.message}`),
    });
  }

  get searched(): [base: number, at: number][] {
    return this.log.finds.map(({ query }) => [query.base, query.at]);
  }

  /** Takes all that was found; returns the sequences. */
  take(): number[] {
    const { buckets } = this.state;
    const taken: number[] = [];
    for (let part = buckets.peek(this.slot); part !== undefined; part = buckets.peek(this.slot)) {
      for (let i = 0; i < part.count; i++) taken.push(part.sequence + i);
      buckets.take(part, part.count);
    }
    return taken;
  }
}

test('segments are searched from the oldest on, and none that is in memory', () => {
  const bench = new Bench({ 0: [record(2, 3)], 200: [record(25, 1)] });
  const { state, log, lookup, slot, ended } = bench;
  lookup.start(slot);
  assert.deepEqual(bench.searched, [[0, 0]]);
  lookup.start(slot);
  assert.equal(log.finds.length, 1, 'one search at a time');
  log.answered();
  assert.deepEqual(ended, [slot]);
  lookup.start(slot);
  assert.equal(log.finds.length, 0, 'nothing is searched while something waits');
  assert.deepEqual(bench.take(), [2, 3, 4]);
  lookup.start(slot);
  assert.deepEqual(bench.searched, [[100, 0]]);
  log.answered();
  assert.deepEqual(bench.searched, [[200, 0]], 'an empty answer leads on to the next segment');
  assert.deepEqual(ended, [slot]);
  log.answered();
  assert.deepEqual(bench.take(), [25]);
  assert.equal(state.buckets.isCounted(slot), false);
  lookup.start(slot);
  assert.equal(log.finds.length, 0);
  assert.ok(state.buckets.isCounted(slot), 'the line goes on in memory');
});

test('a line that goes on later is not searched from the beginning', () => {
  const bench = new Bench({ 100: [record(12, 4)] });
  const { log, lookup, slot } = bench;
  lookup.start(slot);
  log.answered();
  log.answered();
  const { buckets, retention } = bench.state;
  buckets.take(buckets.peek(slot)!, 2);
  const share = buckets.subscription(slot)!;
  share.consumers--;
  buckets.settle(slot, 12, 2);
  buckets.tidy(slot);
  assert.equal(buckets.subscription(slot), undefined);
  buckets.openSubscription(slot).consumers++;
  retention.settle(0, 10);
  lookup.start(slot);
  assert.deepEqual(bench.searched, [[100, 0]]);
  log.answered();
  assert.deepEqual(bench.take(), [14, 15]);
});

test('segments in which everything is settled are passed over', () => {
  const bench = new Bench({ 0: [record(2, 1)], 200: [record(22, 1)] });
  bench.state.retention.settle(0, 10);
  bench.state.retention.settle(100, 10);
  bench.lookup.start(bench.slot);
  assert.deepEqual(bench.searched, [[200, 0]]);
});

test('an answer in pages is asked for page by page', () => {
  const bench = new Bench({ 0: [record(1, 2), record(4, 2), record(8, 2)], 100: [record(11, 1)] });
  const { log, lookup, slot } = bench;
  log.findMost = 1;
  const got: number[] = [];
  for (const place of [
    [0, 0],
    [0, 1],
    [0, 2],
    [100, 0],
  ]) {
    lookup.start(slot);
    assert.deepEqual(bench.searched, [place]);
    log.answered();
    got.push(...bench.take());
  }
  assert.deepEqual(got, [1, 2, 4, 5, 8, 9, 11]);
});

test('a segment that cannot be searched is reported and left out', () => {
  const bench = new Bench({ 0: [record(1, 2)], 100: [record(11, 1)] });
  bench.lookup.start(bench.slot);
  bench.log.answered(new Error('damaged'));
  assert.deepEqual(bench.failed, ['0 damaged']);
  assert.deepEqual(bench.searched, [[100, 0]]);
  bench.log.answered();
  assert.deepEqual(bench.take(), [11]);
});

test('while entries are being released, nothing is passed over', () => {
  const bench = new Bench({});
  const { buckets } = bench.state;
  bench.releasing = true;
  bench.lookup.start(bench.slot);
  for (let i = 0; i < 3; i++) bench.log.answered();
  bench.lookup.start(bench.slot);
  assert.equal(buckets.isCounted(bench.slot), false);
  bench.releasing = false;
  bench.lookup.start(bench.slot);
  assert.ok(buckets.isCounted(bench.slot));
});

test('what indexes in memory say is there at once', () => {
  const records = { 0: [record(2, 3), record(7, 1)], 200: [record(25, 1)] };
  const [asked, told] = [new Bench(records), new Bench(records)];
  told.log.isAtHand = true;
  for (const findMost of [1, 10]) {
    asked.log.findMost = findMost;
    told.log.findMost = findMost;
    const taken: number[][] = [];
    for (let i = 0; i < 4; i++) {
      asked.lookup.start(asked.slot);
      while (asked.log.finds.length > 0) asked.log.answered();
      told.lookup.start(told.slot);
      assert.equal(told.state.buckets.subscription(told.slot)!.loading, false);
      taken.push(told.take());
      assert.deepEqual(taken.at(-1), asked.take());
    }
    if (findMost === 1) assert.deepEqual(taken, [[2, 3, 4], [7], [25], []]);
  }
  assert.deepEqual([told.log.finds.length, told.ended.length], [0, 0]);
  assert.ok(told.state.buckets.isCounted(told.slot), 'the line goes on in memory');
});

test('a turn ends, however much that is not ready stands in indexes in memory', () => {
  const all = (base: number) => Array.from({ length: 10 }, (_, i) => record(base / 10 + 1 + i, 1));
  const bench = new Bench({ 0: all(0), 100: all(100), 200: all(200) });
  bench.state.buckets.outcomes.settled.add(1, 29);
  bench.log.isAtHand = true;
  bench.log.findMost = 1;
  bench.lookup.start(bench.slot);
  assert.equal(bench.searched.length, 1, 'who looked often enough asks');
  while (bench.log.finds.length > 0) bench.log.answered();
  assert.deepEqual(bench.take(), [30]);
});
