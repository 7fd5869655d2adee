// What recovery says of the files in a log directory before it reads a record: which it takes,
// which it ignores, which it refuses. None of it may change a byte.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogError, type LogErrorCode } from '../../src/log/files/errors.ts';
import { takeInventory } from '../../src/log/recovery/recovery.ts';
import { encodeHeader, segmentName } from '../../src/log/segments/segment.ts';
import type { MemoryFiles } from '../support/memory-files.ts';
import {
  type Built,
  buildSegment,
  filesOf,
  LOG_ID,
  recoverFrom,
  SEGMENT_BYTES,
  TIME_MS,
} from './harness.ts';

/** Three segments of which the first two are complete. */
function threeSegments(): Built[] {
  const built: Built[] = [];
  let sequence = 1;
  for (const n of [0, 1, 2]) {
    const segment = buildSegment({ base: n * SEGMENT_BYTES, epoch: 1, sequence }, [
      { messages: [{ bucket: 7, body: `in segment ${n}` }] },
      { messages: [{ bucket: 7, body: 'last' }], last: n < 2 },
    ]);
    sequence = segment.sequence;
    built.push(segment);
  }
  return built;
}

const [A, B, C] = [0, 1, 2].map((n) => segmentName(n * SEGMENT_BYTES)) as [string, string, string];

