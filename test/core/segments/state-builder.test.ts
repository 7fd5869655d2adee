// Replay: what records mean when they are read back, batch by batch.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  MARK_BYTES,
  RECORD_DEFERRED,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_RETURNED,
  RECORD_SETTLED,
} from '../../../assembly/layout.ts';
import { DEFERRAL_BYTES } from '../../../assembly/layout-placed.ts';
import { type Deferral, writeDeferral } from '../../../src/core/records/placed.ts';
import {
  ATTEMPTS,
  BODY_BYTES,
  BUCKET_LOW,
  COUNT,
  OFFSET,
  ROW_WORDS,
  SEQUENCE_LOW,
  TYPE,
} from '../../../src/core/records/rows.ts';
import { createState } from '../../../src/core/segments/state.ts';
import { Replay } from '../../../src/log/recovery/replay.ts';

/** A replay that is fed rows as a scan would leave them. */
const NO_PAGES = {
  segments: [],
  stored: [],
  settled: [],
  attempts: [],
  waiting: [],
  placed: [],
  dead: [],
  settings: [],
  turns: [],
  levels: [],
};

class Feed {
  readonly state = createState(1);
  readonly replay = new Replay(this.state);
  #position = 4096;

  constructor(segment = true) {
    if (segment) this.replay.segment(0);
  }

