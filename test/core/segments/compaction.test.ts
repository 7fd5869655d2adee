// When segments are compacted: by hand, against a log that answers as it is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failure } from '../../../src/core/ports/basics.ts';
import type { CompactionRequest } from '../../../src/core/ports/upkeep.ts';
import { Compaction } from '../../../src/core/segments/compaction.ts';
import type { Retention } from '../../../src/core/segments/retention.ts';
import { createState } from '../../../src/core/segments/state.ts';

const SEGMENT = 20_000;

type Done = (failure: Failure, smaller: boolean) => void;

class AskedLog {
  readonly asked: { bases: readonly number[]; done: Done }[] = [];
  readonly segmentBytes = SEGMENT;

  fileBytes(): number {
    return SEGMENT;
  }

  compact({ bases }: CompactionRequest, done: Done): void {
    this.asked.push({ bases, done });
  }
}

interface Setup {
  log: AskedLog;
  compaction: Compaction;
  ended: boolean[];
  retention: Retention;
}

// Six segments of a record each, of whose ten messages `settled` are settled.
// `onEnded` says how late it is by then.
function setUp({
  entriesMax = 1000,
  settled = 8,
  bytes = 0,
  onEnded = (nowMs: number) => nowMs,
} = {}): Setup {
  const { buckets, retention, times } = createState(1);
  const log = new AskedLog();
  for (let i = 0; i < 6; i++) {
    retention.open(i * SEGMENT, 1 + i * 10);
    retention.add(i * SEGMENT, 1 + i * 10, 10, bytes);
    retention.settle(i * SEGMENT, settled);
  }
  const ended: boolean[] = [];
  const compaction = new Compaction({
    buckets,
    retention,
    times,
    space: log,
    upkeep: log,
    entriesMax,
    memoryFrom: () => 5 * SEGMENT,
    moved: () => {},
    ended: (_failure, smaller) => {
      retention.nowMs = onEnded(retention.nowMs);
      ended.push(smaller);
    },
  });
  return { log, compaction, ended, retention };
}

test('segments at rest that hold little, and neither those in memory nor the one before', () => {
  const { log, compaction } = setUp();
  compaction.advance(999, false);
  assert.equal(log.asked.length, 0, 'they may be consumed whole in a moment');
  compaction.advance(1000, false);
  assert.deepEqual(log.asked[0]!.bases, [0, SEGMENT, 2 * SEGMENT, 3 * SEGMENT]);
  compaction.advance(2000, false);
  assert.equal(log.asked.length, 1, 'one at a time');
});

test('what was not worth it is not tried again', () => {
  const { log, compaction, ended } = setUp();
  compaction.advance(1000, false);
  log.asked[0]!.done(undefined, false);
  compaction.advance(20_000, false);
  assert.equal(log.asked.length, 1);
  assert.deepEqual(ended, [false]);
});

test('what failed is tried again with half as many, and what fails alone is set aside', () => {
  const { log, compaction, ended, retention } = setUp();
  let nowMs = 1000;
  const failAgain = () => {
    retention.nowMs = nowMs;
    compaction.advance(nowMs, false);
    const last = log.asked.at(-1)!;
    const { length } = log.asked;
    last.done(new Error('ENOSPC'), false);
    compaction.advance(nowMs + 4999, false);
    assert.equal(log.asked.length, length, 'not at once');
    nowMs += 5000;
    return last.bases;
  };
  assert.deepEqual(failAgain(), [0, SEGMENT, 2 * SEGMENT, 3 * SEGMENT]);
  assert.deepEqual(failAgain(), [0, SEGMENT]);
  assert.deepEqual(failAgain(), [0]);
  // The others are not kept from it by one that cannot be read.
  assert.deepEqual(failAgain(), [SEGMENT, 2 * SEGMENT, 3 * SEGMENT]);
  assert.deepEqual(failAgain(), [SEGMENT]);
  compaction.advance(nowMs, false);
  assert.deepEqual(log.asked.at(-1)!.bases, [2 * SEGMENT, 3 * SEGMENT]);
  log.asked.at(-1)!.done(undefined, false);
  nowMs += 60_000;
  compaction.advance(nowMs, false);
  assert.deepEqual(log.asked.at(-1)!.bases, [0, SEGMENT], 'nor for ever');
  assert.equal(ended.length, 6);
});

