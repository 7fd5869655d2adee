// When segments are compacted: by hand, against a log that answers as it is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createState } from '../../src/core/broker.ts';
import { Compaction } from '../../src/core/compaction.ts';
import type { CompactionRequest, Failure } from '../../src/core/ports.ts';
import { FakeLog, smallCodec } from '../support/world.ts';

type Done = (failure: Failure, smaller: boolean) => void;

class AskedLog extends FakeLog {
  readonly asked: { bases: readonly number[]; done: Done }[] = [];

  override compact({ bases }: CompactionRequest, done: Done): void {
    this.asked.push({ bases, done });
  }
}

function setUp(): { log: AskedLog; compaction: Compaction; ended: boolean[] } {
  const { buckets, retention } = createState(1);
  const log = new AskedLog(smallCodec(), 1000, 0);
  for (let i = 0; i < 6; i++) {
    retention.open(i * 1000, 1 + i * 10);
    retention.add(i * 1000, 1 + i * 10, 10);
    retention.settle(i * 1000, 8);
  }
  const ended: boolean[] = [];
  const compaction = new Compaction({
    buckets,
    retention,
    log,
    memoryFrom: () => 5000,
    moved: () => {},
    ended: (_failure, smaller) => void ended.push(smaller),
  });
  return { log, compaction, ended };
}

test('segments at rest that hold little, and neither those in memory nor the one before', () => {
  const { log, compaction } = setUp();
  compaction.advance(999, false);
  assert.equal(log.asked.length, 0, 'they may be consumed whole in a moment');
  compaction.advance(1000, false);
  assert.deepEqual(log.asked[0]!.bases, [0, 1000, 2000, 3000]);
  compaction.advance(2000, false);
  assert.equal(log.asked.length, 1, 'one at a time');
});

test('what failed is tried again, what was not worth it is not', () => {
  const { log, compaction, ended } = setUp();
  compaction.advance(1000, false);
  log.asked[0]!.done(new Error('ENOSPC'), false);
  compaction.advance(4999, false);
  assert.equal(log.asked.length, 1, 'not at once');
  compaction.advance(6000, false);
  assert.equal(log.asked.length, 2);
  log.asked[1]!.done(undefined, false);
  compaction.advance(20_000, false);
  assert.equal(log.asked.length, 2);
  assert.deepEqual(ended, [false, false]);
});
