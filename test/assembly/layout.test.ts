// Relations between the numbers of the byte table: regions that must not overlap, fields that must
// follow each other, sizes that must fit.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import * as layout from '../../assembly/layout.ts';
import * as cluster from '../../assembly/layout-cluster.ts';
import * as placed from '../../assembly/layout-placed.ts';

const L: Record<string, number> = { ...layout, ...placed, ...cluster };
const PAGE = 65_536;

/** Fields of a table by prefix: `PREFIX_…_AT`, in order of place, up to `bytes`. */
function fields(prefix: string, bytes: number): { name: string; at: number; bytes: number }[] {
  const found = Object.entries(L)
    .filter(([name]) => name.startsWith(`${prefix}_`) && name.endsWith('_AT'))
    .map(([name, at]) => ({ name, at }))
    .sort((a, b) => a.at - b.at);
  return found.map(({ name, at }, i) => ({ name, at, bytes: (found[i + 1]?.at ?? bytes) - at }));
}

test('every constant is an unsigned 32-bit number', () => {
  for (const [name, value] of Object.entries(L))
    assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** 32, name);
});

describe('memory map', () => {
  const regions = [
    ['TABLES', layout.TABLES_AT, layout.TABLES_BYTES],
    ['FOLD', layout.FOLD_AT, layout.FOLD_BYTES + 8192],
    ['RESULT', layout.RESULT_AT, layout.RESULT_BYTES],
    ['ROWS', layout.ROWS_AT, layout.ROWS_MAX * layout.ROW_BYTES],
    ['RULES', layout.RULES_AT, layout.RULES_BYTES],
    ['MARKS', layout.MARKS_AT, layout.MARKS_MAX * layout.MARK_BYTES],
    ['INBOX', layout.INBOX_AT, layout.INBOX_BYTES],
    ['OUTBOX', layout.OUTBOX_AT, layout.OUTBOX_BYTES],
    ['COLD', layout.COLD_AT, layout.COLD_BYTES],
    ['RING', layout.RING_AT, layout.RING_BYTES],
    ['BLOCK', layout.BLOCK_AT, layout.BLOCK_BYTES],
    ['ZEROS', layout.ZEROS_AT, layout.ZEROS_BYTES],
  ] as const;

  test('regions follow each other without overlap and fill the memory', () => {
    let end = 1024; // asc keeps its static data below this
    for (const [name, at, bytes] of regions) {
      assert.ok(at >= end, `${name} begins before the one before it ends`);
      end = at + bytes;
    }
    assert.equal(end, layout.MEMORY_BYTES);
    assert.equal(layout.MEMORY_BYTES, layout.MEMORY_PAGES * PAGE);
  });

  test('every region is aligned for the widest access', () => {
    for (const [name, at] of regions) assert.equal(at % 16, 0, name);
  });

  test('cold windows and ring are one area', () => {
    assert.equal(layout.COLD_AT + layout.COLD_BYTES, layout.RING_AT);
  });

  test('asconfig.json asks for the same memory', () => {
    const url = new URL('../../../asconfig.json', import.meta.url);
    const { options } = JSON.parse(readFileSync(url, 'utf8'));
    assert.equal(options.initialMemory, layout.MEMORY_PAGES);
    assert.equal(options.maximumMemory, layout.MEMORY_PAGES);
  });
});

describe('sizes', () => {
  test('a message of the ceiling fits the inbox with a chunk behind it, and the outbox', () => {
    const head = layout.BUCKET_BYTES + layout.WIRE_U64;
    const chunk = 1024 * 1024 - 4096;
    assert.ok(head + layout.MESSAGE_BYTES_CEILING + chunk <= layout.INBOX_BYTES);
    const frame = layout.BATCH_HEADER_BYTES + layout.WIRE_U64 + layout.MESSAGE_BYTES_CEILING;
    assert.ok(frame <= layout.OUTBOX_BYTES);
  });

  test('a record of the ceiling fits the cold area and half of the ring', () => {
    const { RECORD_HEADER_BYTES, MESSAGE_SIZE_BYTES, MESSAGE_BYTES_CEILING } = layout;
    const record = RECORD_HEADER_BYTES + MESSAGE_SIZE_BYTES + MESSAGE_BYTES_CEILING + 8;
    assert.ok(record <= layout.COLD_BYTES);
    assert.ok(record <= layout.RING_BYTES / 2);
  });

  test('records stay aligned', () => {
    assert.equal(layout.RECORD_HEADER_BYTES % layout.RECORD_ALIGN, 0);
    assert.equal(layout.SEGMENT_DATA_AT % layout.RECORD_ALIGN, 0);
    assert.equal(layout.MARK_BYTES % layout.RECORD_ALIGN, 0);
  });

  test('the default message is not over the ceiling', () => {
    assert.ok(layout.MESSAGE_BYTES_DEFAULT <= layout.MESSAGE_BYTES_CEILING);
  });
});

