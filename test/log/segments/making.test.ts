// One file that becomes a segment, or one of a later version: whole and on disk before it is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_DATA_AT, SEGMENT_VERSION_PLACED } from '../../../assembly/layout.ts';
import { open } from '../../../src/log/files/promises.ts';
import { makeSegment, raiseSegment, type Segment } from '../../../src/log/segments/making.ts';
import { decodeHeader, identityOf, segmentName } from '../../../src/log/segments/segment.ts';
import { loseAll, MemoryFiles } from '../../support/memory-files.ts';
import { LOG_ID, TIME_MS } from '../harness.ts';

const BYTES = 8192;
const BASE = 5 * BYTES;
const NAME = segmentName(BASE);

function setUp() {
  const files = new MemoryFiles();
  files.put('spare', new Uint8Array(BYTES).fill(0xee));
  return { files, options: { files, logId: LOG_ID, epoch: () => 3, wallMs: () => TIME_MS } };
}

type World = ReturnType<typeof setUp>;

async function make({ files, options }: World, places: boolean): Promise<Segment | Error> {
  const { handle } = await open(files, 'spare');
  const place = { base: BASE, start: BYTES, places };
  return new Promise((resolve) => {
    makeSegment(options, { name: 'spare', handle, bytes: BYTES }, place, (failure, made) =>
      resolve(made ?? failure!),
    );
  });
}

function raise({ options }: World, segment: Segment): Promise<Error | undefined> {
  return new Promise((resolve) => raiseSegment(options, segment, BYTES, resolve));
}

test('a segment has its header, name and blocks, whatever power loss takes', async () => {
  for (const places of [false, true]) {
    const world = setUp();
    const made = (await make(world, places)) as Segment;
    const { handle: _, ...rest } = made;
    const after = world.files.crash(loseAll);
    assert.deepEqual(after.names(), [NAME]);
    const image = after.image(NAME);
    const identity = identityOf(image);
    const expected = { base: BASE, bytes: BYTES, end: BASE + BYTES, identity, places };
    assert.deepEqual(rest, { ...expected, reads: 0, retired: false });
    const header = decodeHeader(image, NAME);
    assert.equal(header.version, places ? SEGMENT_VERSION_PLACED : undefined);
    assert.deepEqual([header.base, header.start, header.epoch], [BASE, BYTES, 3]);
    assert.equal(image.length, BYTES);
    assert.ok(image.subarray(SEGMENT_DATA_AT).every((byte) => byte === 0xee));
  }
});

test('what fails is told, and nothing has the name of a segment', async () => {
  for (const op of ['write', 'sync', 'rename'] as const) {
    const world = setUp();
    world.files.fail({ op, nth: 1, code: 'EIO' });
    assert.match(String(await make(world, false)), /EIO/);
    assert.deepEqual(world.files.names(), ['spare'], op);
  }
});

test('a segment is raised on disk; if that fails it goes', async () => {
  const world = setUp();
  const made = (await make(world, false)) as Segment;
  const { identity } = made;
  assert.equal(await raise(world, made), undefined);
  const image = world.files.crash(loseAll).image(NAME);
  assert.equal(decodeHeader(image, NAME).version, SEGMENT_VERSION_PLACED);
  assert.deepEqual([made.places, made.identity], [true, identityOf(image)]);
  assert.notEqual(made.identity, identity);
  for (const op of ['write', 'sync'] as const) {
    const failing = setUp();
    const segment = (await make(failing, false)) as Segment;
    failing.files.fail({ op, nth: 1, code: 'EIO' });
    assert.match(String(await raise(failing, segment)), /EIO/);
    assert.equal(segment.places, false);
    assert.deepEqual(failing.files.names(), [], op);
    assert.equal(failing.files.openHandles, 0);
  }
});
