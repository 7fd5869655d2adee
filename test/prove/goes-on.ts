// What every case on a log does in the end: recover, append, crash, recover. The log must go on
// from what recovery found, and nothing that it found or acked may be gone or changed afterwards.

import assert from 'node:assert/strict';
import { LogError } from '../../src/log/files/errors.ts';
import { type Collector, indexOf, recoverFrom, World } from '../log/harness.ts';
import { loseAll, type MemoryFiles } from '../support/memory-files.ts';

/** Codes with which a start may refuse a log that was bent. */
const REFUSALS = /^(damaged|missing|version)$/;

/** What a start finds, or how it refuses; a refusal may have changed nothing. */
export async function startOn(files: MemoryFiles): Promise<Collector | string> {
  // The caches are not what is tested here: the log is the authority.
  indexOf(files).clear();
  const before = files.changes;
  try {
    return (await recoverFrom(files)).got;
  } catch (error) {
    assert.ok(error instanceof LogError, `recovery failed with ${(error as Error).stack}`);
    assert.match(error.code, REFUSALS, error.message);
    assert.equal(files.changes, before, `something was changed: ${error.message}`);
    return error.code;
  }
}

/**
 * A broker starts on these files, publishes, loses power and starts again. `found` is what a
 * recovery of the same files has found.
 */
export async function goOn(files: MemoryFiles, found: Collector, bytes: number): Promise<void> {
  const world = await World.open(files, { limits: { segmentBytes: bytes, framesMax: 0 } });
  const link = world.publish([
    { bucket: 1, body: 'after it' },
    { bucket: 77, body: 'and another' },
  ]);
  await world.settle();
  assert.deepEqual(link.received, [1, 1], `no acks after the start: ${world.notes.join('; ')}`);
  const { got } = await recoverFrom(files.crash(loseAll));
  const first = Math.max(0, ...got.messages.keys()) - 1;
  const expected = new Map([
    ...found.messages,
    [first, '1:after it'],
    [first + 1, '77:and another'],
  ]);
  assert.equal(expected.size, found.messages.size + 2, 'a sequence was given out twice');
  assert.deepEqual(got.messages, expected, 'not the same messages after the next crash');
  assert.deepEqual(got.settled, found.settled, 'not the same acks after the next crash');
  assert.deepEqual(got.attempts, found.attempts, 'not the same attempts after the next crash');
}
