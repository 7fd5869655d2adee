// What is done to the folder of a log before it is read: files made for other settings go, and
// only those.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { FakeLink, SEGMENT_BYTES, World } from '../harness.ts';

const OTHER = 2 * SEGMENT_BYTES;

/** A stopped log of small segments, with a message in it and a next segment made. */
async function small(): Promise<MemoryFiles> {
  const world = await World.open(new MemoryFiles());
  world.publish([{ bucket: 1, body: 'kept' }], new FakeLink());
  await world.settle();
  return world.close();
}

test('files held ready that have another size are removed, the others are taken over', async () => {
  for (const [bytes, kept] of [
    [SEGMENT_BYTES, true],
    [SEGMENT_BYTES - 4096, false],
    [OTHER, false],
  ] as const) {
    const files = await small();
    files.put('spare-7.tmp', new Uint8Array(bytes).fill(1));
    const world = await World.open(files);
    assert.equal(world.log.spares, kept ? 1 : 0, `${bytes} bytes`);
    assert.equal(files.names().includes('spare-7.tmp'), kept);
    assert.deepEqual(await world.drain(1), ['kept']);
    await world.close(); // which says if a file stayed open
  }
});

test('a next segment that was made for another size is made anew', async () => {
  const files = await small();
  const next = segmentName(SEGMENT_BYTES);
  assert.equal(files.image(next).length, SEGMENT_BYTES);
  const syncs = files.count('syncDirectory');
  const world = await World.open(files, { limits: { segmentBytes: OTHER } });
  assert.ok(world.log.nextReady());
  assert.equal(files.image(next).length, OTHER);
  assert.ok(files.count('syncDirectory') > syncs + 1, 'the old name may come back');
  assert.deepEqual(await world.drain(1), ['kept']);
  // The log goes on in it, and a start finds both sizes.
  const bodies = Array.from({ length: 60 }, (_, i) => `${i}`.padEnd(1000, '.'));
  for (const body of bodies) {
    world.publish([{ bucket: 2, body }]);
    await world.settle();
  }
  const again = await World.open(await world.close(), { limits: { segmentBytes: OTHER } });
  assert.deepEqual(again.log.bases().slice(0, 2), [0, SEGMENT_BYTES]);
  assert.deepEqual(await again.drain(2), bodies);
  await again.close();
});
