// Marks that no batch holds yet: as many as fit are packed, deferrals only where they may stand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_DEFERRED, RECORD_RETURNED, RECORD_SETTLED } from '../../../assembly/layout.ts';
import { Batch } from '../../../src/core/commit/batch.ts';
import type { CommitOptions } from '../../../src/core/commit/options.ts';
import { UnwrittenMarks } from '../../../src/core/commit/unwritten-marks.ts';
import type { Deferral } from '../../../src/core/records/placed.ts';

const DEFERRAL: Deferral = {
  sequence: 9,
  count: 1,
  turn: 1,
  dueMs: 5,
  bucket: 1n,
  attempts: 1,
  kind: 0,
  level: 0,
  cause: 0,
};

function setUp() {
  const packed: [type: number, count: number][] = [];
  const codec = {
    marks: new DataView(new ArrayBuffer(4096)),
    packMarks: (type: number, count: number) => void packed.push([type, count]),
  } as unknown as CommitOptions['codec'];
  const segment = {
    places: false,
    room: 100,
    raised: 0,
    entries: 0,
    ending: false,
    markRoom: () => segment.room,
    deferralRoom: () => segment.room,
    raise: () => void segment.raised++,
  };
  return { marks: new UnwrittenMarks({ codec, marksMax: 100 }, segment), segment, packed };
}

test('as many of each sort as fit, the rest in the next batch', () => {
  const { marks, segment, packed } = setUp();
  for (const sequence of [1, 3, 5]) marks.settled.add(sequence, 1, 0);
  marks.requeued.add(7, 1, 2);
  assert.equal(marks.ready, 4);
  const batch = new Batch();
  segment.room = 2;
  assert.equal(marks.pack(batch), true, 'all that came back went');
  assert.deepEqual(packed.splice(0), [
    [RECORD_SETTLED, 2],
    [RECORD_RETURNED, 1],
  ]);
  assert.equal(batch.records, 2);
  assert.ok(batch.settledMarks < marks.settled.end, 'not all that is settled is in it');
  segment.room = 0;
  assert.equal(marks.pack(batch), false);
  segment.room = 2;
  assert.equal(marks.pack(batch), true);
  assert.deepEqual(packed, [[RECORD_SETTLED, 1]]);
  assert.equal(batch.settledMarks, marks.settled.end);
  assert.equal(marks.count, 0);
  assert.equal(marks.pack(batch), false, 'there was nothing');
});

test('deferrals wait for a segment that may hold them, and ask for it', () => {
  const { marks, segment, packed } = setUp();
  marks.defer(DEFERRAL);
  assert.equal(segment.raised, 1);
  assert.deepEqual([marks.count, marks.ready], [1, 0]);
  const batch = new Batch();
  assert.equal(marks.pack(batch), false);
  assert.deepEqual([packed, batch.deferred], [[], []]);
  segment.places = true;
  assert.equal(marks.ready, 1);
  marks.defer({ ...DEFERRAL, sequence: 20 });
  assert.equal(segment.raised, 1);
  assert.equal(marks.pack(batch), true);
  assert.deepEqual(packed, [[RECORD_DEFERRED, 2]]);
  assert.deepEqual(
    batch.deferred.map(({ sequence }) => sequence),
    [9, 20],
  );
  assert.equal(batch.records, 1);
  assert.equal(marks.count, 0);
});
