// When a server is taken for one that is behind for good.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Behind } from '../../../src/io/cluster/behind.ts';

test('a server that does not show for two seconds what is there is behind', () => {
  const behind = new Behind();
  behind.told(5, 10);
  assert.equal(behind.missing(7, 1000), false);
  assert.equal(behind.missing(7, 2999), false);
  assert.equal(behind.missing(7, 3000), true);
  assert.equal(behind.missing(7, 3001), false, 'another one is given its time, too');
  assert.equal(behind.missing(7, 5001), true);
});

test('one that shows something later, or what is not there, is not', () => {
  const behind = new Behind();
  assert.equal(behind.missing(1, 0), false, 'nothing was told');
  behind.told(5, 10);
  for (const nowMs of [0, 5000]) {
    assert.equal(behind.missing(4, nowMs), false, 'it was purged');
    assert.equal(behind.missing(11, nowMs), false, 'it is not stored yet');
  }
  for (const sequence of [5, 6, 7]) assert.equal(behind.missing(sequence, sequence * 1900), false);
});
