// What is told of a start: every step to who asks, and at most a line a second in the log.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StartSnapshot } from '../src/contract/snapshot.ts';
import type { Logger } from '../src/io/logger.ts';
import { Starting, startText } from '../src/starting.ts';

const MIB = 1024 * 1024;

test('each step is told, a line is written at most once a second, with percent and rate', () => {
  const lines: string[] = [];
  const told: StartSnapshot[] = [];
  let now = 5000;
  const log = { info: (_fields: object, text: string) => void lines.push(text) } as Logger;
  const starting = new Starting(
    log,
    (progress) => told.push(progress),
    () => now,
  );
  starting.step({ phase: 'reading', segmentsTotal: 10, bytesTotal: 1000 * MIB });
  for (let i = 1; i <= 35; i++) {
    now += 100;
    starting.step({ segments: Math.floor(i / 10), bytes: 10 * i * MIB, records: i });
  }
  assert.equal(told.length, 36);
  assert.deepEqual(told.at(-1), {
    phase: 'reading',
    segments: 3,
    segmentsTotal: 10,
    bytes: 350 * MIB,
    bytesTotal: 1000 * MIB,
    records: 35,
    elapsedMs: 3500,
  });
  assert.deepEqual(lines, [
    'reading the log: 10 %, 1 of 10 segments, 100 MiB of 1000 MiB, 10 records, 1.0 s, 100 MiB a second',
    'reading the log: 20 %, 2 of 10 segments, 200 MiB of 1000 MiB, 20 records, 2.0 s, 100 MiB a second',
    'reading the log: 30 %, 3 of 10 segments, 300 MiB of 1000 MiB, 30 records, 3.0 s, 100 MiB a second',
  ]);
  assert.match(startText({ ...told.at(-1)!, phase: 'repairing' }), /^writing the end of the log/);
});
