// One log, applied as the broker writes it and as a start reads it back: the same state, whatever
// segments, records and marks it has.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RECORD_PLACED } from '../../../assembly/layout.ts';
import { FORM_SETTLES, KIND_DEAD } from '../../../assembly/layout-placed.ts';
import { BugError } from '../../../src/core/assert.ts';
import { NO_HEAD } from '../../../src/core/records/placed.ts';
import {
  ATTEMPTS,
  BODY_BYTES,
  BUCKET_LOW,
  COUNT,
  FLAGS,
  ROW_WORDS,
  SEQUENCE_LOW,
  TYPE,
} from '../../../src/core/records/rows.ts';
import { Apply } from '../../../src/core/segments/apply.ts';
import { createState } from '../../../src/core/segments/state.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/segments/apply.test');

interface Row {
  bucket: number;
  sequence: number;
  count: number;
}

function wordsOf({ bucket, sequence, count }: Row, attempts = 0): Uint32Array {
  const row = new Uint32Array(ROW_WORDS);
  row[BUCKET_LOW] = bucket;
  row[SEQUENCE_LOW] = sequence;
  row[COUNT] = count;
  row[BODY_BYTES] = 10 * count;
  row[ATTEMPTS] = attempts;
  return row;
}

class Bench {
  readonly state = createState(1);
  readonly apply = new Apply(this.state);

  /** All that can be asked of it. */
  get seen(): unknown {
    const { buckets, retention } = this.state;
    const { entries, outcomes: fates } = buckets;
    const lines = [];
    for (let entry = entries.from; entry < entries.end; entry++)
      lines.push([
        entries.bucketLow(entry),
        entries.position(entry),
        entries.sequence(entry),
        entries.count(entry),
        entries.next(entry),
      ]);
    return {
      lines,
      segments: retention.segments.map((segment) => ({ ...segment })),
      live: retention.live,
      settled: [...fates.settled.runs(0, 1e6)],
      attempts: [...fates.attempts.runs(0, 1e6)],
      next: this.apply.nextSequence,
    };
  }
}