test('the pause after a failure begins with it, however long nobody was woken before', () => {
  const { log, compaction, retention } = setUp({ onEnded: () => 31_000 });
  retention.nowMs = 1000;
  compaction.advance(1000, false);
  log.asked[0]!.done(new Error('EIO'), false);
  compaction.advance(31_025, false);
  assert.equal(log.asked.length, 1, 'not at once');
  assert.equal(retention.nowMs, 31_000);
  assert.equal(compaction.dueMs, 36_000);
});

test('no more records become one segment than it may hold', () => {
  const { log, compaction } = setUp({ entriesMax: 2 });
  compaction.advance(1000, false);
  assert.deepEqual(log.asked[0]!.bases, [0, SEGMENT]);
});

test('a segment that was complete before it was full is as good as half empty', () => {
  const full = setUp({ settled: 0 });
  full.compaction.advance(1000, false);
  assert.equal(full.log.asked.length, 0, 'all of it is needed');
  const early = setUp({ settled: 0, bytes: 3000 });
  early.compaction.advance(1000, false);
  assert.deepEqual(early.log.asked[0]!.bases, [0, SEGMENT]);
});

test('a log that does not change is looked at once, and again when a segment has come to rest', () => {
  const { log, compaction, retention } = setUp({ settled: 8 });
  let looks = 0;
  const { segmentBytes } = log;
  log.fileBytes = () => {
    looks++;
    return segmentBytes;
  };
  compaction.advance(500, false);
  assert.ok(looks > 0);
  looks = 0;
  for (let nowMs = 500; nowMs < 1000; nowMs++) compaction.advance(nowMs, false);
  assert.equal(looks, 0, 'nothing has changed');
  assert.equal(compaction.dueMs, 1000);
  retention.nowMs = 900;
  for (let i = 0; i < 6; i++) retention.settle(i * SEGMENT, 1);
  compaction.advance(1000, false);
  assert.ok(looks > 0 && log.asked.length === 0, 'they are in use');
  assert.equal(compaction.dueMs, 1900);
  compaction.advance(1900, false);
  assert.equal(log.asked.length, 1);
  assert.equal(compaction.dueMs, Number.POSITIVE_INFINITY, 'its end is heard of');
  log.asked[0]!.done(undefined, false);
  compaction.advance(1925, false);
  assert.equal(compaction.dueMs, Number.POSITIVE_INFINITY, 'nothing is left to be made smaller');
});

test('a long log that changes all the time is looked at a small share of the time', () => {
  const { log, retention } = setUp({ settled: 0 });
  for (let i = 6; i < 2000; i++) {
    retention.open(i * SEGMENT, 1 + i * 10);
    retention.add(i * SEGMENT, 1 + i * 10, 10);
  }
  let looks = 0;
  log.fileBytes = () => {
    looks++;
    return SEGMENT;
  };
  const compaction = new Compaction({
    buckets: createState(1).buckets,
    times: createState(1).times,
    retention,
    space: log,
    upkeep: log,
    entriesMax: 1000,
    memoryFrom: () => 1998 * SEGMENT,
    moved: () => {},
    ended: () => {},
  });
  for (let nowMs = 0; nowMs < 10_000; nowMs += 25) {
    retention.nowMs = nowMs;
    retention.settle(3 * SEGMENT, nowMs % 1000 === 0 && nowMs < 5000 ? 1 : 0);
    compaction.advance(nowMs, false);
  }
  assert.ok(looks < 55 * 4 * 2000, `${looks} files were asked for`);
});
