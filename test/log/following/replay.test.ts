// What marks leave in doubt about compacted segments is counted once: from then on it is known what
// is missing in them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Found } from '../../../src/core/ports/basics.ts';
import { createState } from '../../../src/core/segments/state.ts';
import { EndlessReplay } from '../../../src/log/following/replay.ts';
import { scanChunk } from '../../../src/log/scan/scan.ts';
import { type BatchPlan, type Built, buildSegment, codec, SEGMENT_BYTES } from '../harness.ts';

/** Feeds the batches of a segment from `offset` on. */
function read(replay: EndlessReplay, { name, base, image, offsets }: Built): void {
  const [offset, end] = [offsets[0]!, offsets.at(-1)!];
  codec.memory.set(image.subarray(offset, end));
  const walk = { committed: offset, stopped: offset, last: false, provedTo: -1, epoch: 0 };
  const result = { ...walk, sequence: -1, records: 0 };
  const { consumed } = scanChunk(codec, { name, base }, offset, end - offset, result, replay);
  assert.equal(consumed, end - offset);
}

test('a compacted segment is visited once, however many marks speak of it later', async () => {
  const state = createState(3);
  const replay = new EndlessReplay(state);
  const one = (bucket: number): BatchPlan => ({ messages: [{ bucket, body: 'm' }] });
  // Sequences 3 to 5 are missing.
  const head = buildSegment({ sequence: 1 }, [one(1), one(2)]);
  const offset = head.offsets.at(-1)!;
  replay.segment(0, true);
  read(replay, head);
  read(replay, buildSegment({ sequence: 6, offset, onto: head.image }, [one(1)]));
  const at = { sequence: 7, base: SEGMENT_BYTES };
  const marks = buildSegment(at, [{ settled: [{ sequence: 1, count: 4 }] }]);
  replay.segment(SEGMENT_BYTES);
  read(replay, marks);
  assert.equal(replay.isInDoubt, true);
  // Of a start that knows no entries of it any more.
  replay.builder.inMemory.shift();
  let visits = 0;
  await replay.finish(async (base, record) => {
    visits++;
    assert.equal(base, 0);
    for (const sequence of [2, 6, 1]) record({ sequence, messages: 1 } as Found);
  });
  assert.deepEqual([visits, replay.isInDoubt, state.retention.live], [1, false, 1]);
  const more = { ...at, offset: marks.offsets.at(-1)!, onto: marks.image };
  read(replay, buildSegment(more, [{ settled: [{ sequence: 3, count: 4 }] }]));
  assert.deepEqual([replay.isInDoubt, state.retention.live], [false, 0]);
  await replay.count();
  assert.equal(visits, 1);
});
