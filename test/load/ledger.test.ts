// What the ledger calls a loss, a duplicate, disorder: each alone, and a clean run as none of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger, type Verdict } from '../../src/load/ledger.ts';

const CLEAN: Verdict = {
  ok: true,
  lost: 0,
  duplicates: 0,
  disordered: 0,
  damaged: 0,
  unexpected: 0,
  foreign: 0,
};

test('stored and delivered in order, in either sequence of events', () => {
  const ledger = new Ledger(2);
  for (let sequence = 0; sequence < 5000; sequence++) {
    ledger.stored(1, sequence);
    ledger.delivered(1, sequence, sequence - 1);
    ledger.delivered(0, sequence, sequence - 1); // the ack may be read after the delivery
    ledger.stored(0, sequence);
  }
  assert.equal(ledger.waiting, 0);
  assert.deepEqual(ledger.verdict(), CLEAN);
});

test('a loss', () => {
  const ledger = new Ledger(1);
  ledger.stored(0, 0);
  ledger.stored(0, 1);
  ledger.delivered(0, 1, -1);
  assert.equal(ledger.waiting, 1);
  assert.deepEqual(ledger.verdict(), { ...CLEAN, ok: false, lost: 1 });
});

test('a duplicate is no disorder as well', () => {
  const ledger = new Ledger(1);
  for (const sequence of [0, 1]) ledger.stored(0, sequence);
  ledger.delivered(0, 0, -1);
  ledger.delivered(0, 1, 0);
  ledger.delivered(0, 0, 1);
  assert.deepEqual(ledger.verdict(), { ...CLEAN, ok: false, duplicates: 1 });
});

test('disorder', () => {
  const ledger = new Ledger(1);
  for (const sequence of [0, 1]) ledger.stored(0, sequence);
  ledger.delivered(0, 1, -1);
  ledger.delivered(0, 0, 1);
  assert.deepEqual(ledger.verdict(), { ...CLEAN, ok: false, disordered: 1 });
});

test('delivered though refused', () => {
  const ledger = new Ledger(1);
  ledger.delivered(0, 3, -1);
  assert.deepEqual(ledger.verdict(), { ...CLEAN, ok: false, unexpected: 1 });
});

test('a sequence that no run reaches is damage, and costs no memory', () => {
  const ledger = new Ledger(1);
  ledger.delivered(0, 2 ** 32 - 1, -1);
  assert.deepEqual(ledger.verdict(), { ...CLEAN, ok: false, damaged: 1 });
});

test('messages of others are counted and are no fault', () => {
  const ledger = new Ledger(1);
  ledger.foreign += 3;
  assert.deepEqual(ledger.verdict(), { ...CLEAN, foreign: 3 });
});
