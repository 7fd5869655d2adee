// The second pass of tools: which messages are handed on, in which runs, and what is said of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_VERSION_PLACED } from '../../../assembly/layout.ts';
import { KIND_DEAD } from '../../../assembly/layout-placed.ts';
import type { Deferral } from '../../../src/core/records/placed.ts';
import { countOf, LivePass, payloadOf } from '../../../src/log/tools/live-pass.ts';
import { openForTools } from '../../../src/log/tools/segment-walk.ts';
import { Survey } from '../../../src/log/tools/survey.ts';
import { type BatchPlan, buildSegment, codec, filesOf } from '../harness.ts';

const DEFERRAL: Deferral = {
  sequence: 1,
  count: 4,
  turn: 1,
  dueMs: 5,
  bucket: 1n,
  attempts: 3,
  kind: 0,
  level: 0,
  cause: 0,
};

/** Sequence, count, attempts and payload of each run, and all that the pass says. */
async function passOver(batches: BatchPlan[], again = 1) {
  const built = buildSegment({ version: SEGMENT_VERSION_PLACED }, batches);
  const files = filesOf(built);
  const { segments } = await openForTools(files);
  const survey = new Survey();
  for (const segment of segments) await survey.read(files, codec, segment);
  survey.finish();
  const pass = new LivePass(survey);
  const runs: number[][] = [];
  const placed: (object | undefined)[] = [];
  for (let i = 0; i < again; i++)
    for (const segment of segments)
      await pass.read(files, codec, segment, 0, (run) => {
        runs.push([run.sequence, countOf(run), run.attempts, payloadOf(run)]);
        const { kind, first, head } = run.placed ?? {};
        placed.push(run.placed && { kind, first, from: head!.from });
      });
  return { runs, placed, pass };
}

const messages = (...bodies: string[]) => bodies.map((body) => ({ bucket: 1, body }));

test('neighbours with as many attempts are one run, settled ones part them', async () => {
  const { runs, pass } = await passOver([
    { messages: messages('a', 'bb', 'ccc', 'd', 'e', 'f') },
    { settled: [{ sequence: 3, count: 1 }], returned: [{ sequence: 5, count: 1, attempts: 2 }] },
  ]);
  assert.deepEqual(runs, [
    [1, 2, 0, 3],
    [4, 1, 0, 1],
    [5, 1, 2, 1],
    [6, 1, 0, 1],
  ]);
  assert.equal(pass.settled, 1);
  assert.deepEqual(pass.impossible, []);
});

test('what is read twice is handed on once', async () => {
  const { runs } = await passOver([{ messages: messages('a', 'b') }], 2);
  assert.deepEqual(runs, [[1, 2, 0, 2]]);
});

test('what a placed record says goes with each of its runs; what it settles is gone', async () => {
  const { runs, placed } = await passOver([
    { messages: messages('a', 'b', 'c') },
    {
      placed: [
        { bucket: 2, bodies: ['a', 'b', 'c'], kind: KIND_DEAD, head: { from: 1 }, settles: true },
      ],
    },
    { settled: [{ sequence: 5, count: 1 }] },
  ]);
  assert.deepEqual(runs, [
    [4, 1, 0, 1],
    [6, 1, 0, 1],
  ]);
  assert.deepEqual(placed, [
    { kind: KIND_DEAD, first: 0, from: 1 },
    { kind: KIND_DEAD, first: 2, from: 1 },
  ]);
});

test('deferrals follow for the messages that were handed on, and no others', async () => {
  const { runs, pass } = await passOver([
    { messages: messages('a', 'b', 'c', 'd') },
    { deferred: [DEFERRAL, { ...DEFERRAL, turn: 2, sequence: 3, count: 1 }] },
    { settled: [{ sequence: 2, count: 1 }] },
  ]);
  assert.deepEqual(runs, [
    [1, 1, 3, 1],
    [3, 2, 3, 2],
  ]);
  assert.deepEqual(
    [...pass.deferrals()].map(({ sequence, count, turn }) => [sequence, count, turn]),
    [
      [1, 1, 1],
      [3, 2, 1],
      [3, 1, 2],
    ],
  );
});
