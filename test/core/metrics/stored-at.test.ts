// When messages were stored: by samples a quarter of a second apart, coarse where they are old.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoredAt } from '../../../src/core/metrics/stored-at.ts';

test('a message is as old as the last sample at or before it', () => {
  const times = new StoredAt();
  assert.equal(times.of(1), undefined);
  times.note(10, 1000);
  times.note(20, 1249); // too soon after the last sample
  times.note(30, 1250);
  times.note(30, 2000); // nothing was stored since
  assert.deepEqual(
    [9, 10, 29, 30, 1e9].map((sequence) => times.of(sequence)),
    [undefined, 1000, 1000, 1250, 1250],
  );
});

test('however long it runs, what is new is exact and what is old is off by a known share', () => {
  const times = new StoredAt();
  const STEP = 250;
  const count = 20_000;
  for (let i = 0; i < count; i++) times.note(1 + i, i * STEP);
  for (let i = count - 2000; i < count; i++) assert.equal(times.of(1 + i), i * STEP);
  for (let i = 0; i < count; i++) {
    const known = times.of(1 + i)!;
    const age = (count - i) * STEP;
    assert.ok(known <= i * STEP, 'a message is said to be younger than it is');
    assert.ok(i * STEP - known <= age, `at ${i}: off by ${i * STEP - known} of ${age} ms`);
  }
});
