// Of complete segments: where they end, which of them are in doubt, and what merging and trimming
// make of that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompactedSegments } from '../../../src/core/segments/compacted.ts';

const doubtful = (known: CompactedSegments) => [...known.doubtful];

test('only marks about segments that were compacted before leave a doubt, once each', () => {
  const known = new CompactedSegments();
  known.begun(100);
  assert.equal(known.doubts(0), false);
  assert.equal(known.doubts(100), true);
  assert.deepEqual(doubtful(known), [100]);
  known.counted(100, false);
  assert.deepEqual(doubtful(known), []);
  assert.equal(known.doubts(100), true);
  known.counted(100, true);
  assert.equal(known.doubts(100), false);
});

test('an end holds once it is known', () => {
  const known = new CompactedSegments();
  assert.equal(known.endOf(0), Number.POSITIVE_INFINITY);
  known.ended(0, 7);
  known.ended(0, 9);
  assert.equal(known.endOf(0), 7);
});

test('segments that become one have the last end, and the doubts of all', () => {
  const known = new CompactedSegments();
  for (const [base, end] of [
    [0, 5],
    [100, 9],
    [200, 12],
  ] as const)
    known.ended(base, end);
  known.begun(100);
  known.doubts(100);
  known.merged(0, 200, true);
  assert.equal(known.endOf(0), 9);
  assert.equal(known.endOf(100), Number.POSITIVE_INFINITY);
  assert.equal(known.endOf(200), 12);
  assert.deepEqual(doubtful(known), [0]);
  assert.equal(known.doubts(0), true);
  known.merged(0, 300, false);
  assert.deepEqual(doubtful(known), []);
});

test('what was given back is forgotten', () => {
  const known = new CompactedSegments();
  known.begun(0);
  known.doubts(0);
  known.ended(0, 5);
  known.ended(100, 9);
  known.trimmed(100);
  assert.deepEqual(doubtful(known), []);
  assert.equal(known.endOf(0), Number.POSITIVE_INFINITY);
  assert.equal(known.endOf(100), 9);
});
