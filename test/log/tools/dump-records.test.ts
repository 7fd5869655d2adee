// A record of each type in words: what is said of it to programs and to people, and what is wanted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RECORD_START,
  RECORD_TRIM,
  RESULT_ROWS,
  SCAN_END,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { CAUSE_FAILED, KIND_DEAD, REASON_REJECTED } from '../../../assembly/layout-placed.ts';
import { ROW_WORDS } from '../../../src/core/records/rows.ts';
import { keyOf } from '../../../src/log/segments/segment.ts';
import { details, type RecordOptions, recordEntry } from '../../../src/log/tools/dump-records.ts';
import { buildSegment, codec, LOG_ID, TIME_MS } from '../harness.ts';

const DUE_MS = TIME_MS + 60_000;
const deferral = { sequence: 2, count: 1, turn: 1, dueMs: DUE_MS, bucket: 1n, attempts: 1 };
const { image, offsets } = buildSegment({}, [
  { control: [[RECORD_START, 1, TIME_MS]] },
  {
    messages: [
      { bucket: 1, body: 'one' },
      { bucket: 1, body: new Uint8Array([0xff]) },
    ],
  },
  {
    placed: [
      {
        bucket: 2,
        bodies: ['two'],
        fields: 'xy',
        kind: KIND_DEAD,
        head: {
          from: 1,
          fromBucket: 1n,
          fromAttempts: 4,
          reason: REASON_REJECTED,
          movedMs: TIME_MS,
        },
        settles: true,
      },
    ],
    deferred: [{ ...deferral, kind: 0, level: 0, cause: CAUSE_FAILED }],
    producers: [[7, 12]],
    ids: { bucket: 1, timeMs: TIME_MS, count: 2 },
  },
  {
    settled: [{ sequence: 1, count: 1 }],
    returned: [{ sequence: 2, count: 1, attempts: 3 }],
    control: [[RECORD_TRIM, 4096, 0]],
  },
]);

/** Entries of all records that are wanted. */
function entries(options: RecordOptions) {
  const bytes = codec.memory.subarray(0, offsets.at(-1)! - SEGMENT_DATA_AT);
  bytes.set(image.subarray(SEGMENT_DATA_AT, offsets.at(-1)!));
  codec.setKey(keyOf(LOG_ID));
  assert.equal(codec.scan(0, bytes.length, SEGMENT_DATA_AT), SCAN_END);
  const segment = { name: 'a.log', base: 0 };
  const rows = Array.from({ length: codec.result[RESULT_ROWS]! }, (_, i) => i * ROW_WORDS);
  const found = rows.map((at) =>
    recordEntry(segment, codec.rows, at, SEGMENT_DATA_AT, bytes, options),
  );
  return found.filter((entry) => entry !== undefined);
}

test('a line of each', () => {
  const time = new Date(TIME_MS).toISOString();
  const due = new Date(DUE_MS).toISOString();
  const said = entries({}).map((entry) => `${entry.type}: ${details(entry)}`);
  assert.deepEqual(said, [
    `start: next 1 time ${time}`,
    `commit: next 1 records 1 time ${time}`,
    'messages: bucket 1 sequences 1-2 attempts 0',
    `commit: next 3 records 1 time ${time}`,
    `placed: bucket 2 sequences 3-3 attempts 0 kind dead moved ${time} reason rejected from live bucket 1 sequences 1-1 attempts 4 settled`,
    `deferred: bucket 1 kind live sequences 2-2 turn 1 attempts 1 level 0 due ${due} failed`,
    `producers: producer 07${'00'.repeat(15)} number 12 time 1970-01-01T00:00:00.000Z`,
    `ids: bucket 1 ids 2 time ${time}`,
    `commit: next 4 records 4 time ${time}`,
    'trim: needed from 4096',
    'settled: sequences 1-1',
    'returned: sequences 2-2 attempts 3',
    `commit: next 4 records 3 time ${time}`,
  ]);
});

test('bodies as text if they are, without the fields in front of them', () => {
  const messages = entries({ bodies: true }).flatMap((entry) => entry.messages ?? []);
  assert.deepEqual(messages, [
    { sequence: '1', bytes: 3, encoding: 'utf8', body: 'one' },
    { sequence: '2', bytes: 1, encoding: 'base64', body: '/w==' },
    { sequence: '3', bytes: 3, encoding: 'utf8', body: 'two' },
  ]);
});

test('of one bucket its messages alone', () => {
  assert.deepEqual(
    entries({ bucket: 2n }).map(({ type, bucket }) => [type, bucket]),
    [['placed', '2']],
  );
});
