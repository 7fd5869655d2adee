// What is not ready yet, by hand: each way in and out, what of a bucket is remembered for it, and
// that nothing of it costs anything before the first message is deferred.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BugError } from '../../../src/core/assert.ts';
import { Buckets } from '../../../src/core/buckets/buckets.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';

function setUp(slotsMax?: number) {
  const outcomes = noOutcomes();
  const buckets = new Buckets<string>(1, outcomes, slotsMax);
  const push = (bucket: number, sequence: number, count: number) => {
    const slot = buckets.open(bucket, 0);
    buckets.push(slot, sequence * 8, sequence, count, count * 14, 0);
    return slot;
  };
  const take = (slot: number, count: number) => {
    const next = buckets.peek(slot)!;
    const part = { ...next, count };
    buckets.take(next, count);
    return part;
  };
  const counts = (slot: number) => [
    buckets.readyOf(slot),
    buckets.unackedOf(slot),
    buckets.delayed.of(slot),
  ];
  const totals = () => [buckets.ready, buckets.unacked, buckets.delayed.count];
  return { buckets, outcomes, push, take, counts, totals };
}

test('every way in and out moves one count to another', () => {
  const { buckets, outcomes, push, take, counts, totals } = setUp();
  const { delayed } = buckets;
  const slot = push(1, 1, 10);
  buckets.openSubscription(slot).consumers++;
  const part = take(slot, 6);
  delayed.defer(part, 1, 4); // 2 … 5
  assert.deepEqual([counts(slot), totals(), delayed.pending], [[4, 2, 4], [4, 2, 4], 4]);
  outcomes.waiting.add(2, 2);
  delayed.deferred(2, 2);
  assert.deepEqual([counts(slot), delayed.pending], [[4, 2, 4], 2]);
  outcomes.settled.add(4, 2);
  delayed.gone(1, 0, 0, 4, 2);
  assert.deepEqual([counts(slot), totals(), delayed.pending], [[4, 2, 2], [4, 2, 2], 0]);
  outcomes.waiting.remove(2, 2);
  assert.equal(delayed.readyAgain(1, 0, 0, 2, 2), slot);
  assert.deepEqual(
    [counts(slot), totals()],
    [
      [6, 2, 0],
      [6, 2, 0],
    ],
  );
  assert.deepEqual([buckets.peek(slot)!.sequence, buckets.peek(slot)!.count], [2, 2]);
  push(1, 11, 3);
  outcomes.waiting.add(11, 3);
  delayed.waits(slot, 11, 3);
  assert.deepEqual(
    [counts(slot), totals()],
    [
      [6, 2, 3],
      [6, 2, 3],
    ],
  );
  take(slot, 2);
  assert.equal(take(slot, 4).sequence, 7);
  assert.equal(buckets.peek(slot), undefined, 'what waits was given');
});

test('a bucket with nothing but what waits stays, as long as that is in entries', () => {
  const { buckets, outcomes, push } = setUp(1);
  const slot = push(1, 1, 2);
  outcomes.waiting.add(1, 2);
  buckets.delayed.waits(slot, 1, 2);
  buckets.tidy(slot);
  push(2, 3, 1);
  assert.equal(buckets.find(1, 0), slot);
  assert.equal(buckets.isPartial, false);
  buckets.indexed.release(2, 9);
  push(3, 4, 1);
  push(4, 5, 1);
  assert.equal(buckets.find(1, 0), 0, 'an idle bucket was kept');
  assert.equal(buckets.isPartial, true, 'what waits was forgotten with it');
  outcomes.waiting.remove(1, 2);
  assert.equal(buckets.delayed.readyAgain(1, 0, 0, 1, 2), 0);
  assert.deepEqual([buckets.ready, buckets.delayed.count], [5, 0]);
});

test('a bucket stays known when more became ready than were counted of it', () => {
  const { buckets, outcomes, push, take } = setUp();
  outcomes.waiting.add(1, 3); // in an index, from before a start
  buckets.recovered(4, 3, true);
  assert.deepEqual([buckets.ready, buckets.delayed.count], [0, 3]);
  const slot = push(1, 4, 3);
  outcomes.waiting.add(4, 3);
  buckets.delayed.waits(slot, 4, 3);
  const share = buckets.openSubscription(slot);
  share.consumers++;
  buckets.indexed.exhausted(slot);
  outcomes.waiting.remove(1, 3);
  buckets.delayed.readyAgain(1, 0, 0, 1, 3);
  buckets.indexed.foundSought(
    slot,
    [{ sequence: 1, position: 8, messages: 3, bodyBytes: 42, attempts: 0, kind: 0 }],
    4,
  );
  take(slot, 3);
  buckets.settle(slot, 1, 3);
  share.consumers--;
  buckets.tidy(slot);
  assert.equal(buckets.find(1, 0), slot, 'a bucket whose messages wait in entries was forgotten');
  outcomes.waiting.remove(4, 3);
  buckets.delayed.readyAgain(1, 0, 0, 4, 3);
  buckets.openSubscription(slot).consumers++;
  assert.equal(take(slot, 3).sequence, 4);
});

test('the first deferral asks what is held, and no other does', () => {
  const { buckets, outcomes, push, take } = setUp();
  const slot = push(1, 1, 6);
  buckets.openSubscription(slot).consumers++;
  const held = [take(slot, 2), take(slot, 2)];
  let asked = 0;
  buckets.delayed.holders = (give) => {
    asked++;
    for (const { sequence, count } of held) give(sequence, count);
  };
  buckets.delayed.defer(held[1]!, 0, 1); // 3
  buckets.delayed.defer(take(slot, 1), 0, 1); // 5
  assert.equal(asked, 1);
  outcomes.waiting.add(3, 1);
  buckets.delayed.deferred(3, 1);
  outcomes.waiting.remove(3, 1);
  // With nobody to look for it, the line goes back: over 4, which is held, and 5, which is pending.
  buckets.subscription(slot)!.consumers--;
  buckets.delayed.readyAgain(1, 0, 0, 3, 1);
  assert.equal(take(slot, 1).sequence, 3);
  assert.equal(take(slot, 1).sequence, 6);
  assert.equal(buckets.peek(slot), undefined);
});

test('more than was delivered or deferred is a bug', () => {
  const { buckets, push, take } = setUp();
  const slot = push(1, 1, 2);
  buckets.openSubscription(slot).consumers++;
  const part = take(slot, 1);
  assert.throws(() => buckets.delayed.defer(part, 0, 2), BugError);
  assert.throws(() => buckets.delayed.deferred(1, 1), BugError);
  buckets.delayed.defer(part, 0, 1);
  assert.throws(() => buckets.delayed.gone(1, 0, 0, 1, 1), BugError, 'it is not settled');
});
