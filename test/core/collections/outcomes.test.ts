// What is known of messages: nothing at first, and nothing of those that are forgotten.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noOutcomes, type Outcomes } from '../../../src/core/collections/outcomes.ts';

const PAGE = 65_536;

function knownOf(outcomes: Outcomes, sequence: number): (number | boolean)[] {
  const { settled, attempts, waiting, placed, turns, levels } = outcomes;
  const sets = [settled, waiting, placed].map((set) => set.has(sequence));
  return [...sets, ...[attempts, turns, levels].map((numbers) => numbers.get(sequence))];
}

test('each is known by itself, and all of them are forgotten alike', () => {
  const outcomes = noOutcomes();
  const { settled, attempts, waiting, placed, turns, levels } = outcomes;
  const nothing = [false, false, false, 0, 0, 0];
  assert.deepEqual(knownOf(outcomes, 7), nothing);
  for (const set of [settled, waiting, placed]) set.add(7, 1);
  for (const [i, numbers] of [attempts, turns, levels].entries()) numbers.set(7, 1, i + 1);
  assert.deepEqual(knownOf(outcomes, 7), [true, true, true, 1, 2, 3]);
  assert.deepEqual(knownOf(noOutcomes(), 7), nothing, 'no two share what they know');
  waiting.remove(7, 1);
  assert.deepEqual(knownOf(outcomes, 7), [true, false, true, 1, 2, 3]);
  for (const known of Object.values(outcomes)) known.forget(PAGE);
  assert.deepEqual(knownOf(outcomes, 7), nothing);
});
