// Replay: what records mean when they are read back, batch by batch.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  MARK_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_RETURNED,
  RECORD_SETTLED,
} from '../../assembly/layout.ts';
import { createState } from '../../src/core/broker.ts';
import { Replay, SequenceSet } from '../../src/core/replay.ts';
import {
  BODY_BYTES,
  BUCKET_LOW,
  COUNT,
  OFFSET,
  ROW_WORDS,
  SEQUENCE_LOW,
  TYPE,
} from '../../src/core/rows.ts';
import { Random, seedOf } from '../support/random.ts';

const seed = seedOf('core/replay.test');

test('a set of sequences does as a Set does', () => {
  const random = new Random(seed);
  const set = new SequenceSet();
  const model = new Set<number>();
  const bases = [0, 65_536 - 40, 3 * 65_536 - 5, 2 ** 32 - 20, 2 ** 40];
  for (let step = 0; step < 400; step++) {
    const first = bases[random.below(bases.length)]! + random.below(2000);
    const count = random.below(80);
    set.add(first, count);
    for (let i = 0; i < count; i++) model.add(first + i);
  }
  for (const base of bases)
    for (let i = 0; i < 2200; i++) assert.equal(set.has(base + i), model.has(base + i));
  const wide = new SequenceSet();
  wide.add(100, 200_000);
  for (const sequence of [99, 200_100]) assert.equal(wide.has(sequence), false);
  for (const sequence of [100, 65_535, 65_536, 131_072, 200_099]) assert.ok(wide.has(sequence));
});

/** A replay that is fed rows as a scan would leave them. */
class Feed {
  readonly state = createState(1);
  readonly replay = new Replay(this.state.buckets, this.state.retention);
  #position = 4096;

  constructor() {
    this.replay.segment(0);
  }

  messages(bucket: number, sequence: number, count: number): number {
    const row = new Uint32Array(ROW_WORDS);
    row[TYPE] = RECORD_MESSAGES;
    row[OFFSET] = 8;
    row[BODY_BYTES] = 10 * count;
    row[BUCKET_LOW] = bucket;
    row[SEQUENCE_LOW] = sequence;
    row[COUNT] = count;
    this.replay.record(row, 0, this.#position, new Uint8Array(0));
    this.#position += 100;
    return this.#position - 92;
  }

  marks(type: number, ...marks: [number, number, number?][]): void {
    const row = new Uint32Array(ROW_WORDS);
    row[TYPE] = type;
    row[OFFSET] = 16;
    row[COUNT] = marks.length;
    const bytes = new Uint8Array(16 + RECORD_HEADER_BYTES + marks.length * MARK_BYTES);
    const view = new DataView(bytes.buffer, 16 + RECORD_HEADER_BYTES);
    marks.forEach(([sequence, count, attempts = 0], i) => {
      view.setBigUint64(i * MARK_BYTES, BigInt(sequence), true);
      view.setUint32(i * MARK_BYTES + 8, count, true);
      view.setUint32(i * MARK_BYTES + 12, attempts, true);
    });
    this.replay.record(row, 0, this.#position, bytes);
  }

  /** What is left of a bucket: [sequence, first, count, attempts] of each run. */
  left(bucket: number): [number, number, number, number][] {
    const { buckets } = this.state;
    const slot = buckets.find(bucket, 0);
    const runs: [number, number, number, number][] = [];
    if (slot === 0) return runs;
    for (let entry = buckets.peek(slot); entry !== 0; entry = buckets.peek(slot)) {
      const { sequence, first, count, attempts } = buckets.setAside(slot, entry);
      runs.push([sequence, first, count, attempts]);
    }
    return runs;
  }
}

describe('replay', () => {
  test('messages of complete batches wait again, in order', () => {
    const feed = new Feed();
    feed.messages(1, 1, 3);
    feed.messages(2, 4, 1);
    feed.messages(1, 5, 2);
    feed.replay.commit();
    feed.replay.finish();
    assert.equal(feed.replay.messages, 6);
    assert.equal(feed.state.buckets.ready, 6);
    assert.deepEqual(feed.left(1), [
      [1, 0, 3, 0],
      [5, 0, 2, 0],
    ]);
    assert.deepEqual(feed.left(2), [[4, 0, 1, 0]]);
  });

  test('a batch without its commit never happened, its marks included', () => {
    const feed = new Feed();
    feed.messages(1, 1, 2);
    feed.replay.commit();
    feed.messages(1, 3, 1);
    feed.marks(RECORD_SETTLED, [1, 2]);
    feed.replay.drop();
    feed.replay.finish();
    assert.deepEqual(feed.left(1), [[1, 0, 2, 0]]);
  });

  test('settled messages are gone, runs split around them, attempts stay', () => {
    const feed = new Feed();
    feed.messages(1, 10, 10);
    feed.replay.commit();
    feed.marks(RECORD_RETURNED, [13, 1, 1], [16, 2, 1]);
    feed.replay.commit();
    feed.marks(RECORD_SETTLED, [10, 1], [14, 2]);
    feed.marks(RECORD_RETURNED, [13, 1, 2]);
    feed.replay.commit();
    feed.replay.finish();
    assert.deepEqual(feed.left(1), [
      [11, 1, 2, 0],
      [13, 3, 1, 2],
      [16, 6, 2, 1],
      [18, 8, 2, 0],
    ]);
  });

  test('a mark may stand before its message is staged, and settles whole buckets away', () => {
    const feed = new Feed();
    feed.messages(1, 1, 4);
    feed.messages(2, 5, 1);
    feed.marks(RECORD_SETTLED, [1, 5]);
    feed.replay.commit();
    feed.replay.finish();
    assert.equal(feed.state.buckets.count, 0);
    assert.equal(feed.replay.messages, 0);
  });

  test('segments know how many live messages they hold', () => {
    const feed = new Feed();
    feed.messages(1, 1, 2);
    feed.replay.commit();
    feed.replay.segment(8192);
    feed.marks(RECORD_SETTLED, [1, 2]);
    feed.replay.commit();
    feed.replay.finish();
    assert.equal(feed.state.retention.needed(10_000), 8192);
    const other = new Feed();
    const position = other.messages(1, 1, 2);
    other.replay.commit();
    other.replay.segment(8192);
    other.marks(RECORD_SETTLED, [1, 1]);
    other.replay.commit();
    other.replay.finish();
    assert.equal(other.state.retention.needed(10_000), 0);
    other.state.retention.count(position, -1);
    assert.equal(other.state.retention.needed(10_000), 8192);
  });
});