async function refused(files: MemoryFiles, code: LogErrorCode, text: RegExp): Promise<void> {
  const before = files
    .names()
    .map((name) => [name, Buffer.from(files.image(name)).toString('hex')]);
  await assert.rejects(recoverFrom(files), (error) => {
    assert.ok(error instanceof LogError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  });
  assert.equal(files.changes, 0, 'something was changed');
  const after = files.names().map((name) => [name, Buffer.from(files.image(name)).toString('hex')]);
  assert.deepEqual(after, before);
}

test('segments in order are taken as they are', async () => {
  const files = filesOf(...threeSegments());
  const { segments, leftovers, foreign } = await takeInventory(files);
  assert.deepEqual(
    segments.map(({ name, base, bytes }) => ({ name, base, bytes })),
    [A, B, C].map((name, n) => ({ name, base: n * SEGMENT_BYTES, bytes: SEGMENT_BYTES })),
  );
  assert.deepEqual([leftovers, foreign], [[], []]);
  assert.equal(files.changes, 0);
  const { got } = await recoverFrom(filesOf(...threeSegments()));
  assert.equal(got.messages.size, 6);
});

test('a missing segment is refused with the range that is not there', async () => {
  for (const [name, text] of [
    [A, /no positions 0 to 32767/],
    [B, /no positions 32768 to 65535/],
    [C, /goes on after 00000000000000032768\.log/],
  ] as const) {
    const files = filesOf(...threeSegments());
    files.take(name);
    await refused(files, 'missing', text);
  }
});

test('a renamed, swapped or copied segment is refused by name', async () => {
  const renamed = filesOf(...threeSegments());
  renamed.take(C, segmentName(3 * SEGMENT_BYTES));
  await refused(
    renamed,
    'damaged',
    /00000000000000098304\.log holds the segment of position 65536/,
  );

  const copied = filesOf(...threeSegments());
  copied.put(segmentName(3 * SEGMENT_BYTES), copied.image(B));
  await refused(copied, 'damaged', /holds the segment of position 32768: it was renamed or copied/);

  const swapped = filesOf(...threeSegments());
  const [first, second] = [swapped.image(A).slice(), swapped.image(B).slice()];
  swapped.put(A, second);
  swapped.put(B, first);
  await refused(swapped, 'damaged', /renamed or copied/);
});

test('a segment that was cut short is refused, at every length', async () => {
  for (const bytes of [1, 63, 64, 4095, 4096, 5000, SEGMENT_BYTES - 1]) {
    for (const name of [A, B, C]) {
      const files = filesOf(...threeSegments());
      files.put(name, files.image(name).slice(0, bytes));
      await refused(files, 'damaged', new RegExp(name));
    }
  }
});

test('a segment with bytes behind its end is taken; they are not looked at', async () => {
  const files = filesOf(...threeSegments());
  const longer = new Uint8Array(SEGMENT_BYTES + 1000).fill(0xff);
  longer.set(files.image(B));
  files.put(B, longer);
  const { got } = await recoverFrom(files);
  assert.equal(got.messages.size, 6);
});

test('an empty file in the newest place is a leftover, elsewhere it is damage', async () => {
  const files = filesOf(...threeSegments());
  const next = segmentName(3 * SEGMENT_BYTES);
  files.put(next, new Uint8Array(0));
  assert.deepEqual((await takeInventory(files)).leftovers, [next]);
  const middle = filesOf(...threeSegments());
  middle.put(B, new Uint8Array(0));
  await refused(middle, 'damaged', new RegExp(B));
});

test('segments of another log or another format are refused', async () => {
  const foreign = filesOf(...threeSegments());
  const other = buildSegment({ base: SEGMENT_BYTES, logId: 1n }, [{ last: true }]);
  foreign.put(B, other.image);
  await refused(foreign, 'damaged', /belongs to another log/);

  const newer = filesOf(...threeSegments());
  newer.image(C)[8] = 9;
  await refused(newer, 'version', /has format version 9/);
});

test('segments that overlap are refused', async () => {
  const files = filesOf(...threeSegments());
  const base = SEGMENT_BYTES / 2;
  const image = new Uint8Array(SEGMENT_BYTES);
  const header = { base, bytes: SEGMENT_BYTES, start: 0, logId: 0x1122334455667788n };
  image.set(encodeHeader({ ...header, timeMs: TIME_MS, epoch: 1 }));
  files.put(segmentName(base), image);
  await refused(files, 'damaged', /overlaps the segment before it/);
});

/** B as a compacted segment that stands for B and C, with both still there. */
function compacted(header: { end?: number; logId?: bigint } = {}): MemoryFiles {
  const files = filesOf(...threeSegments());
  const rest = buildSegment({ base: 3 * SEGMENT_BYTES, sequence: 7 }, [{}]);
  files.put(rest.name, rest.image);
  const image = files.image(B);
  const bytes = 8192;
  const head = { base: SEGMENT_BYTES, bytes, start: 0, logId: LOG_ID, timeMs: TIME_MS, epoch: 1 };
  image.set(encodeHeader({ ...head, end: 3 * SEGMENT_BYTES, ...header }));
  files.put(B, image.slice(0, bytes));
  return files;
}

test('what a compacted segment stands for is superseded, if it lies within and is of the log', async () => {
  const inventory = await takeInventory(compacted());
  assert.deepEqual(
    inventory.superseded.map(({ name }) => name),
    [C],
  );
  assert.deepEqual(
    inventory.segments.map(({ base, end }) => [base, end]),
    [
      [0, SEGMENT_BYTES],
      [SEGMENT_BYTES, 3 * SEGMENT_BYTES],
      [3 * SEGMENT_BYTES, 4 * SEGMENT_BYTES],
    ],
  );
  const { got } = await recoverFrom(compacted());
  assert.equal(got.messages.size, 4);

  const beyond = compacted({ end: 3 * SEGMENT_BYTES - 8 });
  await refused(beyond, 'damaged', /00000000000000065536\.log overlaps the segment before it/);
  const foreign = compacted();
  foreign.put(C, buildSegment({ base: 2 * SEGMENT_BYTES, logId: 1n }, [{ last: true }]).image);
  await refused(foreign, 'damaged', /belongs to another log/);
  const gap = compacted({ end: 3 * SEGMENT_BYTES });
  gap.take(C);
  gap.take(segmentName(3 * SEGMENT_BYTES));
  await refused(gap, 'missing', /goes on after 00000000000000032768\.log/);
});

test('half-made files are leftovers, strangers are named and kept', async () => {
  const files = filesOf(...threeSegments());
  for (const name of [
    'next.tmp',
    'spare-0.tmp',
    'fill-1.tmp',
    'compact.tmp',
    'notes.txt',
    'my-fill-1.tmp',
  ])
    files.put(name, new Uint8Array(10));
  const { segments, leftovers, foreign } = await takeInventory(files);
  assert.equal(segments.length, 3);
  assert.deepEqual(leftovers.sort(), ['compact.tmp', 'fill-1.tmp', 'next.tmp', 'spare-0.tmp']);
  assert.deepEqual(foreign.sort(), ['my-fill-1.tmp', 'notes.txt']);
});

test('a segment given back before an older one is no gap, if the log says it was not needed', async () => {
  const [first, , third] = threeSegments();
  const trimmed = buildSegment(
    { base: third!.base, onto: third!.image, offset: third!.offsets.at(-1)!, sequence: 7 },
    [{ control: [[6, 2 * SEGMENT_BYTES, 0]] }],
  );
  const files = filesOf(first!, trimmed);
  const { got, recovered } = await recoverFrom(files);
  assert.deepEqual([...got.messages.keys()], [5, 6]);
  assert.deepEqual(
    recovered.segments.map(({ name }) => name),
    [C],
  );
  assert.deepEqual(
    recovered.unneeded.map(({ name }) => name),
    [A],
  );
});
