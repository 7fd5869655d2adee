// What is believed only if it is said again and again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Repeated } from '../../../src/core/cluster/repeated.ts';

test('it is believed when it was said for half a minute, and at least three times', () => {
  const often = new Repeated();
  for (let ms = 0; ms < 30_000; ms += 1000) assert.equal(often.said(ms), false, `after ${ms} ms`);
  assert.equal(often.said(30_000), true);
  const seldom = new Repeated();
  assert.deepEqual(
    [0, 40_000, 80_000].map((ms) => seldom.said(ms)),
    [false, false, true],
  );
});

test('one other answer, and it begins anew', () => {
  const said = new Repeated();
  for (let ms = 0; ms < 30_000; ms += 1000) said.said(ms);
  assert.equal(said.isSaid, true);
  said.unsaid();
  assert.equal(said.isSaid, false);
  for (let ms = 30_000; ms < 60_000; ms += 1000) assert.equal(said.said(ms), false);
  assert.equal(said.said(60_000), true);
});
