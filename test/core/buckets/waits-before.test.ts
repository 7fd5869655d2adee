// A message in an index that waits for a time and is not counted as delayed: whoever keeps the
// order of the line is told of it, also when consumers come and go.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Buckets } from '../../../src/core/buckets/buckets.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';

const found = (sequence: number, messages: number) => ({
  sequence,
  messages,
  position: 4096 + 100 * sequence,
  bodyBytes: 10,
  attempts: 0,
  kind: 0,
});

/** As after a start: messages 5 to 8 of bucket 1 are in an index, and 6 waits. */
function started() {
  const outcomes = noOutcomes();
  outcomes.waiting.add(6, 1);
  outcomes.turns.set(6, 1, 1);
  const buckets = new Buckets<object>(1, outcomes);
  buckets.recovered(20, 4, true);
  const slot = buckets.open(1, 0);
  buckets.openSubscription(slot).consumers++;
  return { outcomes, buckets, slot };
}

test('it is before the line once the line has passed it, until its time', () => {
  const { outcomes, buckets, slot } = started();
  assert.equal(buckets.indexed.waitsBefore(slot), false);
  buckets.indexed.found(slot, [found(5, 4)]);
  assert.equal(buckets.indexed.waitsBefore(slot), true);
  assert.equal(buckets.delayed.of(slot), 0, 'nobody has counted it');
  outcomes.waiting.remove(6, 1);
  assert.equal(buckets.indexed.waitsBefore(slot), false);
});

test('what nobody was given yet is not before it', () => {
  const { outcomes, buckets, slot } = started();
  outcomes.turns.set(6, 1, 0);
  buckets.indexed.found(slot, [found(5, 4)]);
  assert.equal(buckets.indexed.waitsBefore(slot), false);
});

test('whoever comes when all had left finds it waiting, too', () => {
  const { buckets, slot } = started();
  buckets.indexed.found(slot, [found(5, 4)]);
  buckets.take(buckets.peek(slot)!, 1);
  buckets.settle(slot, 5, 1);
  assert.equal(buckets.peek(slot)!.sequence, 7);
  buckets.subscription(slot)!.consumers--;
  buckets.tidy(slot);
  assert.equal(buckets.subscription(slot), undefined);
  assert.equal(buckets.placeOf(slot).next, 6);
  buckets.openSubscription(slot).consumers++;
  buckets.indexed.found(slot, [found(5, 4)]);
  assert.equal(buckets.indexed.waitsBefore(slot), true);
});

test('a line that went back before it stays there', () => {
  const { outcomes, buckets, slot } = started();
  buckets.indexed.found(slot, [found(5, 4)]);
  const part = { ...buckets.peek(slot)! };
  buckets.take(buckets.peek(slot)!, 1);
  buckets.delayed.defer(part, 0, 1);
  outcomes.waiting.add(5, 1);
  buckets.delayed.deferred(5, 1);
  // Its time comes when nobody consumes, and something is being looked up.
  const subscription = buckets.subscription(slot)!;
  subscription.loading = true;
  subscription.consumers--;
  outcomes.waiting.remove(5, 1);
  buckets.delayed.readyAgain(1, 0, 0, 5, 1);
  subscription.loading = false;
  buckets.tidy(slot);
  assert.equal(buckets.placeOf(slot).next, 5);
});
