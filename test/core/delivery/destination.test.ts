// Where messages go that leave their line, by the rules of their bucket, and what is said of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  KIND_DEAD,
  KIND_LIVE,
  REASON_DELIVERIES,
  REASON_REDRIVEN,
} from '../../../assembly/layout-placed.ts';
import { BucketRules } from '../../../src/core/buckets/bucket-rules.ts';
import {
  forDead,
  forRedriven,
  HOPS_MAX,
  headOf,
  ORIGIN,
} from '../../../src/core/delivery/destination.ts';
import { NO_HEAD } from '../../../src/core/records/placed.ts';
import { rulesOf } from '../../support/world.ts';

const all = () => true;
const none = () => false;

function rules(...words: string[]): BucketRules {
  const of = new BucketRules([]);
  of.use(rulesOf(...words));
  return of;
}

const line = (low: number, high = 0, kind: number = KIND_LIVE) => ({ low, high, kind });

test('without a rule the dead stay with their bucket', () => {
  const own = { ...line(7, 1, KIND_DEAD), hops: 3, isFallback: false };
  assert.deepEqual(forDead(new BucketRules([]), line(7, 1), 3, none), own);
  assert.deepEqual(forDead(rules('7 dead_letter=9'), line(7, 1), 3, none), own);
  assert.deepEqual(forDead(rules('* dead_letter=keep'), line(7, 1), 3, none), own);
});

test('they go to the bucket that a rule names, unless it is their own, or takes none', () => {
  const target = (5n << 32n) | 9n;
  const of = rules(`* dead_letter=${target}`);
  const there = { low: 9, high: 5, kind: KIND_LIVE, hops: 1, isFallback: false };
  const asked: number[] = [];
  const takes = (low: number, high: number) => asked.push(low, high) > 0;
  assert.deepEqual(forDead(of, line(7), 0, takes), there);
  assert.deepEqual(asked, [9, 5]);
  const own = { ...line(9, 5, KIND_DEAD), hops: 1, isFallback: false };
  assert.deepEqual(forDead(of, line(9, 5), 1, none), own);
  const kept = { ...line(7, 0, KIND_DEAD), hops: 0, isFallback: true };
  assert.deepEqual(forDead(of, line(7), 0, none), kept);
  assert.equal(forDead(rules('7 dead_letter=drop'), line(7), 0, all), undefined);
});

test('from bucket to bucket they go so often and no more', () => {
  const of = rules('7 dead_letter=9');
  assert.equal(forDead(of, line(7), HOPS_MAX - 1, all)!.hops, HOPS_MAX);
  const kept = { ...line(7, 0, KIND_DEAD), hops: HOPS_MAX, isFallback: true };
  assert.deepEqual(forDead(of, line(7), HOPS_MAX, all), kept);
});

test('given back: to where they were, or where they are told to go, if that takes them', () => {
  const dead = line(7, 0, KIND_DEAD);
  const head = { ...NO_HEAD, from: 5, fromBucket: (2n << 32n) | 3n };
  const to = (low: number, high: number) => ({ ...line(low, high), hops: 0, isFallback: false });
  assert.deepEqual(forRedriven(dead, ORIGIN, head, all), to(3, 2));
  assert.deepEqual(forRedriven(dead, { low: 8, high: 1 }, head, all), to(8, 1));
  assert.deepEqual(forRedriven(dead, ORIGIN, NO_HEAD, all), to(7, 0), 'nobody knows from where');
  assert.equal(forRedriven(dead, ORIGIN, head, none), undefined);
});

test('what is said of them: from where, how often, why and when; the first time of all is kept', () => {
  const from = { ...line(7, 1), sequence: 40, attempts: 70_000 };
  const to = { ...line(9), hops: 3, isFallback: false };
  const said = { reason: REASON_DELIVERIES, publishedMs: 1000, movedMs: 2000 };
  const head = headOf(from, to, NO_HEAD, said);
  assert.deepEqual(head, {
    ...NO_HEAD,
    from: 40,
    fromBucket: (1n << 32n) | 7n,
    fromKind: KIND_LIVE,
    fromAttempts: 65_535,
    reason: REASON_DELIVERIES,
    publishedMs: 1000,
    movedMs: 2000,
    hops: 3,
  });
  const again = { reason: REASON_REDRIVEN, publishedMs: 0, movedMs: 3000 };
  const back = forRedriven(line(9, 0, KIND_DEAD), ORIGIN, head, all)!;
  const second = headOf({ ...from, ...line(9, 0, KIND_DEAD) }, back, head, again);
  assert.deepEqual([second.publishedMs, second.hops], [1000, 0]);
  assert.deepEqual([second.turn, second.level, second.dueMs], [0, 0, 0]);
});
