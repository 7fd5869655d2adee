// Links of slots: who rests is in no ring, and does not come into one; memory is there for those
// pages only that have somebody in a ring. source-ring.test goes round.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlotLinks } from '../../../src/core/buckets/slot-links.ts';

test('who rests stays out until that is over', () => {
  const links = new SlotLinks();
  assert.deepEqual([links.has(7), links.rests(7)], [false, false]);
  links.insert(7, 0);
  links.insert(8, 7);
  assert.deepEqual([links.next(7), links.next(8)], [8, 7]);
  links.remove(7);
  assert.equal(links.next(8), 8);
  links.rest(7, true);
  assert.deepEqual([links.has(7), links.rests(7)], [true, true]);
  assert.throws(() => links.insert(7, 8), /joined a ring while/);
  assert.throws(() => links.remove(7), /left a ring that it was not in/);
  links.rest(7, false);
  links.insert(7, 8);
  assert.equal(links.next(7), 8);
  links.clear();
  assert.deepEqual([links.has(7), links.has(8), links.bytes], [false, false, 0]);
});

test('a page of slots costs 8 bytes a slot, once one of them is in a ring', () => {
  const links = new SlotLinks();
  links.insert(1, 0);
  links.insert(4095, 1);
  assert.equal(links.bytes, 4096 * 8);
  links.insert(1_000_000, 1);
  assert.equal(links.bytes, 2 * 4096 * 8);
  assert.equal(links.next(1_000_000), 1);
});
