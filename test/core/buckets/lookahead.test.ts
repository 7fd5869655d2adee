// A look along a bucket's line: what comes next and how old it is, and nothing is taken by it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Buckets } from '../../../src/core/buckets/buckets.ts';
import {
  inEntries,
  lookahead,
  nextInLine,
  oldestReady,
} from '../../../src/core/buckets/lookahead.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';

function setUp() {
  const fates = noOutcomes();
  const buckets = new Buckets<string>(1, fates);
  const slot = buckets.open(1, 0);
  for (const [sequence, count] of [
    [1, 2],
    [3, 1],
    [4, 3],
  ] as const)
    buckets.push(slot, sequence * 8, sequence, count, 10, 0);
  return { buckets, slot };
}

test('the line as it stands: entries in order, from where it was taken to', () => {
  const { buckets, slot } = setUp();
  const line = (most: number) =>
    inEntries(buckets, slot, most).map(({ sequence, count }) => [sequence, count]);
  assert.deepEqual(line(10), [
    [1, 2],
    [3, 1],
    [4, 3],
  ]);
  assert.deepEqual(line(2).length, 2);
  assert.equal(oldestReady(buckets, slot), 1);
  buckets.openSubscription(slot).consumers++;
  buckets.take(buckets.peek(slot)!, 1);
  assert.deepEqual(line(1), [[2, 1]]);
  assert.equal(oldestReady(buckets, slot), 2);
  assert.equal(nextInLine(buckets, slot)?.sequence, 2);
});

test('what came back is first, in the order of the log', () => {
  const { buckets, slot } = setUp();
  buckets.openSubscription(slot).consumers++;
  const first = { ...buckets.peek(slot)! };
  buckets.take(buckets.peek(slot)!, 2);
  const second = { ...buckets.peek(slot)! };
  buckets.take(buckets.peek(slot)!, 1);
  const back = (part: typeof first, count: number) =>
    buckets.requeue({ ...part, count, attempts: 1 });
  back(second, 1);
  back(first, 2);
  const { parts, older } = lookahead(buckets, slot, 10);
  assert.deepEqual(
    parts.map(({ sequence, attempts }) => [sequence, attempts]),
    [
      [1, 1],
      [3, 1],
    ],
  );
  assert.equal(older, undefined);
  assert.equal(nextInLine(buckets, slot)?.attempts, 1);
  assert.equal(oldestReady(buckets, slot), 1);
  parts[0]!.sequence = 99; // copies: whoever looks changes nothing
  assert.equal(buckets.peek(slot)?.sequence, 1);
});