describe('fields', () => {
  const sizes = (prefix: string, bytes: number) =>
    fields(prefix, bytes).map((field) => [field.name, field.bytes]);

  test('record header', () => {
    assert.deepEqual(sizes('RECORD', layout.RECORD_HEADER_BYTES), [
      ['RECORD_CRC_AT', 4],
      ['RECORD_BODY_CRC_AT', 4],
      ['RECORD_BODY_BYTES_AT', 4],
      ['RECORD_TYPE_AT', 1],
      ['RECORD_FLAGS_AT', 1],
      ['RECORD_KIND_AT', 1],
      ['RECORD_FORM_AT', 1],
      ['RECORD_POSITION_AT', 8],
      ['RECORD_SEQUENCE_AT', 8],
      ['RECORD_BUCKET_AT', 8],
      ['RECORD_COUNT_AT', 4],
      ['RECORD_EPOCH_AT', 4],
      ['RECORD_BACK_AT', 4],
      ['RECORD_ATTEMPTS_AT', 4],
    ]);
  });

  test('row', () => {
    const expected = [4, 1, 1, 2, 4, 4, 8, 8, 4, 4, 4, 4];
    assert.deepEqual(
      sizes('ROW', layout.ROW_BYTES).map(([, bytes]) => bytes),
      expected,
    );
  });

  test('head, deferral and producer', () => {
    assert.deepEqual(
      sizes('HEAD', placed.HEAD_BYTES).map(([, bytes]) => bytes),
      [8, 8, 8, 8, 8, 8, 4, 2, 1, 1, 1, 1, 6],
    );
    assert.deepEqual(
      sizes('DEFERRAL', placed.DEFERRAL_BYTES).map(([, bytes]) => bytes),
      [8, 4, 4, 8, 8, 2, 1, 1, 1, 3],
    );
    assert.deepEqual(
      sizes('PRODUCER', placed.PRODUCER_BYTES).map(([, bytes]) => bytes),
      [16, 8, 8],
    );
    const room = layout.MARKS_MAX * layout.MARK_BYTES;
    assert.equal(placed.DEFERRALS_MAX, Math.floor(room / placed.DEFERRAL_BYTES));
    assert.equal(placed.PRODUCERS_MAX, Math.floor(room / placed.PRODUCER_BYTES));
  });

  test('mark, consumer header and segment header', () => {
    assert.deepEqual(
      sizes('MARK', layout.MARK_BYTES).map(([, bytes]) => bytes),
      [8, 4, 4],
    );
    assert.deepEqual(
      sizes('CONSUMER', layout.CONSUMER_HEADER_BYTES).map(([, bytes]) => bytes),
      [8, 8, 4],
    );
    const segment = fields('SEGMENT', 0).filter(({ name }) => name !== 'SEGMENT_DATA_AT');
    assert.deepEqual(
      segment.map(({ at }) => at),
      [0, 8, 12, 16, 24, 32, 40, 48, 52, 60],
    );
    assert.equal(layout.SEGMENT_CRC_AT + 4, layout.SEGMENT_HEADER_BYTES);
    assert.ok(layout.SEGMENT_HEADER_BYTES <= layout.SEGMENT_DATA_AT);
  });

  test('message of the stream', () => {
    const { STREAM_ENVELOPE_BYTES, STREAM_MAGIC } = cluster;
    assert.deepEqual(sizes('STREAM', STREAM_ENVELOPE_BYTES), [
      ['STREAM_CRC_AT', 4],
      ['STREAM_MAGIC_AT', 4],
      ['STREAM_LOG_ID_AT', 8],
      ['STREAM_POSITION_AT', 8],
      ['STREAM_EPOCH_AT', 4],
      ['STREAM_BATCH_AT', 4],
      ['STREAM_OFFSET_AT', 4],
      ['STREAM_NODE_AT', 4],
      ['STREAM_VERSION_AT', 1],
      ['STREAM_KIND_AT', 1],
      ['STREAM_JSON_AT', 2],
      ['STREAM_BODY_CRC_AT', 4],
    ]);
    assert.equal(Buffer.from(Uint32Array.of(STREAM_MAGIC).buffer).toString(), 'TMQS');
  });

  test('the magic is legible in a file', () => {
    const words = Uint32Array.of(layout.SEGMENT_MAGIC_LOW, layout.SEGMENT_MAGIC_HIGH);
    assert.equal(Buffer.from(words.buffer).toString(), 'ThrustMQ');
  });

  test('statuses, types and result slots have numbers of their own', () => {
    for (const prefix of ['INTAKE', 'SCAN', 'RESULT']) {
      const values = Object.entries(L)
        .filter(([name]) => name.startsWith(`${prefix}_`) && !/_(AT|BYTES)$/.test(name))
        .map(([, value]) => value);
      const sorted = [...values].sort((a, b) => a! - b!);
      assert.ok(sorted.length > 3);
      assert.deepEqual(
        sorted,
        sorted.map((_, i) => i),
      );
    }
    assert.equal(layout.RECORD_TYPE_MAX, layout.RECORD_IDS);
  });
});
