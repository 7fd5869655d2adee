// What waits over all lines, by kind, as it is known after a start.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIND_SETTINGS } from '../../../assembly/layout-placed.ts';
import { Totals } from '../../../src/core/buckets/totals.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';

test('what is dead or a setting, and not settled, is no backlog', () => {
  const outcomes = noOutcomes();
  outcomes.dead.add(10, 5);
  outcomes.dead.add(100_000, 3);
  outcomes.settings.add(20, 2);
  outcomes.settled.add(1, 11);
  // One that waits for a time is not ready; one of these is settled.
  outcomes.waiting.add(10, 3);
  outcomes.settled.add(21, 1);
  outcomes.settled.add(100_002, 9);
  const totals = new Totals();
  totals.recovered(50, outcomes, 100_020);
  // Of dead ones 13, 14, 100,000 and 100,001; of settings 20.
  assert.equal(totals.dead.ready, 4);
  assert.equal(totals.of[KIND_SETTINGS]!.ready, 1);
  assert.equal(totals.live.ready, 45);
  assert.deepEqual(
    totals.of.map(({ unacked }) => unacked),
    [0, 0, 0],
  );
});
