// Marks that a compaction goes through: what is left of them, and in how many records.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MARK_BYTES,
  RECORD_DEFERRED,
  RECORD_PRODUCERS,
  RECORD_RETURNED,
  RECORD_SETTLED,
} from '../../../assembly/layout.ts';
import { DEFERRAL_BYTES, PRODUCER_BYTES } from '../../../assembly/layout-placed.ts';
import { marksIn } from '../../../src/core/records/marks.ts';
import { type Deferral, deferralsIn, writeDeferral } from '../../../src/core/records/placed.ts';
import { FoldedMarks } from '../../../src/log/compaction/folded-marks.ts';
import { writeMark } from '../../../src/log/compaction/pieces.ts';

type Mark = [sequence: number, count: number, attempts?: number];

const INTO = new Uint8Array(1024);

function add(folded: FoldedMarks, type: number, ...marks: Mark[]): void {
  const bytes = new Uint8Array(8 + marks.length * MARK_BYTES);
  const view = new DataView(bytes.buffer, 8);
  for (const [i, mark] of marks.entries()) writeMark(view, i, mark);
  folded.add(type, bytes, 8, marks.length);
}

function addDeferral(folded: FoldedMarks, deferral: Partial<Deferral>): void {
  const bytes = new Uint8Array(DEFERRAL_BYTES);
  const all = { sequence: 1, count: 1, turn: 1, dueMs: 1, bucket: 1n, attempts: 0 };
  writeDeferral(new DataView(bytes.buffer), 0, {
    ...all,
    kind: 0,
    level: 0,
    cause: 0,
    ...deferral,
  });
  folded.add(RECORD_DEFERRED, bytes, 0, 1);
}

/** Type of each record and its marks: sequence, count, and attempts or turn. */
function left(folded: FoldedMarks, into = INTO): [type: number, ...marks: number[][]][] {
  const found: [type: number, ...marks: number[][]][] = [];
  for (const { type, count, bytes } of folded.records(into)) {
    assert.ok(bytes <= into.length);
    if (type === RECORD_DEFERRED) {
      assert.equal(bytes, count * DEFERRAL_BYTES);
      const deferrals = deferralsIn(into, 0, count);
      found.push([type, ...deferrals.map((one) => [one.sequence, one.count, one.turn])]);
    } else if (type === RECORD_PRODUCERS) {
      found.push([type, ...Array.from({ length: count }, (_, i) => [into[i * PRODUCER_BYTES]!])]);
    } else {
      assert.equal(bytes, count * MARK_BYTES);
      const marks = marksIn(into, 0, count);
      found.push([type, ...[...marks].map((one) => [one.sequence, one.count, one.attempts])]);
    }
  }
  return found;
}

test('neighbours are joined, what is too old or within the segments is left out', () => {
  const folded = new FoldedMarks({ oldestNeeded: 10 });
  add(folded, RECORD_SETTLED, [8, 4], [12, 2], [30, 1]);
  add(folded, RECORD_RETURNED, [5, 9, 3], [20, 2, 1], [21, 1, 4]);
  folded.first = 50;
  add(folded, RECORD_SETTLED, [49, 5]);
  add(folded, RECORD_RETURNED, [48, 9, 7]);
  assert.deepEqual(left(folded), [
    [RECORD_SETTLED, [10, 4, 0], [30, 1, 0], [49, 1, 0]],
    [RECORD_RETURNED, [20, 1, 1], [21, 1, 4], [48, 1, 7]],
  ]);
});

test('a deferral goes for what was read, or for a message of these segments that is not kept', () => {
  const folded = new FoldedMarks({ oldestNeeded: 2 });
  folded.first = 10;
  addDeferral(folded, { sequence: 1, count: 9, turn: 1 });
  addDeferral(folded, { sequence: 6, count: 2, turn: 2 });
  addDeferral(folded, { sequence: 12, turn: 2 });
  folded.settle(3, 1);
  assert.deepEqual(left(folded), [
    [RECORD_SETTLED, [3, 1, 0]],
    [RECORD_DEFERRED, [2, 1, 1], [4, 2, 1], [8, 2, 1], [6, 2, 2]],
  ]);
  const kept = new FoldedMarks({ oldestNeeded: 2 });
  kept.first = 10;
  kept.keep({ sequence: 12, count: 1, bucketLow: 1, bucketHigh: 0 }, 0, 0);
  addDeferral(kept, { sequence: 11, count: 3 });
  assert.deepEqual(left(kept), [[RECORD_DEFERRED, [12, 1, 1]]]);
});

test('records are as long as there is room for, each laid out when it is asked for', () => {
  const folded = new FoldedMarks({ oldestNeeded: 0 });
  folded.first = 1000;
  for (let i = 0; i < 5; i++) add(folded, RECORD_SETTLED, [10 * i + 1, 1]);
  for (const id of [1, 2])
    folded.add(RECORD_PRODUCERS, new Uint8Array(PRODUCER_BYTES).fill(id), 0, 1);
  assert.deepEqual(left(folded, new Uint8Array(3 * MARK_BYTES)), [
    [RECORD_SETTLED, [1, 1, 0], [11, 1, 0], [21, 1, 0]],
    [RECORD_SETTLED, [31, 1, 0], [41, 1, 0]],
    [RECORD_PRODUCERS, [1]],
    [RECORD_PRODUCERS, [2]],
  ]);
});
