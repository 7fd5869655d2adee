// Deferrals on their way into a record: neighbours that are deferred alike are one, in their order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MARK_BYTES, RECORD_DEFERRED } from '../../../assembly/layout.ts';
import { DEFERRAL_BYTES } from '../../../assembly/layout-placed.ts';
import { Batch } from '../../../src/core/commit/batch.ts';
import { WaitingDeferrals } from '../../../src/core/commit/waiting-deferrals.ts';
import { type Deferral, deferralsIn } from '../../../src/core/records/placed.ts';

const FIRST: Deferral = {
  sequence: 10,
  count: 2,
  turn: 1,
  dueMs: 5,
  bucket: 1n,
  attempts: 1,
  kind: 0,
  level: 0,
  cause: 1,
};

/** What one batch takes with the room of so many marks, as the bytes of its record say. */
function pack(waiting: WaitingDeferrals, marks: number): Deferral[] {
  const area = new Uint8Array(4096);
  const batch = new Batch();
  let packed = 0;
  const packMarks = (type: number, count: number) => {
    assert.equal(type, RECORD_DEFERRED);
    packed = count;
  };
  waiting.pack(batch, { marks: new DataView(area.buffer), packMarks }, marks);
  assert.equal(batch.records, packed > 0 ? 1 : 0);
  assert.deepEqual(batch.deferred, deferralsIn(area, 0, packed));
  return [...batch.deferred];
}

test('only those behind each other that say the same are one', () => {
  const next: Deferral = { ...FIRST, sequence: 12, count: 1 };
  const others: Partial<Deferral>[] = [
    { sequence: 13 },
    { turn: 2 },
    { dueMs: 6 },
    { bucket: 2n },
    { attempts: 2 },
    { kind: 1 },
    { level: 1 },
    { cause: 2 },
  ];
  for (const other of [{}, ...others]) {
    const waiting = new WaitingDeferrals();
    const given = { ...FIRST };
    waiting.add(given);
    waiting.add({ ...next, ...other });
    const same = Object.keys(other).length === 0;
    const expected = same ? [{ ...FIRST, count: 3 }] : [FIRST, { ...next, ...other }];
    assert.deepEqual(pack(waiting, 100), expected, JSON.stringify(Object.keys(other)));
    assert.deepEqual(given, FIRST, 'what was handed in stays as it is');
  }
});

test('what does not fit stays, in its order', () => {
  const waiting = new WaitingDeferrals();
  const all = [1, 3, 5].map((sequence) => ({ ...FIRST, sequence, count: 1 }));
  for (const deferral of all) waiting.add(deferral);
  const two = Math.ceil((2 * DEFERRAL_BYTES) / MARK_BYTES);
  assert.deepEqual(pack(waiting, 2), [], 'two marks are too small for one of them');
  assert.deepEqual(pack(waiting, two), all.slice(0, 2));
  assert.equal(waiting.count, 1);
  assert.deepEqual(pack(waiting, two), all.slice(2));
  assert.equal(waiting.count, 0);
});
