// Walks through segments at their edges: full to the last byte, more records than fit the rows, and
// records larger than memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MESSAGE_SIZE_BYTES,
  RECORD_HEADER_BYTES,
  ROWS_MAX,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { PlainCodec } from '../../../src/codec/plain.ts';
import type { Codec } from '../../../src/core/ports/codec.ts';
import { sequenceOf, TYPE } from '../../../src/core/records/rows.ts';
import { open } from '../../../src/log/files/promises.ts';
import { type Walk, walk } from '../../../src/log/scan/scan.ts';
import { keyOf } from '../../../src/log/segments/segment.ts';
import { type Built, buildSegment, codec, filesOf, LOG_ID, type Message } from '../harness.ts';

const AROUND = 2 * RECORD_HEADER_BYTES + MESSAGE_SIZE_BYTES; // a record of messages, and a commit

interface Walked {
  state: Walk;
  sequences: number[];
  commits: number;
}

async function walked(built: Built, with_: Codec = codec): Promise<Walked> {
  const { name, base } = built;
  const files = filesOf(built);
  const { handle, bytes } = await open(files, name);
  const got = { sequences: [] as number[], commits: 0 };
  const segment = { name, base, bytes, handle, key: keyOf(LOG_ID) };
  const state = await walk(files, with_, segment, 0, {
    record: (rows, at) => {
      if (rows[at + TYPE] === 1) got.sequences.push(sequenceOf(rows, at));
    },
    commit: () => void got.commits++,
  });
  return { state, ...got };
}

const filling = (bytes: number): Message => ({ bucket: 1, body: new Uint8Array(bytes).fill(7) });

test('a segment that is full to its last byte, and does not say that it is the last', async () => {
  const room = 8192 - SEGMENT_DATA_AT;
  const built = buildSegment({ bytes: 8192 }, [
    { messages: [filling(1000 - AROUND)] },
    { messages: [filling(room - 1000 - AROUND)] },
  ]);
  assert.equal(built.offsets.at(-1), 8192);
  const { state, sequences, commits } = await walked(built);
  assert.deepEqual([sequences, commits], [[1, 2], 2]);
  assert.deepEqual([state.committed, state.stopped, state.last], [8192, 8192, false]);
});

test('more records than there are rows: each is handed on once, in order', async () => {
  const count = 2 * ROWS_MAX + 7;
  const batches = Array.from({ length: 3 }, (_, batch) => ({
    messages: Array.from({ length: batch < 2 ? ROWS_MAX : 7 }, (_, i) => ({
      bucket: i % 2,
      body: 'x',
    })),
  }));
  const built = buildSegment({ bytes: 4 * 1024 * 1024 }, batches);
  const { state, sequences, commits } = await walked(built);
  assert.equal(commits, 3);
  assert.equal(state.records, count + 3);
  assert.deepEqual(
    sequences,
    Array.from({ length: count }, (_, i) => i + 1),
  );
  assert.equal(state.stopped, built.offsets.at(-1));
});

test('a record larger than memory is where the walk ends; one that just fits is read', async () => {
  const coldBytes = 64 * 1024;
  const options = { inboxBytes: 4096, outboxBytes: 4096, ringBytes: 4096, coldBytes };
  const fits = coldBytes - RECORD_HEADER_BYTES - MESSAGE_SIZE_BYTES;
  for (const [size, last] of [
    [fits, 3],
    [fits + 8, 1],
  ] as const) {
    const messages = [{ bucket: 1, body: 'first' }, filling(size), { bucket: 2, body: 'behind' }];
    const batches = messages.map((message) => ({ messages: [message] }));
    const built = buildSegment({ bytes: 256 * 1024 }, batches);
    const { state, sequences } = await walked(built, new PlainCodec(options));
    assert.equal(sequences.length, last, `${size} bytes`);
    assert.equal(state.committed, built.offsets[last]);
    assert.equal(state.stopped, built.offsets[last]);
  }
});
