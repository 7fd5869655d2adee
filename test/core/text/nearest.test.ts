// "Did you mean".

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from '../../../src/core/text/nearest.ts';

const NAMES = ['data_dir', 'intake_port', 'exhaust_port', 'sync'];

test('typing errors find their name', () => {
  assert.equal(nearestName('data-dir', NAMES), 'data_dir');
  assert.equal(nearestName('datadir', NAMES), 'data_dir');
  assert.equal(nearestName('intake_prot', NAMES), 'intake_port');
  assert.equal(nearestName('SYNK', NAMES), 'sync');
});

test('what is like nothing finds nothing', () => {
  assert.equal(nearestName('color', NAMES), undefined);
  assert.equal(nearestName('x'.repeat(100_000), NAMES), undefined);
});
