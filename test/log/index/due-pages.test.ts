// Pages in memory: what was put in is found until it has to go, and bounds hold.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DUE_PAGE_BYTES } from '../../../src/log/index/due-file.ts';
import { DuePages } from '../../../src/log/index/due-pages.ts';
import { Random, seedOf } from '../../support/random.ts';

const random = new Random(seedOf('log/index/due-pages.test'));
const CAPACITY = 100;

function bytesOf(serial: number, page: number): Uint8Array {
  const bytes = new Uint8Array(DUE_PAGE_BYTES);
  new DataView(bytes.buffer).setUint32(0, serial * 1000 + page, true);
  return bytes;
}

function assertHolds(pages: DuePages, serial: number, page: number): boolean {
  const slot = pages.find(serial, page);
  if (slot < 0) return false;
  assert.ok(pages.holds(slot, serial, page));
  assert.equal(pages.view(slot).getUint32(pages.offset(slot), true), serial * 1000 + page);
  return true;
}

test('a page is what was put in, and the last ones are there', () => {
  const pages = new DuePages(CAPACITY * DUE_PAGE_BYTES);
  let last: [number, number][] = [];
  let early = 0;
  for (let i = 0; i < 20_000; i++) {
    const [serial, page] = [1 + random.below(9), random.below(200)];
    if (!assertHolds(pages, serial, page)) pages.put(serial, page, bytesOf(serial, page));
    last.push([serial, page]);
    if (last.length > CAPACITY / 4) last.shift();
    if (random.chance(0.002)) {
      const gone = 1 + random.below(9);
      pages.forget(gone);
      for (let each = 0; each < 200; each++) assert.equal(pages.find(gone, each), -1);
      last.splice(0);
    }
    // Where all were asked for since the hand came by, the one that it stands at goes.
    const there = last.filter(([one, at]) => assertHolds(pages, one, at));
    assert.deepEqual(there.at(-1), last.at(-1), 'the newest is not there');
    early += last.length - there.length;
    last = there;
    assert.ok(pages.size <= CAPACITY);
  }
  assert.ok(early < 10, `${early} of 20,000 went too early`);
  assert.equal(pages.bytes, 2 * 64 * DUE_PAGE_BYTES);
});

test('pages of a file that is gone are the first to go', () => {
  const pages = new DuePages(CAPACITY * DUE_PAGE_BYTES);
  for (let page = 0; page < CAPACITY; page++) pages.put(1 + (page % 2), page, bytesOf(1, page));
  const slot = pages.find(1, 0);
  pages.forget(1);
  assert.equal(pages.holds(slot, 1, 0), false);
  assert.equal(pages.size, CAPACITY / 2);
  for (let page = 0; page < CAPACITY / 2; page++) pages.put(3, page, bytesOf(3, page));
  assert.equal(pages.size, CAPACITY);
  for (let page = 1; page < CAPACITY; page += 2) assert.ok(pages.find(2, page) >= 0);
});
