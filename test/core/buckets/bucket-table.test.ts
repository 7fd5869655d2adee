// Columns of buckets against a Map: slots, what a new one begins with, and memory given back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BugError } from '../../../src/core/assert.ts';
import {
  BucketTable,
  countsAt,
  FLAGS,
  HEAD,
  HIGH,
  LOW,
  NEXT,
  numbersAt,
  PUBLISHED,
  RATED_MS,
  READY,
  SETTLED,
  TAIL,
  TAKEN,
  UNACKED,
  USED,
  wordsAt,
} from '../../../src/core/buckets/bucket-table.ts';
import { BucketRates } from '../../../src/core/buckets/rates.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/buckets/bucket-table.test');
const PAGE = 4096;

// All that stands in a slot.
function fieldsOf(columns: BucketTable, slot: number): number[] {
  const { numbers, words, floats, counts } = columns.page(slot);
  return [
    ...[LOW, HIGH, TAKEN, FLAGS].map((field) => words[wordsAt(slot) + field]!),
    ...[HEAD, TAIL, NEXT, RATED_MS].map((field) => numbers[numbersAt(slot) + field]!),
    ...[PUBLISHED, SETTLED].map((field) => floats[wordsAt(slot) + field]!),
    ...[READY, UNACKED].map((field) => counts[countsAt(slot) + field]!),
  ];
}

function fill(columns: BucketTable, slot: number, by: number): number[] {
  const { numbers, words, floats, counts } = columns.page(slot);
  words[wordsAt(slot) + TAKEN] = by + 1;
  for (const field of [HEAD, TAIL, NEXT, RATED_MS]) numbers[numbersAt(slot) + field] = by + field;
  for (const field of [PUBLISHED, SETTLED]) floats[wordsAt(slot) + field] = field;
  for (const field of [READY, UNACKED]) counts[countsAt(slot) + field] = by - field;
  return fieldsOf(columns, slot);
}

test('each slot keeps its fields while others come and go, and a new one has none', () => {
  const random = new Random(seed);
  const columns = new BucketTable();
  const model = new Map<number, number[]>();
  for (const size of [20_000, 3000, 9000, 0, 5000, 4000]) {
    while (model.size !== size) {
      if (model.size < size === random.chance(0.8)) {
        const [low, high, flags] = [random.next(), random.next(), random.below(4)];
        const slot = columns.open(low, high, flags, 7);
        assert.ok(slot > 0 && !model.has(slot), 'a slot was given twice');
        assert.deepEqual(fieldsOf(columns, slot), [
          low,
          high,
          0,
          flags | USED,
          0,
          0,
          0,
          7,
          0,
          0,
          0,
          0,
        ]);
        model.set(slot, fill(columns, slot, random.next()));
      } else if (model.size > 0) {
        const slot = [...model.keys()][random.below(Math.min(model.size, 50))]!;
        assert.deepEqual(fieldsOf(columns, slot), model.get(slot));
        columns.close(slot);
        model.delete(slot);
        assert.equal(columns.isUsed(slot), false);
      }
    }
    for (const [slot, fields] of model) assert.deepEqual(fieldsOf(columns, slot), fields);
    const walked: number[] = [];
    for (let slot = 1; slot < columns.end; slot = columns.behind(slot))
      if (columns.isUsed(slot)) walked.push(slot);
    const slots = [...model.keys()].sort((a, b) => a - b);
    assert.deepEqual(walked, slots);
    const counted: number[] = [];
    columns.eachCount((slot, ready, unacked) => {
      assert.deepEqual([ready, unacked], model.get(slot)?.slice(-2) ?? [0, 0]);
      if (ready !== 0 || unacked !== 0) counted.push(slot);
    });
    assert.deepEqual(counted, slots);
  }
});

test('memory follows the number of buckets, down as well', () => {
  const random = new Random(seed + 1);
  const columns = new BucketTable();
  const least = columns.bytes;
  const slots: number[] = [];
  const grow = (size: number) => {
    while (slots.length < size) slots.push(columns.open(random.next(), 0, 0, 0));
  };
  grow(30 * PAGE);
  assert.ok(columns.bytes < 32 * least);
  const few = slots.splice(0, 5);
  for (const slot of slots.splice(0)) columns.close(slot);
  assert.ok(columns.bytes <= 3 * least, `${columns.bytes} bytes for ${few.length} buckets`);
  assert.ok(few.every((slot) => columns.isUsed(slot)));
  // What is there is filled up before there is more.
  grow(PAGE - 100);
  assert.ok(columns.bytes <= 3 * least);
  grow(30 * PAGE);
  assert.ok(columns.bytes < 32 * least);
  assert.ok(columns.end <= 31 * PAGE, 'slots are not dense');
  for (const slot of [...slots, ...few]) columns.close(slot);
  assert.ok(columns.bytes <= 2 * least);
  assert.equal(columns.open(1, 1, 0, 0), 1);
});

test('a bucket that comes and goes alone does not bring a page with it each time', () => {
  const columns = new BucketTable();
  for (let i = 1; i < PAGE; i++) columns.open(i, 0, 0, 0);
  const slot = columns.open(0, 0, 0, 0);
  const page = columns.page(slot);
  for (let i = 0; i < 10; i++) {
    columns.close(slot);
    assert.equal(columns.open(0, 0, 0, 0), slot);
    assert.equal(columns.page(slot), page);
  }
});

test('a slot is given back once', () => {
  const columns = new BucketTable();
  columns.open(1, 1, 0, 0);
  columns.open(2, 1, 0, 0);
  columns.close(2);
  for (const slot of [0, 2, 3, 5 * PAGE]) {
    assert.equal(columns.isUsed(slot), false);
    assert.throws(() => columns.close(slot), BugError);
  }
});

test('rates of many slots fade each by itself, and can begin anew', () => {
  const random = new Random(seed + 2);
  const columns = new BucketTable();
  const rates = new BucketRates(columns);
  const slots = Array.from({ length: 3 * PAGE }, (_, i) => columns.open(i, 0, 0, 0));
  const model = new Map<number, { published: number; settled: number }>();
  const near = (a: number, b: number) => Math.abs(a - b) <= 1e-5 * Math.max(1, b);
  for (let step = 0; step < 5000; step++) {
    rates.nowMs += random.below(3);
    const slot = slots[random.below(slots.length)]!;
    const events = model.get(slot) ?? { published: 0, settled: 0 };
    // Each message weighs as much as is left of it now, kept as if counted at time 0.
    const weight = 10 * Math.exp(rates.nowMs / 5000);
    const isSettled = random.chance(0.4);
    if (isSettled) rates.settled(columns.page(slot), slot, 10);
    else rates.published(columns.page(slot), slot, 10);
    events[isSettled ? 'settled' : 'published'] += weight;
    model.set(slot, events);
  }
  const left = (weight: number) => (weight * Math.exp(-rates.nowMs / 5000)) / 5;
  for (const slot of slots) {
    const { published, settled } = model.get(slot) ?? { published: 0, settled: 0 };
    assert.ok(near(rates.publishedOf(slot), left(published)));
    assert.ok(near(rates.settledOf(slot), left(settled)));
  }
  rates.clear();
  for (const slot of slots) assert.equal(rates.publishedOf(slot) + rates.settledOf(slot), 0);
});
