// Names and manifests of bases: read back as they were written; of anything else it is said what is
// wrong with it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import {
  decodeManifest,
  encodeManifest,
  epochIn,
  type Manifest,
  manifestObject,
  manifestsIn,
  segmentObject,
  streamTag,
} from '../../../src/log/base/manifest.ts';

const TAG = streamTag({ created: '2026-11-30T08:00:00Z' }, crc32c);

const MANIFEST: Manifest = {
  stream: 'TMQ_test_0',
  created: '2026-11-30T08:00:00Z',
  logId: 0xfedcba9876543210n,
  segmentBytes: 1000,
  epoch: 3,
  number: 2,
  end: 2500,
  sequence: 70,
  segments: [
    { base: 0, bytes: 400, object: 'a', digest: 'x', objectBytes: 400 },
    { base: 2000, bytes: 1000, object: 'b', digest: 'y', objectBytes: 500 },
  ],
};

test('a manifest is read back as it was written', () => {
  assert.deepEqual(decodeManifest(encodeManifest(MANIFEST), 'it'), MANIFEST);
  const whole = { ...MANIFEST, lastEpoch: 2 };
  assert.deepEqual(decodeManifest(encodeManifest(whole), 'it'), whole);
});

test('what is no manifest is told', () => {
  const [first, second] = MANIFEST.segments;
  const cases: [object, RegExp][] = [
    [{ sequence: -1 }, /a number is missing/],
    [{ end: 'x' }, /a number is missing/],
    [{ lastEpoch: 1.5 }, /a number is missing/],
    [{ stream: 7 }, /names no stream/],
    [{ segments: [] }, /no segments/],
    [{ segments: [null] }, /a number of a segment is missing/],
    [{ segments: [second, first] }, /not in order at 0/],
    [{ segments: [{ ...first, bytes: 2001 }, second] }, /not in order at 2000/],
    [{ end: 2000 }, /not in order at 2000/],
    [{ segments: [{ ...first, object: undefined }] }, /an object has no name/],
    [{ segments: [{ ...first, objectBytes: 401 }] }, /smaller than its object/],
  ];
  for (const [change, why] of cases) {
    const bytes = encodeManifest({ ...MANIFEST, ...change } as Manifest);
    assert.throws(() => decodeManifest(bytes, 'it'), why);
  }
  const text = new TextDecoder().decode(encodeManifest(MANIFEST));
  const of = (changed: string) => () => decodeManifest(new TextEncoder().encode(changed), 'it');
  assert.throws(of(''), /it says of no base/);
  assert.throws(of('null'), /it has no format/);
  assert.throws(of(text.replace('18364758544493064720', '0x1')), /no log id/);
  assert.throws(of(text.replace('"format":1', '"format":9')), { code: 'version' });
});

test('manifests of a stream are found by their names, the newest first', () => {
  const name = (kind: 'intent' | 'manifest', epoch: number, number: number, stream = TAG) =>
    manifestObject({ kind, stream, epoch, number, sequence: 7 * number });
  const names = [
    name('manifest', 2, 9),
    name('intent', 10, 1),
    name('manifest', 10, 2),
    name('manifest', 11, 1, '00000000'),
    'manifest-of-somebody',
    segmentObject(TAG, 12, 0, 1),
  ];
  assert.deepEqual(
    manifestsIn(names, TAG).map(({ kind, epoch, number, sequence }) => [
      kind,
      epoch,
      number,
      sequence,
    ]),
    [
      ['manifest', 10, 2, 14],
      ['intent', 10, 1, 7],
      ['manifest', 2, 9, 63],
    ],
  );
  assert.deepEqual(
    names.map((each) => epochIn(each, TAG)),
    [2, 10, 10, undefined, undefined, 12],
  );
  assert.equal(
    segmentObject(TAG, 12, 4096, 0xfffffffe),
    `segment-${TAG}-0000000012-00000000000000004096-fffffffe`,
  );
});
