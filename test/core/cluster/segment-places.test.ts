// Up to which number the stream can be purged: never beyond what the log still needs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SegmentPlaces } from '../../../src/core/cluster/segment-places.ts';

const batch = (position: number, sequence: number) => ({
  position,
  sequence,
  bytes: new Uint8Array(0),
  epoch: 1,
  place: { sequence, epoch: 1, end: position, serial: 0 },
});

test('the first batch of each segment is remembered, and the stream goes up to it', () => {
  const places = new SegmentPlaces([{ position: 100, sequence: 7 }]);
  places.add(batch(500, 9), true);
  places.add(batch(1100, 12), false);
  places.add(batch(1200, 14), true);
  places.add(batch(2100, 20), false);
  assert.deepEqual(places.all, [
    { position: 100, sequence: 7 },
    { position: 1100, sequence: 12 },
    { position: 2100, sequence: 20 },
  ]);
  assert.equal(places.numberOf(50), undefined);
  assert.equal(places.numberOf(100), 7);
  assert.equal(places.numberOf(1100), 12);
  assert.equal(places.all.length, 2);
});

test('where a segment is not known, one before it is taken', () => {
  const places = new SegmentPlaces([
    { position: 100, sequence: 7 },
    { position: 3100, sequence: 30 },
  ]);
  assert.equal(places.numberOf(2100), 7);
});