describe('apply', () => {
  test(`what is new and what is read back come to the same (seed ${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 50; round++) {
      const [live, read] = [new Bench(), new Bench()];
      live.apply.goOn(1);
      let position = 0;
      let sequence = 1;
      for (let segment = 0; segment < 4; segment++) {
        for (const { apply } of [live, read]) apply.segment(position);
        for (let step = random.below(30); step > 0; step--) {
          position += 100;
          if (random.chance(0.6)) {
            const row = { bucket: 1 + random.below(4), sequence, count: 1 + random.below(5) };
            const slots = [live, read].map(({ apply }) =>
              apply.messages(wordsOf(row), 0, position),
            );
            assert.equal(slots[0], slots[1]);
            assert.equal(live.state.buckets.idOf(slots[0]!), String(row.bucket));
            sequence += row.count;
          } else if (sequence > 1) {
            const first = 1 + random.below(sequence - 1);
            const count = 1 + random.below(sequence - first);
            const mark = { sequence: first, count, attempts: 1 + random.below(3) };
            const settled = random.chance(0.5);
            for (const { apply } of [live, read])
              if (settled) apply.settled(mark);
              else apply.returned(mark);
          }
        }
        position += 1000;
      }
      assert.deepEqual(live.seen, read.seen);
      const [{ retention }, settled] = [live.state, live.state.buckets.outcomes.settled];
      let waiting = 0;
      for (let at = 1; at < sequence; at++) if (!settled.has(at)) waiting++;
      assert.equal(retention.live, waiting);
    }
  });

  test('random moves and deferrals: the highest turn of each message counts, and it is in one place', () => {
    const random = new Random(seed);
    for (let world = 0; world < 100; world++) {
      const bench = new Bench();
      const { settled, attempts, waiting, turns, levels } = bench.state.buckets.outcomes;
      bench.apply.segment(0);
      bench.apply.goOn(1);
      // By sequence: turn, level, whether it waits, attempts.
      const model: [turn: number, level: number, waits: boolean, attempts: number][] = [];
      const live = new Set<number>();
      for (let step = 1; step <= 40; step++) {
        const sequence = model.length + 1;
        const count = 1 + random.below(3);
        const said = { turn: random.below(4), level: random.below(3), dueMs: random.below(2) };
        const from = 1 + random.below(Math.max(1, sequence - count));
        if (random.chance(0.5)) {
          const isMove = random.chance(0.5) && from + count <= sequence;
          const words = wordsOf({ bucket: 1, sequence, count });
          words[TYPE] = RECORD_PLACED;
          if (isMove) words[FLAGS] = FORM_SETTLES << 16;
          const heads = new Map([[0, { ...NO_HEAD, ...said, from: isMove ? from : 0 }]]);
          bench.apply.durable(words, 0, step * 100, heads, 0);
          for (let i = 0; i < count; i++) {
            model.push([said.turn, said.level, said.dueMs > 0, 0]);
            live.add(sequence + i);
            if (isMove) live.delete(from + i);
          }
        } else if (sequence > 1) {
          const many = Math.min(count, sequence - from);
          const times = random.below(4);
          const others = { bucket: 1n, kind: 0, cause: 0, attempts: times };
          bench.apply.deferred({ ...said, ...others, sequence: from, count: many });
          for (let at = from; at < from + many; at++) {
            const known = model[at - 1]!;
            known[3] = Math.max(known[3], times);
            if (known[0] <= said.turn) known.splice(0, 3, said.turn, said.level, said.dueMs > 0);
          }
        }
      }
      const seen = model.map((_, i) => [
        turns.get(i + 1),
        levels.get(i + 1),
        waiting.has(i + 1),
        attempts.get(i + 1),
      ]);
      assert.deepEqual(seen, model, `world ${world}`);
      for (let at = 1; at <= model.length; at++)
        assert.equal(settled.has(at), !live.has(at), `message ${at} of world ${world}`);
      assert.equal(bench.state.retention.live, live.size);
    }
  });

  // Messages 1 to 6 in two segments, of which the second is compacted: 5 is gone.
  const moves = (merged: boolean, from: number): number[] => {
    const bench = new Bench();
    const { retention } = bench.state;
    bench.apply.segment(0);
    bench.apply.messages(wordsOf({ bucket: 1, sequence: 1, count: 4 }), 0, 100);
    bench.apply.segment(1000, true);
    bench.apply.messages(wordsOf({ bucket: 1, sequence: 6, count: 1 }), 0, 1100);
    bench.apply.segment(2000);
    bench.apply.goOn(7);
    if (merged) retention.merged(0, 2000);
    const words = wordsOf({ bucket: 2, sequence: 7, count: 1 });
    words[TYPE] = RECORD_PLACED;
    words[FLAGS] = FORM_SETTLES << 16;
    bench.apply.durable(words, 0, 2100, new Map([[0, { ...NO_HEAD, from }]]), 0);
    return retention.segments.map(({ live }) => live);
  };

  test('what is moved out of a compacted segment holds it no longer', () => {
    assert.deepEqual(moves(false, 6), [4, 0, 1]);
    assert.deepEqual(moves(false, 4), [3, 1, 1]);
  });

  test('what is moved out of segments that were joined since holds them no longer', () => {
    assert.deepEqual(moves(true, 6), [4, 1]);
    assert.deepEqual(moves(true, 2), [4, 1]);
  });

  test('what was compacted away does not wait, whatever a checkpoint says', () => {
    const bench = new Bench();
    const { waiting } = bench.state.buckets.outcomes;
    waiting.add(1, 9);
    bench.apply.known({ base: 0, first: 1, end: 4, messages: 2, live: 0 });
    bench.apply.known({ base: 1000, first: 4, end: 6, messages: 1, live: 1 });
    bench.apply.segment(2000, true);
    bench.apply.messages(wordsOf({ bucket: 1, sequence: 8, count: 2 }), 0, 2100);
    bench.apply.forgetGone();
    assert.deepEqual(
      [...waiting.runs(0, 100)],
      [
        [4, 2],
        [8, 2],
      ],
    );
  });

  test('nor does it because of a mark in a segment that was not compacted', () => {
    const bench = new Bench();
    const { waiting } = bench.state.buckets.outcomes;
    const later = { turn: 1, level: 0, dueMs: 5000, attempts: 1, cause: 1, kind: 0, bucket: 1n };
    bench.apply.segment(0, true);
    bench.apply.messages(wordsOf({ bucket: 1, sequence: 1, count: 2 }), 0, 100);
    bench.apply.segment(1000);
    bench.apply.deferred({ sequence: 2, count: 3, ...later });
    bench.apply.messages(wordsOf({ bucket: 1, sequence: 6, count: 1 }), 0, 1100);
    bench.apply.deferred({ sequence: 1, count: 6, ...later });
    assert.deepEqual(
      [...waiting.runs(0, 100)],
      [
        [1, 2],
        [6, 1],
      ],
    );
  });

  test('messages of a dead line hold their segment, and stand in that line', () => {
    const bench = new Bench();
    bench.apply.segment(0);
    bench.apply.goOn(1);
    const words = wordsOf({ bucket: 1, sequence: 1, count: 2 });
    words[TYPE] = RECORD_PLACED;
    words[FLAGS] = KIND_DEAD << 8;
    const { buckets } = bench.state;
    const slot = bench.apply.durable(words, 0, 100, new Map([[0, NO_HEAD]]), 0);
    assert.deepEqual([slot, buckets.find(1, 0)], [buckets.find(1, 0, KIND_DEAD), 0]);
    assert.deepEqual([buckets.readyOf(slot), buckets.kindOf(slot)], [2, KIND_DEAD]);
    assert.deepEqual([buckets.ready, buckets.dead, buckets.count], [0, 2, 0]);
    assert.equal(buckets.peek(slot)!.sequence, 1);
    assert.equal(bench.state.retention.live, 2);
    assert.equal(bench.apply.nextSequence, 3);
    const headless = () => bench.apply.durable(words, 0, 200, new Map(), 0);
    assert.throws(headless, BugError);
  });

  test('what was durable before is a bug when it comes as new, and nothing has changed', () => {
    const bench = new Bench();
    bench.apply.segment(0);
    bench.apply.goOn(5);
    bench.apply.messages(wordsOf({ bucket: 1, sequence: 5, count: 3 }), 0, 100);
    const before = bench.seen;
    const again = wordsOf({ bucket: 1, sequence: 7, count: 1 });
    assert.throws(() => bench.apply.messages(again, 0, 200), BugError);
    assert.deepEqual(bench.seen, before);
  });

  test('what a checkpoint says is settled does not wait when its segment is read', () => {
    const bench = new Bench();
    bench.apply.segment(0);
    bench.state.buckets.outcomes.settled.add(2, 2);
    bench.apply.messages(wordsOf({ bucket: 1, sequence: 1, count: 4 }), 0, 100);
    assert.equal(bench.state.retention.live, 2);
  });

  test('attempts only grow, and those of a record are its own', () => {
    const bench = new Bench();
    bench.apply.segment(0);
    bench.apply.messages(wordsOf({ bucket: 1, sequence: 1, count: 4 }, 6), 0, 100);
    bench.apply.returned({ sequence: 1, count: 4, attempts: 3 });
    bench.apply.returned({ sequence: 2, count: 2, attempts: 9 });
    bench.apply.returned({ sequence: 1, count: 4, attempts: 4 });
    const { attempts } = bench.state.buckets.outcomes;
    assert.deepEqual(
      [1, 2, 3, 4].map((sequence) => attempts.get(sequence)),
      [4, 9, 9, 4],
    );
    assert.equal(bench.state.buckets.entries.attempts(1), 6);
  });

  test('a trim forgets segments and what marks said of them, and what is older than all', () => {
    const bench = new Bench();
    bench.apply.segment(0);
    const whole = 65_536;
    bench.apply.messages(wordsOf({ bucket: 1, sequence: 1, count: whole }), 0, 100);
    bench.apply.segment(1000);
    bench.apply.messages(wordsOf({ bucket: 1, sequence: whole + 1, count: 5 }), 0, 1100);
    bench.apply.settled({ sequence: 1, count: whole + 2, attempts: 0 });
    bench.apply.returned({ sequence: 1, count: 4, attempts: 1 });
    bench.apply.trimmed(1000);
    const { buckets, retention } = bench.state;
    assert.deepEqual([retention.segments.length, retention.live], [1, 3]);
    assert.equal(buckets.outcomes.attempts.get(1), 0);
    assert.equal(buckets.outcomes.settled.has(1), false);
    assert.equal(buckets.outcomes.settled.has(whole + 2), true);
    bench.apply.settled({ sequence: 1, count: whole + 3, attempts: 0 });
    assert.equal(buckets.outcomes.settled.has(1), false, 'an old mark is about nothing');
    assert.equal(retention.live, 2);
  });
});
