// Where the record of a part is found: in the ring, in what was read back, or after a load.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_HEADER_BYTES } from '../../../assembly/layout.ts';
import { emptySlice } from '../../../src/core/buckets/slice.ts';
import { MovedRecords } from '../../../src/core/delivery/moved-records.ts';
import type { Failure } from '../../../src/core/ports/basics.ts';

test('the ring is asked first, then what was read back; one load at a time', () => {
  // What stands before 10 is of an earlier segment: it may be written over.
  const ring = new Map([
    [5, 0],
    [10, 1],
  ]);
  const cold = new Map([
    [5, 4],
    [10, 2],
    [20, 3],
  ]);
  const loads: [number, number, (failure: Failure) => void][] = [];
  const ended: [number, string | undefined][] = [];
  const bytes = RECORD_HEADER_BYTES + 5;
  const records = new MovedRecords(
    {
      commit: { hot: (position) => ring.get(position) ?? -1, endPosition: 60 },
      codec: { writeAt: () => 50 },
    },
    {
      resident: (position, recordBytes) => {
        assert.equal(recordBytes, bytes);
        return cold.get(position) ?? -1;
      },
      load: (...load) => void loads.push(load),
    },
    (position, failure) => {
      assert.equal(records.isLoading, false, 'another one may be asked for');
      ended.push([position, failure?.message]);
    },
  );
  const placeOf = (position: number) =>
    records.placeOf({ ...emptySlice(), position, bodyBytes: 5 });
  assert.deepEqual([placeOf(10), placeOf(20), placeOf(5)], [1, 3, 4]);
  assert.equal(records.isLoading, false);
  assert.equal(placeOf(30), -1);
  assert.equal(records.isLoading, true);
  assert.deepEqual(loads[0]!.slice(0, 2), [30, bytes]);
  loads[0]![2](undefined);
  assert.equal(placeOf(40), -1);
  loads[1]![2](new Error('torn'));
  assert.deepEqual(ended, [
    [30, undefined],
    [40, 'torn'],
  ]);
});
