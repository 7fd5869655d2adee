// What segments hold and which may be given back, against a model.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import { BugError } from '../../../src/core/assert.ts';
import { liveBytesOf, Retention } from '../../../src/core/segments/retention.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/segments/retention.test');

describe('retention', () => {
  test('the oldest segment with a live message bounds what may go', () => {
    const retention = new Retention();
    for (const base of [0, 100, 200, 300]) retention.open(base, 1 + base / 10);
    retention.add(10, 1, 2);
    retention.add(110, 11, 1);
    retention.add(299, 21, 4);
    assert.equal(retention.needed(350), 0);
    retention.settle(99, 2);
    assert.equal(retention.needed(350), 100);
    retention.settle(110, 1);
    assert.equal(retention.needed(350), 200);
    retention.settle(200, 4);
    assert.equal(retention.needed(350), 300);
    assert.equal(retention.needed(299), 200, 'never beyond what is durable');
    retention.trimmed(300);
    assert.equal(retention.needed(350), 300);
    retention.add(310, 31, 1);
    assert.throws(() => retention.settle(299, 1), BugError);
    assert.throws(() => retention.settle(310, 2), BugError);
  });

  test(`the oldest sequence and the oldest live segment, as a search finds them (seed ${seed})`, () => {
    assert.deepEqual(
      [new Retention().oldestSequence, new Retention().oldestLive()],
      [0, undefined],
    );
    const random = new Random(seed);
    for (let round = 0; round < 200; round++) {
      const retention = new Retention();
      let base = random.below(50);
      for (let count = 1 + random.below(20); count > 0; count--) {
        retention.open(base, 1 + base, 5, random.chance(0.3) ? 1 + random.below(5) : 0);
        base += 1 + random.below(30);
      }
      const { segments } = retention;
      assert.equal(retention.oldestSequence, segments[0]!.first);
      const live = segments.filter((segment) => segment.live > 0);
      assert.equal(retention.oldestLive(), live[0]);
      for (let from = 0; from < base + 5; from++)
        assert.equal(
          retention.oldestLive(from),
          live.find((segment) => segment.base >= from),
        );
    }
  });

  test(`where a base is among the segments, as a search from the first finds it (seed ${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 200; round++) {
      const retention = new Retention();
      let base = random.below(50);
      for (let count = random.below(20); count > 0; count--) {
        retention.open(base, 1 + base);
        base += 1 + random.below(30);
      }
      const { segments } = retention;
      for (let at = -1; at < base + 5; at++) {
        const index = segments.findIndex((segment) => segment.base >= at);
        assert.equal(retention.indexFrom(at), index < 0 ? segments.length : index);
        assert.equal(
          retention.has(at),
          segments.some((segment) => segment.base === at),
        );
      }
    }
  });

  test('live bytes: the share of messages that wait, of what the records take or of the file', () => {
    const retention = new Retention();
    retention.open(0, 1);
    retention.open(1000, 11, 10, 5);
    retention.add(100, 1, 4, 160);
    retention.add(300, 5, 4, 240);
    retention.settle(100, 2);
    const [read, known] = retention.segments;
    assert.equal(liveBytesOf(read!, 10_000), ((SEGMENT_DATA_AT + 400) * 6) / 8);
    assert.equal(liveBytesOf(known!, 1000), 500);
    assert.equal(liveBytesOf({ ...read!, live: 0, messages: 0 }, 1000), 0);
    retention.merged(0, 2000);
    assert.equal(liveBytesOf(retention.segments[0]!, 700), 700, 'compacted: all of the file');
  });

  test('segments open in order', () => {
    const retention = new Retention();
    assert.equal(retention.needed(0), 0);
    retention.open(64, 1);
    assert.throws(() => retention.open(64, 1), BugError);
    assert.throws(() => retention.open(0, 1), BugError);
  });

  test('what was live in a segment that is given back counts no more', () => {
    const retention = new Retention();
    retention.open(0, 1, 10, 4);
    retention.open(100, 11, 10, 7);
    assert.equal(retention.live, 11);
    retention.trimmed(100);
    assert.equal(retention.live, 7);
    assert.deepEqual(
      retention.segments.map(({ base }) => base),
      [100],
    );
  });

  test('counts made again in recovery', () => {
    const retention = new Retention();
    retention.open(0, 1, 10, 10);
    retention.open(100, 11, 10, 10);
    retention.settleSequences(12, 3);
    assert.deepEqual(
      retention.segments.map(({ live }) => live),
      [10, 7],
    );
    retention.settleSequences(1, 40);
    assert.deepEqual(
      retention.segments.map(({ live }) => live),
      [0, 7],
    );
    retention.recount(0, 2);
    assert.equal(retention.live, 9);
  });

  test('segments that were merged are one', () => {
    const retention = new Retention();
    for (const base of [0, 100, 200, 300]) retention.open(base, 1 + base, 10, 1 + base / 100);
    retention.merged(100, 300);
    assert.deepEqual(
      retention.segments.map(({ base, first, messages, live }) => [base, first, messages, live]),
      [
        [0, 1, 10, 1],
        [100, 101, 5, 5],
        [300, 301, 10, 4],
      ],
    );
    assert.equal(retention.live, 10);
    retention.settle(250, 5);
    assert.equal(retention.segments[1]!.live, 0);
  });

  test('segments that were trimmed meanwhile are in what they were merged into', () => {
    const shape = (retention: Retention) =>
      retention.segments.map(({ base, live }) => [base, live]);
    const retention = new Retention();
    for (const base of [0, 100, 200, 300, 400]) retention.open(base, 1 + base, 10, 3);
    retention.settle(0, 3);
    retention.trimmed(100);
    retention.merged(0, 300);
    assert.deepEqual(shape(retention), [
      [0, 6],
      [300, 3],
      [400, 3],
    ]);
    retention.settle(50, 6);
    assert.equal(retention.needed(400), 300);
    retention.trimmed(400);
    retention.merged(0, 400);
    assert.deepEqual([shape(retention), retention.live], [[[400, 3]], 3]);
  });

  test('the time of the last change', () => {
    const retention = new Retention();
    const changes = () => retention.segments.map(({ changedMs }) => changedMs);
    retention.nowMs = 5;
    retention.open(0, 1);
    retention.open(100, 1);
    retention.nowMs = 7;
    retention.add(110, 1, 1);
    assert.deepEqual(changes(), [5, 7]);
    retention.nowMs = 9;
    retention.settle(110, 1);
    assert.deepEqual(changes(), [5, 9]);
  });

  test('random counts against a model', () => {
    const random = new Random(seed);
    const retention = new Retention();
    const live: number[] = [];
    const first: number[] = [];
    let sequence = 1;
    let oldest = 0;
    for (let step = 0; step < 5000; step++) {
      if (live.length === 0 || random.chance(0.02)) {
        retention.open(live.length * 1000, sequence);
        live.push(0);
        first.push(sequence);
      }
      const newest = live.length - 1;
      if (random.chance(0.45)) {
        const count = 1 + random.below(3);
        retention.add(newest * 1000 + random.below(1000), sequence, count);
        live[newest]! += count;
        sequence += count;
      } else {
        const segment = oldest + random.below(live.length - oldest);
        const count = Math.min(live[segment]!, 1 + random.below(4));
        retention.settle(segment * 1000 + random.below(1000), count);
        live[segment]! -= count;
      }
      let needed = oldest;
      while (needed < newest && live[needed] === 0) needed++;
      assert.equal(retention.needed(Number.MAX_SAFE_INTEGER), needed * 1000);
      const asked = first[oldest]! + random.below(sequence - first[oldest]! + 1);
      let index = oldest;
      while (index < newest && first[index + 1]! <= asked) index++;
      assert.equal(retention.indexOf(asked), index - oldest, `segment of sequence ${asked}`);
      if (random.chance(0.1)) {
        retention.trimmed(needed * 1000);
        oldest = needed;
      }
      assert.equal(
        retention.live,
        live.slice(oldest).reduce((sum, each) => sum + each, 0),
      );
    }
    assert.ok(oldest > 3);
  });
});
