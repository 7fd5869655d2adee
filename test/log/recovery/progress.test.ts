// How far recovery says that it is: it begins with what is to be done, never goes back, and ends
// with all of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecoveryStep } from '../../../src/log/recovery/progress.ts';
import { recover, takeInventory } from '../../../src/log/recovery/recovery.ts';
import { buildSegment, Collector, codec, filesOf, SEGMENT_BYTES } from '../harness.ts';

test('steps of a recovery', async () => {
  const first = buildSegment({}, [{ messages: [{ bucket: 1, body: 'one' }], last: true }]);
  const { sequence } = first;
  const second = buildSegment({ base: SEGMENT_BYTES, sequence }, [
    { messages: [{ bucket: 1, body: 'two' }] },
  ]);
  const files = filesOf(first, second);
  const steps: Partial<RecoveryStep>[] = [];
  const inventory = await takeInventory(files);
  await recover(files, codec, inventory, new Collector(), (step) => void steps.push(step));
  assert.deepEqual(steps[0], {
    phase: 'reading',
    segmentsTotal: 2,
    bytesTotal: 2 * SEGMENT_BYTES,
  });
  assert.deepEqual(steps.at(-1), { phase: 'repairing' });
  const read = steps.slice(1, -1);
  assert.ok(
    read.some(({ segments, records }) => segments === 0 && records! > 0),
    'none within',
  );
  for (let i = 1; i < read.length; i++) assert.ok(read[i]!.bytes! >= read[i - 1]!.bytes!);
  assert.deepEqual(read.at(-1), { segments: 2, bytes: 2 * SEGMENT_BYTES, records: 4 });
});
