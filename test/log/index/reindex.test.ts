// The entries of a segment read again: all of its records if it is complete, and none if it is not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_VERSION_PLACED } from '../../../assembly/layout.ts';
import { KIND_DEAD, KIND_LIVE, KIND_SETTINGS } from '../../../assembly/layout-placed.ts';
import type { EntrySource } from '../../../src/core/ports/basics.ts';
import { open } from '../../../src/log/files/promises.ts';
import { entriesOf } from '../../../src/log/index/reindex.ts';
import { keyOf } from '../../../src/log/segments/segment.ts';
import { paceOf } from '../../support/pace.ts';
import { type Built, buildSegment, codec, filesOf, LOG_ID } from '../harness.ts';

const BASE = 8 * 1024;

async function read(built: Built): Promise<{ source: EntrySource; turns: number }> {
  const { name, base } = built;
  const files = filesOf(built);
  const { handle, bytes } = await open(files, name);
  let turns = 0;
  const pace = paceOf((call) => {
    turns++;
    setImmediate(call);
  });
  const segment = { name, base, bytes, handle, key: keyOf(LOG_ID) };
  return { source: await entriesOf(files, codec, segment, pace), turns };
}

function segment(last: boolean): Built {
  return buildSegment({ base: BASE, bytes: 8 * 1024, sequence: 7 }, [
    {
      messages: [
        { bucket: 1, body: 'one' },
        { bucket: 1, body: 'two' },
        { bucket: 2, body: 'x' },
      ],
    },
    { messages: [{ bucket: 1, body: 'end' }], settled: [{ sequence: 7, count: 1 }], last },
  ]);
}

test('a complete segment: an entry for each record of messages, where it stands', async () => {
  const { source, turns } = await read(segment(true));
  assert.ok(turns > 0, 'others had no turn');
  const entries = Array.from({ length: source.count }, (_, i) => [
    source.lines.bucketLow(i),
    source.lines.bucketHigh(i),
    source.sequence(i),
    source.messages(i),
    source.position(i),
    source.bodyBytes(i),
    source.attempts(i),
  ]);
  assert.deepEqual(entries, [
    [1, 0, 7, 2, BASE + 4096, 14, 0],
    [2, 0, 9, 1, BASE + 4096 + 56 + 16, 5, 0],
    [1, 0, 10, 1, BASE + 4096 + 56 + 16 + 56 + 8 + 56, 7, 0],
  ]);
});

test('one that is damaged, or does not say that it is complete, has no index', async () => {
  const damaged = { name: 'LogError', code: 'damaged' };
  await assert.rejects(read(segment(false)), { ...damaged, message: /does not verify at offset/ });
  const built = segment(true);
  for (let at = built.offsets[0]!; at < built.offsets.at(-1)!; at += 8) {
    const image = built.image.slice();
    image[at]! ^= 1;
    await assert.rejects(read({ ...built, image }), damaged, `at ${at}`);
  }
});

test('placed records are there as of the lines in which they stand', async () => {
  const placed = [KIND_DEAD, KIND_LIVE, KIND_SETTINGS].map((kind) => ({
    ...{ bucket: 3, bodies: ['died', 'too'], kind, head: { movedMs: 1 } },
  }));
  const messages = [{ bucket: 3, body: 'waits' }];
  const plan = { base: BASE, bytes: 8 * 1024, sequence: 7, version: SEGMENT_VERSION_PLACED };
  const { source } = await read(buildSegment(plan, [{ messages, placed, last: true }]));
  const entries = Array.from({ length: source.count }, (_, i) => [
    source.lines.bucketLow(i),
    source.lines.kind(i),
    source.sequence(i),
    source.messages(i),
  ]);
  assert.deepEqual(entries, [
    [3, KIND_LIVE, 7, 1],
    [3, KIND_DEAD, 8, 2],
    [3, KIND_LIVE, 10, 2],
    [3, KIND_SETTINGS, 12, 2],
  ]);
});
