// Lines that meet suspects, as after a start that read levels in the log.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Buckets } from '../../../src/core/buckets/buckets.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';

// Two records of five messages each; of which level each of these is.
const LEVELS = [0, 2, 2, 0, 1, 0, 0, 2, 0, 3];

function found(soughtMax = 1000, consumers = 1): { buckets: Buckets<unknown>; slot: number } {
  const outcomes = noOutcomes();
  for (const [i, level] of LEVELS.entries()) if (level > 0) outcomes.levels.set(i + 1, 1, level);
  const buckets = new Buckets<unknown>(1, outcomes, undefined, soughtMax);
  const slot = buckets.open(7, 0);
  for (const sequence of [1, 6]) buckets.push(slot, sequence * 100, sequence, 5, 50, 0);
  buckets.recovered(11, 10, false);
  if (consumers > 0) buckets.openSubscription(slot).consumers = consumers;
  return { buckets, slot };
}

/** Takes what is next until there is nothing: sequences, by run. */
function taken(buckets: Buckets<unknown>, slot: number): number[][] {
  const runs: number[][] = [];
  for (let next = buckets.peek(slot); next !== undefined; next = buckets.peek(slot)) {
    const { sequence, count } = next;
    runs.push(Array.from({ length: count }, (_, i) => sequence + i));
    buckets.take(next, count);
  }
  return runs;
}

test('are given without them, and they apart', () => {
  const { buckets, slot } = found();
  assert.deepEqual(taken(buckets, slot), [[1], [4], [6, 7], [9]]);
  assert.deepEqual([buckets.ready, buckets.unacked], [5, 5]);
  const share = buckets.subscription(slot)!;
  const orders: number[][][] = [];
  while (buckets.isolation.choose(share, 0, false)) orders.push(taken(buckets, slot));
  assert.deepEqual(orders, [[[10]], [[2, 3], [8]], [[5]]]);
  assert.deepEqual([buckets.ready, buckets.unacked], [0, 10]);
});

test('without room for them are given as they stand, cut where the level changes', () => {
  const { buckets, slot } = found(0);
  assert.deepEqual(taken(buckets, slot), [[1], [2, 3], [4], [5], [6, 7], [8], [9], [10]]);
});

test('whoever takes all of the line is given all, in order', () => {
  const { buckets, slot } = found();
  const first = buckets.peek(slot)!;
  buckets.take(first, first.count);
  buckets.peek(slot); // behind the first suspects, which are apart now
  buckets.subscription(slot)!.suspects!.all();
  assert.deepEqual(taken(buckets, slot), [[2, 3], [4], [5], [6, 7], [8], [9], [10]]);
});

test('whoever takes all of the line waits for what stands first and has to be looked up', () => {
  const { buckets, slot } = found();
  const { delayed, entries, indexed, outcomes } = buckets;
  const first = { ...buckets.peek(slot)! };
  buckets.take(buckets.peek(slot)!, 1);
  delayed.defer(first, 0, 1);
  outcomes.waiting.add(1, 1);
  delayed.deferred(1, 1);
  assert.deepEqual(taken(buckets, slot), [[4], [6, 7], [9]], 'suspects are apart');
  indexed.release(entries.from + 1, 1000);
  outcomes.waiting.remove(1, 1);
  assert.equal(delayed.readyAgain(7, 0, 0, 1, 1), slot);
  buckets.isolation.all(buckets.subscription(slot)!);
  assert.equal(buckets.peek(slot), undefined, 'no suspect goes before it');
  assert.ok(indexed.lookupDue(slot));
  const record = { position: 100, sequence: 1, messages: 5, bodyBytes: 50, attempts: 0, kind: 0 };
  indexed.foundSought(slot, [record], 6);
  assert.deepEqual(taken(buckets, slot), [[1], [2, 3], [5], [8], [10]]);
});

test('when their last consumer leaves, suspects are found again at their places', () => {
  const { buckets, slot } = found();
  buckets.delayed.begin();
  const next = buckets.peek(slot)!;
  buckets.take(next, 1);
  buckets.requeue({ ...next, first: 0, sequence: 1, count: 1, level: 4 });
  assert.deepEqual(taken(buckets, slot), [[4], [6, 7], [9]]);
  const share = buckets.subscription(slot)!;
  share.consumers = 0;
  buckets.tidy(slot);
  assert.equal(buckets.subscription(slot), undefined);
  assert.equal(buckets.isolation.count, 0);
  assert.deepEqual(taken(buckets, slot), [[1], [2, 3], [5], [8], [10]]);
});