  messages(bucket: number, sequence: number, count: number, attempts = 0): number {
    const row = new Uint32Array(ROW_WORDS);
    row[TYPE] = RECORD_MESSAGES;
    row[OFFSET] = 8;
    row[BODY_BYTES] = 10 * count;
    row[BUCKET_LOW] = bucket;
    row[SEQUENCE_LOW] = sequence;
    row[COUNT] = count;
    row[ATTEMPTS] = attempts;
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

  deferral(sequence: number, count: number, differs: Partial<Deferral> = {}): void {
    const row = new Uint32Array(ROW_WORDS);
    row[TYPE] = RECORD_DEFERRED;
    row[COUNT] = 1;
    const bytes = new Uint8Array(RECORD_HEADER_BYTES + DEFERRAL_BYTES);
    const marks = new DataView(bytes.buffer, RECORD_HEADER_BYTES);
    const said = { turn: 1, dueMs: 5, bucket: 1n, attempts: 1, kind: 0, level: 0, cause: 0 };
    writeDeferral(marks, 0, { sequence, count, ...said, ...differs });
    this.replay.record(row, 0, this.#position, bytes);
  }

  segment(base: number, sparse = false): void {
    this.replay.segment(base, sparse);
    this.#position = base + 4096;
  }

  finish(): Promise<void> {
    return this.replay.finish(async () => assert.fail('nothing was compacted'));
  }

  /** What is left of a bucket: [sequence, first, count, attempts] of each run. */
  left(bucket: number): [number, number, number, number][] {
    const { buckets } = this.state;
    const slot = buckets.find(bucket, 0);
    const runs: [number, number, number, number][] = [];
    if (slot === 0) return runs;
    for (let part = buckets.peek(slot); part !== undefined; part = buckets.peek(slot)) {
      const { sequence, first, count, attempts } = buckets.setAside(part);
      runs.push([sequence, first, count, attempts]);
    }
    return runs;
  }
}

describe('replay', () => {
  test('messages of complete batches wait again, in order', async () => {
    const feed = new Feed();
    feed.messages(1, 1, 3);
    feed.messages(2, 4, 1);
    feed.messages(1, 5, 2);
    feed.replay.commit();
    await feed.finish();
    assert.equal(feed.replay.builder.messages, 6);
    assert.equal(feed.state.buckets.ready, 6);
    assert.deepEqual(feed.left(1), [
      [1, 0, 3, 0],
      [5, 0, 2, 0],
    ]);
    assert.deepEqual(feed.left(2), [[4, 0, 1, 0]]);
  });

  test('a mark of what a compaction left out does not count in the known segment before', async () => {
    const feed = new Feed(false);
    feed.replay.builder.known({ base: 0, first: 1, end: 5, messages: 4, live: 4 });
    feed.segment(32_768, true);
    feed.messages(1, 8, 1);
    feed.replay.commit();
    feed.segment(65_536);
    feed.marks(RECORD_SETTLED, [5, 3]);
    feed.marks(RECORD_SETTLED, [3, 3]);
    feed.replay.commit();
    await feed.finish();
    assert.deepEqual(
      feed.state.retention.segments.map(({ live }) => live),
      [2, 1, 0],
    );
  });

  test('a batch without its commit never happened, its marks included', async () => {
    const feed = new Feed();
    feed.messages(1, 1, 2);
    feed.replay.commit();
    feed.messages(1, 3, 1);
    feed.marks(RECORD_SETTLED, [1, 2]);
    feed.replay.drop();
    await feed.finish();
    assert.deepEqual(feed.left(1), [[1, 0, 2, 0]]);
  });

  test('settled messages are gone, runs split around them, attempts stay', async () => {
    const feed = new Feed();
    feed.messages(1, 10, 10);
    feed.replay.commit();
    feed.marks(RECORD_RETURNED, [13, 1, 1], [16, 2, 1]);
    feed.replay.commit();
    feed.marks(RECORD_SETTLED, [10, 1], [14, 2]);
    feed.marks(RECORD_RETURNED, [13, 1, 2]);
    feed.replay.commit();
    await feed.finish();
    assert.deepEqual(feed.left(1), [
      [11, 1, 2, 0],
      [13, 3, 1, 2],
      [16, 6, 2, 1],
      [18, 8, 2, 0],
    ]);
  });

  test('a record may carry attempts; of those and what a mark says the higher counts', async () => {
    const feed = new Feed();
    feed.messages(1, 1, 3, 3);
    feed.marks(RECORD_RETURNED, [2, 1, 2], [3, 1, 4]);
    feed.replay.commit();
    await feed.finish();
    assert.deepEqual(feed.left(1), [
      [1, 0, 2, 3],
      [3, 2, 1, 4],
    ]);
  });

  test('a mark may stand before its message is staged, and settles whole buckets away', async () => {
    const feed = new Feed();
    feed.messages(1, 1, 4);
    feed.messages(2, 5, 1);
    feed.marks(RECORD_SETTLED, [1, 5]);
    feed.replay.commit();
    await feed.finish();
    assert.equal(feed.state.buckets.count, 0);
    assert.equal(feed.replay.builder.messages, 0);
  });

  test('what a mark says of messages that are gone waits for nothing', async () => {
    const feed = new Feed();
    feed.deferral(3, 2);
    feed.replay.commit();
    feed.messages(1, 10, 2);
    feed.deferral(10, 1);
    feed.replay.commit();
    await feed.replay.finish(async () => {});
    const { buckets } = feed.state;
    assert.deepEqual([...buckets.outcomes.waiting.runs(0, 100)], [[10, 1]]);
    assert.deepEqual([buckets.ready, buckets.delayed.count], [1, 1]);
  });

  test('likewise where the oldest segments hold no messages, or none does', async () => {
    for (const holds of [true, false]) {
      const feed = new Feed();
      feed.segment(8192);
      feed.deferral(3, 2);
      if (holds) feed.messages(1, 10, 2);
      feed.replay.commit();
      await feed.replay.finish(async () => {});
      const { buckets } = feed.state;
      assert.deepEqual([...buckets.outcomes.waiting.runs(0, 100)], []);
      assert.deepEqual([buckets.ready, buckets.delayed.count], [holds ? 2 : 0, 0]);
    }
  });

  test('segments know how many live messages they hold', async () => {
    const feed = new Feed();
    feed.messages(1, 1, 2);
    feed.replay.commit();
    feed.segment(8192);
    feed.marks(RECORD_SETTLED, [1, 2]);
    feed.replay.commit();
    await feed.finish();
    assert.equal(feed.state.retention.needed(10_000), 8192);
    const other = new Feed();
    const position = other.messages(1, 1, 2);
    other.replay.commit();
    other.replay.segment(8192);
    other.marks(RECORD_SETTLED, [1, 1]);
    other.replay.commit();
    await other.finish();
    assert.equal(other.state.retention.needed(10_000), 0);
    other.state.retention.settle(position, 1);
    assert.equal(other.state.retention.needed(10_000), 8192);
  });

  test('a segment that is complete leaves memory for its index', async () => {
    const feed = new Feed();
    const { buckets } = feed.state;
    const indexed: [number, number][] = [];
    feed.messages(1, 1, 2);
    feed.messages(2, 3, 1);
    feed.messages(3, 4, 5);
    feed.replay.commit();
    await feed.replay.sealed(async (source) => {
      for (let i = 0; i < source.count; i++)
        indexed.push([source.lines.bucketLow(i), source.sequence(i)]);
    });
    feed.segment(8192);
    feed.messages(1, 9, 4);
    feed.marks(RECORD_SETTLED, [3, 1], [10, 1]);
    feed.replay.commit();
    await feed.finish();
    assert.deepEqual(indexed, [
      [1, 1],
      [2, 3],
      [3, 4],
    ]);
    assert.deepEqual(feed.replay.builder.inMemory, [{ base: 8192, from: 4 }]);
    assert.equal(buckets.ready, 10);
    assert.ok(buckets.isPartial);
    assert.equal(buckets.find(3, 0), 0, 'what is in an index only need not be known');
    const slot = buckets.find(1, 0);
    assert.equal(buckets.isCounted(slot), false);
    assert.equal(buckets.readyOf(slot), 3, 'what is in an index is counted when it is found');
    assert.equal(buckets.peek(slot), undefined, 'older messages are looked up first');
    assert.deepEqual(buckets.placeOf(slot), { low: 1, high: 0, kind: 0, next: 0 });
    buckets.openSubscription(slot).consumers++;
    const record = {
      sequence: 1,
      position: 4104,
      messages: 2,
      bodyBytes: 20,
      attempts: 0,
      kind: 0,
    };
    assert.equal(buckets.indexed.found(slot, [record]), 2);
    assert.equal(buckets.readyOf(slot), 5);
    buckets.take(buckets.peek(slot)!, 2);
    buckets.indexed.exhausted(slot);
    assert.deepEqual([buckets.isCounted(slot), buckets.readyOf(slot)], [true, 3]);
  });

  test('when nothing waits in indexes, what is known is all there is', async () => {
    const feed = new Feed();
    const { buckets } = feed.state;
    feed.messages(1, 1, 2);
    feed.messages(2, 3, 1);
    feed.replay.commit();
    await feed.replay.sealed(async () => {});
    feed.segment(8192);
    feed.messages(1, 4, 4);
    feed.marks(RECORD_SETTLED, [1, 3]);
    feed.replay.commit();
    await feed.finish();
    assert.equal(buckets.isPartial, false);
    assert.equal(buckets.count, 1);
    const slot = buckets.find(1, 0);
    assert.deepEqual([buckets.isCounted(slot), buckets.readyOf(slot)], [true, 4]);
    assert.deepEqual(feed.left(1), [[4, 0, 4, 0]]);
  });

  test('a checkpoint stands for the segments before it', async () => {
    const feed = new Feed(false);
    const { buckets, fates } = { ...feed.state, fates: feed.state.buckets.outcomes };
    const bits = new Uint32Array(2048);
    bits[0] = 0b1110;
    feed.replay.builder.restore({ ...NO_PAGES, settled: [[0, bits]], attempts: [[0, 7]] });
    feed.replay.builder.known({ base: 0, first: 1, end: 6, messages: 5, live: 2 });
    feed.segment(8192);
    feed.messages(1, 6, 1);
    feed.marks(RECORD_SETTLED, [4, 1]);
    feed.replay.commit();
    await feed.finish();
    assert.equal(feed.replay.builder.messages, 2);
    assert.deepEqual(
      [fates.settled.has(3), fates.settled.has(5), fates.attempts.get(5)],
      [true, false, 7],
    );
    assert.ok(buckets.isPartial);
    assert.deepEqual(
      feed.state.retention.segments.map(({ base, live }) => [base, live]),
      [
        [0, 1],
        [8192, 1],
      ],
    );
  });

  test('a segment that is read although a checkpoint knows it says nothing of times and levels', async () => {
    const feed = new Feed(false);
    const { waiting, turns, levels } = feed.state.buckets.outcomes;
    const page = (...numbers: [sequence: number, value: number][]): Uint8Array => {
      const values = new Uint8Array(4096);
      for (const [sequence, value] of numbers) values[sequence] = value;
      return values;
    };
    // 1 was lost with others and 2 was ready again, both since what the first segment says of them.
    const told = {
      segments: [{ base: 0 }, { base: 8192 }],
      turns: [[0, page([1, 1], [2, 1])]] as [number, Uint8Array][],
      levels: [[0, page([1, 3])]] as [number, Uint8Array][],
    };
    feed.replay.builder.restore({ ...NO_PAGES, ...told });
    feed.segment(0);
    feed.messages(1, 1, 4);
    feed.deferral(1, 2);
    feed.replay.commit();
    feed.replay.builder.known({ base: 8192, first: 5, end: 6, messages: 1, live: 1 });
    const known = (sequence: number) => [
      waiting.has(sequence),
      turns.get(sequence),
      levels.get(sequence),
    ];
    assert.deepEqual([1, 2].map(known), [
      [false, 1, 3],
      [false, 1, 0],
    ]);
    // What stands behind is news.
    feed.segment(16_384);
    feed.deferral(1, 1, { dueMs: 0, level: 2 });
    feed.deferral(3, 1);
    feed.replay.commit();
    await feed.replay.finish(async () => {});
    assert.deepEqual([1, 2, 3].map(known), [
      [false, 1, 2],
      [false, 1, 0],
      [true, 1, 0],
    ]);
  });

  test('dead messages and settings that a checkpoint names count while they are in the log', async () => {
    const feed = new Feed(false);
    const { buckets } = feed.state;
    const [dead, settings] = [new Uint32Array(2048), new Uint32Array(2048)];
    // Sequences 2, 4, 7 and 8 died; 5, 9 and 22 are settings.
    dead[0] = (1 << 2) | (1 << 4) | (1 << 7) | (1 << 8);
    settings[0] = (1 << 5) | (1 << 9) | (1 << 22);
    const bits = new Uint32Array(2048);
    bits[0] = 1 << 2;
    const known = { ...NO_PAGES, settled: [[0, bits]] as [number, Uint32Array][] };
    feed.replay.builder.restore({ ...known, dead: [[0, dead]], settings: [[0, settings]] });
    feed.replay.builder.known({ base: 0, first: 1, end: 6, messages: 5, live: 4 });
    // What was compacted is not there any more, though its acks were lost: 7, 8 and 9.
    feed.segment(8192);
    feed.messages(1, 20, 1);
    feed.replay.commit();
    feed.replay.builder.known({ base: 16_384, first: 22, end: 25, messages: 3, live: 3 });
    feed.segment(24_576);
    feed.messages(1, 25, 1);
    feed.replay.commit();
    // No record of the settings in other segments was read, so they are asked for.
    const asked: number[] = [];
    await feed.replay.finish(async (base) => void asked.push(base));
    assert.deepEqual(asked, [0, 16_384]);
    // 4 is dead, 5 and 22 are settings.
    assert.equal(feed.state.retention.live, 9);
    assert.deepEqual([buckets.ready, buckets.dead], [6, 1]);
  });

  test('marks about what the segment behind it held, which is compacted, do not count in it', async () => {
    const feed = new Feed(false);
    feed.replay.builder.restore(NO_PAGES);
    feed.replay.builder.known({ base: 0, first: 1, end: 6, messages: 5, live: 5 });
    feed.segment(8192);
    feed.messages(1, 20, 1);
    feed.marks(RECORD_SETTLED, [6, 14]);
    feed.replay.commit();
    await feed.finish();
    assert.equal(feed.state.retention.segments[0]?.live, 5);
  });
});
