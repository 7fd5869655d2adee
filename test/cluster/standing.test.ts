// A node remembers a place in the stream only when all before it is on its own disk.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Standing } from '../../src/cluster/standing.ts';

const place = (sequence: number, end: number) => ({ sequence, epoch: 1, end, serial: 0 });
const segments = [
  { position: 4096, sequence: 1 },
  { position: 8192, sequence: 5 },
];

test('an owner publishes ahead of its disk: a place is taken when the disk has come to it', () => {
  const standing = new Standing(undefined, []);
  standing.note({ place: place(3, 5000), segments }, 4500);
  assert.equal(standing.place, undefined, 'not on this disk');
  standing.note({ place: place(6, 9000), segments }, 5500);
  assert.deepEqual(standing.place, place(3, 5000), 'the one of before is, by now');
  assert.deepEqual(standing.segments, segments.slice(0, 1), 'those that begin behind it are not');
  standing.note({ place: place(7, 9500), segments }, 9600);
  assert.deepEqual(standing.place, place(7, 9500));
  assert.deepEqual(standing.segments, segments);
});

test('begun anew, nothing of before is remembered, not even what was on its way', () => {
  const standing = new Standing(place(3, 5000), segments);
  standing.note({ place: place(6, 9000), segments }, 5500);
  standing.begin(undefined);
  standing.note({ place: undefined, segments: [] }, 10_000);
  assert.deepEqual([standing.place, standing.segments], [undefined, []]);
});
