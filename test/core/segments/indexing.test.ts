// The way of segments from entries to indexes, by hand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DueTimes } from '../../../src/core/delivery/due-times.ts';
import { Indexing } from '../../../src/core/segments/indexing.ts';
import { createState } from '../../../src/core/segments/state.ts';
import { FakeLog, smallCodec } from '../../support/world.ts';

class Bench {
  readonly state = createState(1);
  readonly buckets = this.state.buckets;
  readonly log = new FakeLog(smallCodec(), 100, 0);
  readonly events: string[] = [];
  readonly due = new DueTimes({
    store: this.log.due,
    wake: () => {},
    failed: (_base, failure) => assert.fail(failure),
  });
  readonly indexing = new Indexing({
    buckets: this.buckets,
    retention: this.state.retention,
    index: this.log,
    dueLog: this.log.due,
    dueTimes: this.due,
    indexed: () => void this.events.push('indexed'),
    failed: (base, failure) => void this.events.push(`failed ${base} ${failure.message}`),
    soon: () => void this.events.push('soon'),
    releaseMax: 4,
  });
  #sequence = 1;

  /** Segments of so many entries each; the last one is open. */
  fill(...sizes: number[]): void {
    sizes.forEach((entries, i) => {
      const base = this.log.bases().length * 100 - (i === 0 ? 100 : 0);
      if (i > 0) this.log.roll(base);
      this.state.retention.open(base, this.#sequence);
      this.indexing.open(base);
      for (let n = 0; n < entries; n++, this.#sequence++) {
        const slot = this.buckets.open(this.#sequence, 0);
        this.buckets.push(slot, base + n, this.#sequence, 1, 10, 0);
        this.state.retention.add(base + n, this.#sequence, 1);
      }
    });
  }
}

test('one at a time, oldest first, and never the open one', () => {
  const bench = new Bench();
  const { indexing, log, buckets, events } = bench;
  bench.fill(3, 2, 1);
  assert.equal(indexing.segments, 3);
  assert.deepEqual(
    log.indexing.map(({ base, records }) => [base, records.length]),
    [[0, 3]],
  );
  assert.equal(indexing.memoryFrom, 0);
  log.indexed();
  assert.equal(indexing.memoryFrom, 100);
  assert.equal(buckets.entries.from, 4);
  assert.deepEqual(events, ['indexed']);
  assert.deepEqual(
    log.indexing.map(({ base, records }) => [base, records.map(({ sequence }) => sequence)]),
    [[100, [4, 5]]],
  );
  log.indexed();
  assert.deepEqual([log.indexing.length, indexing.segments, buckets.entries.from], [0, 1, 6]);
});

test('a failure keeps the entries; it is tried again, and only then', () => {
  const bench = new Bench();
  const { indexing, log, buckets, events } = bench;
  bench.fill(3, 1);
  indexing.retry();
  assert.equal(log.indexing.length, 1, 'what is being written is not written again');
  log.indexed(new Error('EIO'));
  assert.deepEqual(events, ['failed 0 EIO']);
  assert.deepEqual([indexing.memoryFrom, buckets.entries.from, log.indexing.length], [0, 1, 0]);
  indexing.retry();
  log.indexed();
  assert.deepEqual(events, ['failed 0 EIO', 'indexed']);
  indexing.retry();
  assert.equal(log.indexing.length, 0);
});

test('many entries are released in slices, and the segment changes hands after the last', () => {
  const bench = new Bench();
  const { indexing, log, buckets, events } = bench;
  bench.fill(10, 2, 1);
  log.indexed();
  assert.deepEqual([buckets.entries.from, indexing.memoryFrom, indexing.releasing], [5, 0, true]);
  assert.equal(log.indexing.length, 0, 'the next index waits');
  indexing.step();
  assert.deepEqual([buckets.entries.from, indexing.memoryFrom], [9, 0]);
  indexing.step();
  assert.deepEqual([buckets.entries.from, indexing.memoryFrom], [11, 100]);
  assert.equal(indexing.releasing, false);
  assert.deepEqual(events, ['soon', 'soon', 'indexed']);
  assert.deepEqual(log.indexing[0]!.base, 100);
});

test('a segment that was given back is released without an index', () => {
  const bench = new Bench();
  const { indexing, log, buckets } = bench;
  bench.fill(3, 1);
  log.indexed(new Error('EIO'));
  log.trim(100);
  bench.state.retention.trimmed(100);
  indexing.retry();
  assert.equal(log.indexing.length, 0);
  indexing.step();
  assert.deepEqual([buckets.entries.from, indexing.memoryFrom], [4, 100]);
});
