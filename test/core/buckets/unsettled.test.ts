// What waits of a record, against a plain list: not settled, not set aside, cut where attempts
// differ.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Unsettled } from '../../../src/core/buckets/unsettled.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/buckets/unsettled.test');

function setUp() {
  const fates = noOutcomes();
  return { ...fates, waiting: new Unsettled(fates) };
}

test('random fates: every message that waits is in one part, in order, and no other', () => {
  const random = new Random(seed);
  for (let round = 0; round < 300; round++) {
    const { settled, attempts, waiting } = setUp();
    const sequence = 1 + random.below(1000);
    const messages = 1 + random.below(40);
    const carried = random.below(3);
    const expected: [sequence: number, attempts: number][] = [];
    const next = sequence + random.below(messages);
    for (let at = sequence; at < sequence + messages; at++) {
      const tried = random.below(4) === 0 ? 1 + random.below(3) : 0;
      if (tried > 0) attempts.set(at, 1, tried);
      const fate = random.below(4);
      if (fate === 0) settled.add(at, 1);
      else if (fate === 1)
        waiting.setAside({
          slot: 1,
          position: 8,
          sequence: at,
          first: 0,
          count: 1,
          messages,
          bodyBytes: 9,
          attempts: 0,
          level: 0,
        });
      else if (at >= next) expected.push([at, Math.max(tried, carried)]);
    }
    const record = { position: 8, sequence, messages, bodyBytes: 9, attempts: carried, kind: 0 };
    const parts = waiting.slicesOf(1, [record], next);
    const found = parts.flatMap((part) => {
      assert.equal(part.sequence - part.first, sequence, 'its place in the record');
      return Array.from({ length: part.count }, (_, i) => [part.sequence + i, part.attempts]);
    });
    assert.deepEqual(found, expected);
  }
});

test('entries from before a start are counted message by message, later ones are not', () => {
  const { settled, waiting } = setUp();
  settled.add(3, 4);
  waiting.recoveredTo = 10;
  assert.equal(waiting.countOf(1, 9), 5);
  assert.equal(waiting.countOf(10, 5), 5);
  const record = { messages: 8, bodyBytes: 9, attempts: 0, level: 0 };
  const part = { slot: 1, position: 8, sequence: 3, first: 2, count: 6, ...record };
  assert.ok(waiting.cut(part));
  assert.deepEqual([part.sequence, part.first, part.count], [7, 6, 2]);
  const gone = { slot: 1, position: 8, sequence: 3, first: 2, count: 4, ...record };
  assert.equal(waiting.cut(gone), false);
});
