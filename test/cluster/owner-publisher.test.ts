// What an owner makes of its journal's word that nothing before a segment is needed any more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import { OwnerPublisher } from '../../src/cluster/owner-publisher.ts';
import { SegmentPlaces } from '../../src/core/cluster/segment-places.ts';
import { Histogram } from '../../src/core/metrics/histogram.ts';

test('the stream goes up to the first batch of the segment that is needed', () => {
  const places = new SegmentPlaces([
    { position: SEGMENT_DATA_AT, sequence: 1 },
    { position: 100_000 + SEGMENT_DATA_AT, sequence: 9 },
    { position: 200_000 + SEGMENT_DATA_AT, sequence: 20 },
  ]);
  const purged: (number | undefined)[] = [];
  const publisher = new OwnerPublisher({
    ownership: {
      publish: () => {},
      trimmed: (position) => void purged.push(places.numberOf(position)),
      isFull: false,
    },
    blocked: () => undefined,
    times: new Histogram(),
    nowMs: () => 0,
  });
  for (const base of [0, 100_000, 200_000]) publisher.trimmed(base);
  assert.deepEqual(purged, [1, 9, 20]);
});
