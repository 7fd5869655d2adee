// Marks that wait for a commit, against a plain map: however short the list is, each is unloaded
// once, and what came first is never behind what came later for the same message.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MARK_ATTEMPTS_AT,
  MARK_BYTES,
  MARK_COUNT_AT,
  MARK_SEQUENCE_AT,
} from '../../../assembly/layout.ts';
import {
  attemptsBySequence,
  settledBySequence,
  WaitingMarks,
} from '../../../src/core/commit/waiting-marks.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/commit/waiting-marks.test');

type Mark = [sequence: number, count: number, attempts: number];

function unload(marks: WaitingMarks, count: number): Mark[] {
  const into = new DataView(new ArrayBuffer(count * MARK_BYTES));
  marks.unload(count, into);
  return Array.from({ length: count }, (_, i) => [
    Number(into.getBigUint64(i * MARK_BYTES + MARK_SEQUENCE_AT, true)),
    into.getUint32(i * MARK_BYTES + MARK_COUNT_AT, true),
    into.getUint32(i * MARK_BYTES + MARK_ATTEMPTS_AT, true),
  ]);
}

test('settled: every message once, with a list of any length', () => {
  const random = new Random(seed);
  for (const most of [1, 2, 7, 1000]) {
    const marks = new WaitingMarks(most, settledBySequence);
    const waiting = new Set<number>();
    for (let step = 0, next = 1; step < 2000; step++) {
      if (random.below(3) > 0) {
        next += random.below(3); // gaps: marks do not all melt together
        const count = 1 + random.below(3);
        marks.add(next, count, 0);
        for (let i = 0; i < count; i++) waiting.add(next++);
      } else if (marks.count > 0)
        for (const [sequence, count] of unload(marks, 1 + random.below(marks.count)))
          for (let i = 0; i < count; i++)
            assert.ok(waiting.delete(sequence + i), `${sequence + i}`);
      assert.ok(marks.count <= most);
      assert.equal(marks.count === 0, waiting.size === 0, 'the list is empty while others wait');
    }
    while (marks.count > 0)
      for (const [sequence, count] of unload(marks, marks.count))
        for (let i = 0; i < count; i++) assert.ok(waiting.delete(sequence + i));
    assert.equal(waiting.size, 0);
    assert.equal(marks.written, marks.end);
  }
});

test('attempts: the last count that is unloaded for a message is its last', () => {
  const random = new Random(seed + 1);
  const marks = new WaitingMarks(3, attemptsBySequence);
  const last = new Map<number, number>();
  const seen = new Map<number, number>();
  for (let step = 0; step < 3000 || marks.count > 0; step++) {
    if (step < 3000 && random.below(2) === 0) {
      const sequence = 1 + random.below(50);
      const attempts = (last.get(sequence) ?? 0) + 1;
      last.set(sequence, attempts);
      marks.add(sequence, 1, attempts);
    } else if (marks.count > 0)
      for (const [sequence, count, attempts] of unload(marks, 1))
        for (let i = 0; i < count; i++) {
          assert.ok(attempts > (seen.get(sequence + i) ?? 0), 'an older count came later');
          seen.set(sequence + i, attempts);
        }
  }
  assert.deepEqual([...seen].sort(), [...last].sort());
});

test('a place in the line counts as written when all before it is', () => {
  const marks = new WaitingMarks(2, settledBySequence);
  for (const sequence of [1, 3, 5, 7]) marks.add(sequence, 1, 0);
  const { end } = marks;
  assert.equal(marks.waiting, Number.POSITIVE_INFINITY);
  assert.ok(marks.isOver);
  unload(marks, 2);
  assert.ok(marks.written < end);
  unload(marks, 2);
  assert.ok(marks.written >= end);
  assert.equal(marks.isOver, false);
});
