// The bucket of the oldest message that waits: found in entries and in runs, kept until it is
// settled, and looked for a bounded number of entries at a time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OldestMessages, type OldestOptions } from '../../../src/core/admin/oldest-message.ts';
import type { Failure } from '../../../src/core/ports/basics.ts';
import { createState } from '../../../src/core/segments/state.ts';

type Visit = OldestOptions['visit'];

function setUp(memoryFrom = 0, visit: Visit = () => assert.fail('a run was visited')) {
  const state = createState(1);
  const { buckets, retention } = state;
  const oldest = new OldestMessages({
    retention,
    entries: buckets.entries,
    fates: buckets.outcomes,
    memoryFrom: () => memoryFrom,
    releasing: () => false,
    visit,
  });
  const settle = (position: number, sequence: number) => {
    buckets.outcomes.settled.add(sequence, 1);
    retention.settle(position, 1);
  };
  return { ...state, oldest, settle };
}

test('nothing waits: there is none', () => {
  const { oldest, retention } = setUp();
  retention.open(0, 1);
  oldest.advance(10_000);
  assert.equal(oldest.message, undefined);
});

test('in memory: the first entry with a message that is not settled, and then the next', () => {
  const { oldest, retention, buckets, settle } = setUp();
  retention.open(0, 1);
  for (const [sequence, bucket] of [7, 8, 9].entries()) {
    buckets.push(buckets.open(bucket, 1), 100 * sequence, 1 + sequence * 2, 2, 10, 0);
    retention.add(100 * sequence, 1 + sequence * 2, 2);
  }
  settle(0, 1);
  oldest.advance(0);
  assert.deepEqual(oldest.message, { bucket: String(2n ** 32n + 7n), kind: 0, sequence: 2 });
  settle(0, 2);
  settle(100, 3);
  assert.equal(oldest.message, undefined, 'settled, and the next not known yet');
  assert.equal(oldest.from, 2, 'but it is none before the last one');
  oldest.advance(999);
  assert.equal(oldest.message, undefined, 'not so soon again');
  oldest.advance(1000);
  assert.equal(oldest.from, 4);
  assert.deepEqual(oldest.message, { bucket: String(2n ** 32n + 8n), kind: 0, sequence: 4 });
});

test('in memory: a long way of settled entries is gone in several turns', () => {
  const { oldest, retention, buckets, settle } = setUp();
  retention.open(0, 1);
  const slot = buckets.open(5, 0);
  for (let sequence = 1; sequence <= 40_000; sequence++) {
    buckets.push(slot, sequence * 8, sequence, 1, 10, 0);
    retention.add(sequence * 8, sequence, 1);
    if (sequence < 40_000) settle(sequence * 8, sequence);
  }
  let turns = 0;
  for (; oldest.message === undefined; turns++) oldest.advance(turns);
  assert.deepEqual(oldest.message, { bucket: '5', kind: 0, sequence: 40_000 });
  assert.equal(turns, 3);
});

test('in a run, which is not in the order of the log; a failure is tried again later', () => {
  const ends: ((failure: Failure) => void)[] = [];
  const visited: number[] = [];
  const visit: Visit = (base, record, done) => {
    visited.push(base);
    const rest = { position: 0, bodyBytes: 10, attempts: 0, kind: 0 };
    record(4, 0, { sequence: 7, messages: 2, ...rest });
    record(2, 0, { sequence: 4, messages: 3, ...rest });
    record(3, 0, { sequence: 9, messages: 2, ...rest });
    record(1, 0, { sequence: 1, messages: 2, ...rest });
    ends.push(done);
  };
  const { oldest, retention, settle } = setUp(2000, visit);
  retention.open(0, 1, 0, 0);
  retention.open(1000, 1, 10, 10);
  retention.open(2000, 11);
  for (const sequence of [1, 2, 4]) settle(1000, sequence);
  oldest.advance(0);
  oldest.advance(10_000);
  assert.deepEqual(visited, [1000], 'one at a time, and only where something waits');
  ends[0]!(new Error('EIO'));
  assert.equal(oldest.message, undefined);
  oldest.advance(10_001);
  ends[1]!(undefined);
  assert.deepEqual(oldest.message, { bucket: '2', kind: 0, sequence: 5 });
  oldest.advance(99_000);
  assert.equal(visited.length, 2, 'known until it is settled');
});
