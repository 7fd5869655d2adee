// How long a message may take: some time, and a second for each 64 KiB of it that was announced.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PartialDeadline } from '../../../src/core/connections/partial-deadline.ts';

test('late only when more than the time is over', () => {
  const deadline = new PartialDeadline(30_000);
  assert.equal(deadline.dueMs, Number.POSITIVE_INFINITY);
  assert.equal(deadline.advance(1000, 0), false);
  assert.equal(deadline.dueMs, 31_001);
  assert.equal(deadline.advance(31_000, 0), false);
  assert.equal(deadline.advance(31_001, 0), true);
  assert.match(deadline.text, /not finished within 30000 ms/);
});

test('what was announced gives time, and coming closer to the end takes none away', () => {
  const deadline = new PartialDeadline(1000);
  deadline.advance(0, 0);
  deadline.advance(500, 10 * 65_536);
  assert.equal(deadline.dueMs, 11_001);
  assert.equal(deadline.advance(11_000, 10), false);
  assert.equal(deadline.advance(11_001, 10), true);
});

test('stopped, its time stands still; the next message begins anew', () => {
  const deadline = new PartialDeadline(1000);
  deadline.advance(0, 65_536);
  deadline.stop();
  assert.equal(deadline.dueMs, Number.POSITIVE_INFINITY);
  assert.equal(deadline.advance(5000, 0), false);
  assert.equal(deadline.dueMs, 6001);
});
