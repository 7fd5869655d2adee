// When messages were stored: never too early, late by a small share of their age, in bounded
// memory, over any number of messages and whatever the clock does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type StoringRow, StoringTimes } from '../../../src/core/segments/storing-times.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/segments/storing-times.test');
const DAY_MS = 86_400_000;
const rowsOf = (times: StoringTimes, end = Number.POSITIVE_INFINITY): StoringRow[] => [
  ...times.rows(end),
];

test('a message was stored with the batch that it came with, or a quarter of a second later', () => {
  const times = new StoringTimes();
  assert.equal(times.of(1), Number.POSITIVE_INFINITY);
  times.note(11, 1000);
  times.note(21, 1100);
  times.note(31, 1249);
  times.note(41, 1250);
  times.note(41, 9000); // a batch without messages
  assert.deepEqual(
    [1, 10, 11, 30].map((each) => times.of(each)),
    [1249, 1249, 1249, 1249],
  );
  assert.deepEqual(
    [31, 40].map((each) => times.of(each)),
    [1250, 1250],
  );
  assert.equal(times.of(41), Number.POSITIVE_INFINITY, 'it is newer than all that is known');
});

test('the clock may go back: what came then is of then', () => {
  const times = new StoringTimes();
  times.note(11, 5 * DAY_MS);
  times.note(21, 4 * DAY_MS);
  times.note(31, 6 * DAY_MS);
  assert.deepEqual(
    [times.earliest(1, 31), times.earliest(1, 11), times.earliest(21, 99), times.earliest(31, 99)],
    [4 * DAY_MS, 5 * DAY_MS, 6 * DAY_MS, Number.POSITIVE_INFINITY],
  );
  assert.deepEqual(
    [1, 11, 21].map((each) => times.of(each) / DAY_MS),
    [5, 4, 6],
  );
});

test('rows say the same elsewhere, of messages before an end', () => {
  const times = new StoringTimes();
  for (let i = 1; i <= 20; i++) times.note(i * 10, i * 1000);
  const other = new StoringTimes();
  for (const row of times.rows(105)) other.restore(row);
  for (let each = 1; each < 105; each++) assert.equal(other.of(each), times.of(each));
  assert.equal(other.of(105), Number.POSITIVE_INFINITY);
  // A start reads some of it again, and what is behind it.
  other.note(100, 77);
  other.note(120, 12_500);
  assert.deepEqual([other.of(99), other.of(110)], [10_000, 12_500]);
});

test('ten years of batches: late by less than a hundredth of the age, in bounded memory', () => {
  const random = new Random(seed);
  const times = new StoringTimes();
  const stored: number[] = [];
  let ms = 0;
  for (let batch = 1; batch <= 300_000; batch++) {
    // Days of silence, and seconds with many batches.
    ms += random.chance(0.01) ? random.below(2 * DAY_MS) : random.below(900);
    stored.push(ms);
    times.note(batch + 1, ms);
  }
  assert.ok(rowsOf(times).length <= 8192, `${rowsOf(times).length} rows`);
  for (const [i, at] of stored.entries()) {
    const late = times.of(i + 1) - at;
    assert.ok(late >= 0, `${i + 1} was stored at ${at}, ${-late} ms later than it says`);
    assert.ok(late <= Math.max(250, (ms - at) / 100), `${i + 1}: ${late} ms late at ${ms - at}`);
  }
});

test('a clock that is set again and again: never too early, in bounded memory', () => {
  const random = new Random(seed + 1);
  const times = new StoringTimes();
  const stored: number[] = [];
  for (let batch = 1; batch <= 50_000; batch++) {
    const ms = random.below(1000) * DAY_MS;
    stored.push(ms);
    times.note(batch + 1, ms);
    if (batch % 1000 === 0) assert.ok(rowsOf(times).length <= 8192);
  }
  for (const [i, at] of stored.entries()) assert.ok(times.of(i + 1) >= at);
});
