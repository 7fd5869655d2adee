// Records as they are laid: every byte set although the stage is used again, the time in full, and
// lists of what moved that outgrow their first size. compact.test reads whole segments back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RECORD_BODY_BYTES_AT,
  RECORD_BUCKET_AT,
  RECORD_COMMIT,
  RECORD_HEADER_BYTES,
  RECORD_SEQUENCE_AT,
  RECORD_SETTLED,
  RECORD_TYPE_AT,
} from '../../../assembly/layout.ts';
import { type Fields, MovedEntries, Repacker } from '../../../src/log/compaction/repack.ts';
import { Random, seedOf } from '../../support/random.ts';
import { smallCodec } from '../../support/world.ts';

const BASE = 2 ** 40;
const TIME_MS = 1_700_000_000_000;

function repacker() {
  const codec = smallCodec();
  codec.memory.fill(0xff, 0, 4096);
  return new Repacker({ codec, base: BASE, key: 7, timeMs: TIME_MS });
}

const record = (sequence: number): Fields => ({
  type: 1,
  sequence,
  bucketLow: 5,
  bucketHigh: 6,
  count: 1,
  attempts: 2,
});

test('what was in the stage before does not show, neither in headers nor behind bodies', () => {
  const [used, fresh] = [repacker(), repacker()];
  used.add(record(1), 0, 1000, 1);
  used.commit(2, false);
  used.take().fill(0xee);
  // As far into the segment, but through a stage that is longer than all of it.
  fresh.add(record(1), 0, 1000, 1);
  fresh.commit(2, false);
  const before = fresh.stagedBytes;
  for (const each of [used, fresh]) {
    each.add(record(2), 0, 3, 2);
    each.commit(3, true);
  }
  assert.deepEqual(used.take(), fresh.take().subarray(before));
});

test('the time of a commit is whole', () => {
  const each = repacker();
  each.add(record(1), 0, 8, 1);
  const at = each.stagedBytes;
  each.commit(2, true);
  const bytes = each.take();
  assert.equal(bytes.length, at + RECORD_HEADER_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset + at);
  assert.equal(view.getBigUint64(RECORD_BUCKET_AT, true), BigInt(TIME_MS));
});

test('a commit says when its messages were stored, at the latest; what is far apart is parted', () => {
  const codec = smallCodec();
  // By sequence, in seconds; the clock was set back before the fifth.
  const seconds = [0, 100, 104, 110, 111, 40, 41, 500];
  const storedMs = (sequence: number) => TIME_MS + seconds[sequence]! * 1000;
  const each = new Repacker({ codec, base: BASE, key: 7, timeMs: TIME_MS + 9e6, storedMs });
  each.commit(1, false);
  for (let sequence = 1; sequence < seconds.length; sequence++)
    each.add(record(sequence), 0, 8, sequence);
  each.add({ ...record(0), type: RECORD_SETTLED }, 0, 16, seconds.length);
  each.commit(seconds.length, true);
  const bytes = each.take().slice();
  const view = new DataView(bytes.buffer);
  const commits: [next: number, seconds: number][] = [];
  for (let at = 0; at < bytes.length; ) {
    const number = (field: number) => Number(view.getBigUint64(at + field, true));
    if (bytes[at + RECORD_TYPE_AT] === RECORD_COMMIT)
      commits.push([number(RECORD_SEQUENCE_AT), (number(RECORD_BUCKET_AT) - TIME_MS) / 1000]);
    at += RECORD_HEADER_BYTES + Math.ceil(view.getUint32(at + RECORD_BODY_BYTES_AT, true) / 8) * 8;
  }
  assert.deepEqual(commits, [
    [1, 9000],
    [4, 110],
    [5, 111],
    [7, 41],
    [8, 500],
  ]);
});

test('a list of what moved keeps every field, however long it gets', () => {
  const random = new Random(seedOf('log/compaction/repack.test'));
  const entries = new MovedEntries();
  const word = () => random.below(2 ** 32);
  const added = Array.from({ length: 1000 }, (_, i) => ({
    fields: {
      ...{ type: 1, sequence: 2 ** 50 + i, bucketLow: word(), bucketHigh: word() },
      ...{ count: 1 + random.below(1000), attempts: random.below(65_536) },
    },
    position: BASE + i * 64,
    bodyBytes: word(),
  }));
  for (const { fields, position, bodyBytes } of added) entries.add(fields, position, bodyBytes);
  assert.equal(entries.count, added.length);
  for (const [i, { fields, position, bodyBytes }] of added.entries()) {
    const { sequence, bucketLow, bucketHigh, count, attempts } = fields;
    assert.deepEqual(
      [entries.sequence(i), entries.position(i), entries.bodyBytes(i), entries.messages(i)],
      [sequence, position, bodyBytes, count],
    );
    assert.deepEqual(
      [entries.bucketLow(i), entries.bucketHigh(i), entries.attempts(i)],
      [bucketLow, bucketHigh, attempts],
    );
  }
});
