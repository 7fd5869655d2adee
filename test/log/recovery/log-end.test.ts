// What a start writes again, byte for byte, and what it puts zeros over.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import { open } from '../../../src/log/files/promises.ts';
import { makeEnd, settleNames } from '../../../src/log/recovery/log-end.ts';
import type { Scannable, Walk } from '../../../src/log/scan/scan.ts';
import { loseAll, MemoryFiles } from '../../support/memory-files.ts';
import { codec } from '../harness.ts';

const BYTES = 16 * 1024;
const COMMITTED = SEGMENT_DATA_AT + 500;

/** Two segments whose bytes each differ, read so far. */
async function setUp(provedTo: number) {
  const files = new MemoryFiles();
  const segments: Scannable[] = [];
  const image = Uint8Array.from({ length: BYTES }, (_, i) => (i % 255) + 1);
  for (const name of ['a', 'b']) {
    files.put(name, image);
    const { handle } = await open(files, name);
    segments.push({ name, base: segments.length * BYTES, bytes: BYTES, handle, key: 0 });
  }
  const walk: Walk = {
    committed: COMMITTED,
    stopped: COMMITTED,
    last: true,
    provedTo: SEGMENT_DATA_AT + 100,
    epoch: 1,
    sequence: 1,
    records: 1,
  };
  return { files, segments, walks: [walk, { ...walk, provedTo }], image };
}

test('from the last proof on all is written again; a tail that is whole stays', async () => {
  const { files, segments, walks, image } = await setUp(SEGMENT_DATA_AT + 300);
  await makeEnd(files, codec, segments, walks, COMMITTED);
  assert.equal(files.count('write'), 1, 'only the last one');
  for (const name of ['a', 'b']) assert.deepEqual(files.image(name), image);
  const unproved = await setUp(-1);
  await makeEnd(unproved.files, codec, unproved.segments, unproved.walks, COMMITTED);
  assert.equal(unproved.files.count('write'), 2, 'the proof is in the one before');
  for (const name of ['a', 'b']) assert.deepEqual(unproved.files.image(name), image);
});

test('zeros go over a torn tail, up to the end of its segment', async () => {
  const { files, segments, walks, image } = await setUp(SEGMENT_DATA_AT + 300);
  await makeEnd(files, codec, segments, walks, COMMITTED + 8);
  const found = files.image('b');
  assert.deepEqual(found.subarray(0, COMMITTED), image.subarray(0, COMMITTED));
  assert.ok(found.subarray(COMMITTED).every((byte) => byte === 0));
  assert.equal(found.length, BYTES);
  assert.deepEqual(files.image('a'), image);
});

test('a segment that ended meanwhile is no log', async () => {
  const { files, segments, walks } = await setUp(SEGMENT_DATA_AT + 300);
  const [, last] = segments;
  await new Promise((resolve) => files.truncate(last!.handle, SEGMENT_DATA_AT, resolve));
  const made = makeEnd(files, codec, segments, walks, COMMITTED);
  await assert.rejects(made, { code: 'io', message: /^b ended while it was read/ });
});

test('names are on disk before what they replace is gone, and that is gone for good', async () => {
  const files = new MemoryFiles();
  files.put('old', new Uint8Array(8));
  files.put('new.tmp', new Uint8Array(8));
  const { handle } = await open(files, 'old');
  await new Promise((resolve) => files.rename('new.tmp', 'new', resolve));
  const old: Scannable = { name: 'old', base: 0, bytes: 8, handle, key: 0 };
  await settleNames(files, [old]);
  assert.deepEqual(files.crash(loseAll).names(), ['new']);
  assert.equal(files.openHandles, 0);
});