// A line of two records that nobody consumes and that goes on in indexes.
function older(levels = false): { buckets: Buckets<unknown>; slot: number } {
  const outcomes = noOutcomes();
  if (levels) outcomes.levels.set(1, 1, 1);
  const buckets = new Buckets<unknown>(1, outcomes);
  buckets.delayed.begin();
  const slot = buckets.open(7, 0);
  for (const sequence of [1, 6]) buckets.push(slot, sequence * 100, sequence, 5, 50, 0);
  assert.ok(buckets.indexed.release(buckets.entries.end, 100));
  return { buckets, slot };
}

const record = (sequence: number) => ({
  position: sequence * 100,
  sequence,
  messages: 5,
  bodyBytes: 50,
  attempts: 0,
  kind: 0,
});

test('the next record of a line may be known, and is next until it is taken, or forgotten', () => {
  const { buckets, slot } = older();
  assert.equal(buckets.peek(slot), undefined);
  assert.ok(buckets.front.knows(slot, record(1)));
  const { position, sequence, first, count } = buckets.peek(slot)!;
  assert.deepEqual([position, sequence, first, count], [100, 1, 0, 5]);
  buckets.take(buckets.peek(slot)!, 2);
  assert.equal(buckets.peek(slot), undefined, 'taken');
  assert.ok(buckets.front.knows(slot, record(1)));
  const rest = buckets.peek(slot)!;
  assert.deepEqual([rest.sequence, rest.first, rest.count], [3, 2, 3]);
  buckets.front.forget();
  assert.equal(buckets.peek(slot), undefined, 'forgotten');
  assert.ok(buckets.front.knows(slot, record(1)));
  buckets.take(buckets.peek(slot)!, 3);
  assert.ok(buckets.front.knows(slot, record(6)));
  assert.deepEqual(taken(buckets, slot), [[6, 7, 8, 9, 10]]);
  assert.deepEqual([buckets.readyOf(slot), buckets.unackedOf(slot)], [0, 10]);
});

test('what is known of one line is nothing for others', () => {
  const { buckets, slot } = older();
  const other = buckets.open(8, 0);
  buckets.push(other, 1100, 11, 5, 50, 0);
  buckets.indexed.release(buckets.entries.end, 100);
  assert.ok(buckets.front.knows(slot, record(1)));
  assert.equal(buckets.peek(other), undefined);
  assert.ok(buckets.front.knows(other, record(11)));
  assert.equal(buckets.peek(slot), undefined);
});

test('a line is looked up as ever where more than its next record matters', () => {
  const watched = older();
  watched.buckets.openSubscription(watched.slot).consumers++;
  assert.equal(watched.buckets.front.knows(watched.slot, record(1)), false, 'somebody consumes it');
  const suspect = older(true);
  assert.equal(suspect.buckets.front.knows(suspect.slot, record(1)), false, 'a suspect is next');
  const settled = older();
  settled.buckets.outcomes.settled.add(1, 1);
  assert.equal(settled.buckets.front.knows(settled.slot, record(1)), false, 'that is settled');
  const { buckets, slot } = older();
  assert.ok(buckets.front.knows(slot, record(1)));
  buckets.openSubscription(slot).consumers++;
  assert.equal(buckets.peek(slot), undefined, 'somebody came meanwhile');
});

test('what was not counted is so from when it is taken, with its payload', () => {
  const buckets = new Buckets<unknown>(1, noOutcomes());
  buckets.countPayload();
  buckets.recovered(11, 10, true);
  const slot = buckets.open(7, 0);
  assert.deepEqual([buckets.isCounted(slot), buckets.readyOf(slot), buckets.ready], [false, 0, 10]);
  assert.ok(buckets.front.knows(slot, record(1)));
  assert.equal(buckets.readyOf(slot), 0);
  buckets.take(buckets.peek(slot)!, 2);
  assert.deepEqual([buckets.readyOf(slot), buckets.unackedOf(slot), buckets.ready], [0, 2, 8]);
  const one = buckets.payload.of(slot) / 2;
  assert.ok(one > 0);
  buckets.settle(slot, 1, 1, one);
  assert.equal(buckets.payload.of(slot), one);
  buckets.settle(slot, 2, 1, one);
  assert.equal(buckets.payload.of(slot), 0);
});
