// What a node remembers of its stream: written whole, read as it was written, refused where it is
// something else.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { PlaceFile, type Remembered } from '../../src/cluster/place-file.ts';
import { Standing } from '../../src/cluster/standing.ts';
import { temporaryFolder } from '../support/broker.ts';

const KNOWN: Remembered = {
  cluster: 'prod',
  node: 2,
  created: '2026-01-01T00:00:00.123456789Z',
  logId: '18446744073709551615',
  place: { sequence: 7, epoch: 3, end: 8192, serial: 1 },
  segments: [{ position: 4096, sequence: 5 }],
};

test('it is read as it was written, also without a place', async () => {
  const folder = temporaryFolder();
  const file = new PlaceFile(() => folder);
  assert.equal(file.read(), undefined);
  for (const what of [KNOWN, { ...KNOWN, place: undefined, segments: [] }]) {
    const failure = await new Promise((resolve) => file.save(what, resolve));
    assert.equal(failure, undefined);
    assert.deepEqual(new PlaceFile(() => folder).read(), JSON.parse(JSON.stringify(what)));
  }
});

test('what is no such file is refused with what to do', () => {
  const folder = temporaryFolder();
  const texts = [
    '',
    'null',
    '{}',
    JSON.stringify({ version: 2, ...KNOWN }),
    JSON.stringify({ version: 1, ...KNOWN, logId: '-1' }),
    JSON.stringify({ version: 1, ...KNOWN, place: { sequence: 1.5, epoch: 1, end: 1 } }),
    JSON.stringify({ version: 1, ...KNOWN, segments: [{ position: 'x' }] }),
  ];
  for (const text of texts) {
    fs.writeFileSync(path.join(folder, 'cluster.json'), text);
    assert.throws(
      () => new PlaceFile(() => folder).read(),
      /cluster\.json cannot be used.*remove it/,
    );
  }
});

test('where a log stands is never behind its own end, however far ahead its owner is', () => {
  const standing = new Standing(undefined, []);
  const places = [8192, 9000, 9500].map((end, i) => ({
    sequence: 7 + i,
    epoch: 3,
    end,
    serial: 1,
  }));
  const segments = [4096, 8192, 9000, 9500].map((position, i) => ({ position, sequence: 6 + i }));
  const known = segments.slice();
  const owner = {
    placeAt: (end: number) => places.findLast((place) => place.end <= end),
    segments,
  };
  standing.note(owner, 8191);
  assert.equal(standing.place, undefined, 'published, and not on this disk');
  standing.note(owner, 8192);
  assert.deepEqual([standing.place, standing.segments], [places[0], known.slice(0, 2)]);
  standing.note(owner, 9400);
  assert.equal(standing.place, places[1], 'two are published, one of them is on this disk');
  segments.splice(0, 2);
  assert.deepEqual(standing.segments, known.slice(0, 3), 'as it was when it was noted');
  standing.note({ placeAt: () => undefined, segments }, 9000);
  assert.equal(standing.place, places[1]);
  standing.begin(undefined);
  assert.deepEqual([standing.place, standing.segments], [undefined, []]);
});
