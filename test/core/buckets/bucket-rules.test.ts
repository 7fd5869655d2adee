// Which rules are in force by slot: while tables change, numbers are given anew, versions come
// round, and slots go to other buckets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BucketRules } from '../../../src/core/buckets/bucket-rules.ts';
import { BucketTable, FLAGS, USED, wordsAt } from '../../../src/core/buckets/bucket-table.ts';
import type { RuleTable } from '../../../src/core/rules/rule-table.ts';
import { Random, seedOf } from '../../support/random.ts';
import { rulesOf } from '../../support/world.ts';

const seed = seedOf('core/buckets/bucket-rules.test');

function tableOf(...ids: number[]): BucketTable {
  const table = new BucketTable();
  for (const id of ids) table.open(id, 0, 0, 0);
  return table;
}

function rulesFor(pages: BucketTable['pages'], table: RuleTable): BucketRules {
  const rules = new BucketRules(pages);
  rules.use(table);
  return rules;
}

test('a bucket has what the table says, also when it is another table', () => {
  const rules = rulesFor(tableOf(1, 7).pages, rulesOf('7 batch=5', '* batch=9'));
  assert.deepEqual([rules.of(1).batchMax, rules.of(2).batchMax], [9, 5]);
  assert.deepEqual([rules.of(1).batchMax, rules.of(2).batchMax], [9, 5]);
  rules.use(rulesOf('7 batch=6', '* rate=1', '1 rate=2'));
  assert.deepEqual([rules.of(1).rate, rules.of(2).batchMax, rules.of(2).rate], [2, 6, 1]);
  assert.equal(rules.for(7, 0).batchMax, 6);
});

test('the flags of a slot stay, and a slot that another bucket gets is looked up again', () => {
  const table = tableOf(1, 7);
  const rules = rulesFor(table.pages, rulesOf('7 batch=5'));
  table.page(2).words[wordsAt(2) + FLAGS]! |= 3;
  assert.equal(rules.of(2).batchMax, 5);
  assert.equal(table.page(2).words[wordsAt(2) + FLAGS]! & 255, USED | 3);
  table.close(2);
  assert.equal(table.open(8, 0, 0, 0), 2);
  assert.equal(rules.of(2).batchMax, 65_536);
});

test('more tables than there are versions: what a slot had long ago is not believed', () => {
  // Of the second one the bucket's set has another number.
  const [five, six] = [rulesOf('7 batch=5'), rulesOf('1 batch=9', '7 batch=6', '7 rate=1')];
  const table = tableOf(1, 7);
  const rules = rulesFor(table.pages, five);
  // 1023 versions: after so many tables the first one comes again.
  for (const changes of [1, 2, 1022, 1023, 1024, 1025, 2046, 3069]) {
    assert.equal(rules.of(2).batchMax, 5, `before ${changes}`);
    for (let i = 0; i < changes - 1; i++) rules.use(five);
    rules.use(six);
    assert.equal(rules.of(1).batchMax, 9);
    assert.equal(rules.of(2).batchMax, 6, `after ${changes}`);
    rules.use(five);
  }
});

test('numbers that a table gives anew are not taken for the old ones', () => {
  // A table whose numbers run out at three: it counts the generation, as the real one does.
  const real = rulesOf('1 batch=1', '2 batch=2', '3 batch=3', '4 batch=4');
  const sets: number[] = [];
  let generation = 0;
  const few = {
    get generation() {
      return generation;
    },
    resolve: (low: number): number => {
      const at = sets.indexOf(low);
      if (at >= 0) return at;
      if (sets.length === 3) {
        sets.length = 0;
        generation++;
      }
      return sets.push(low) - 1;
    },
    setOf: (number: number) => real.effectiveFor(BigInt(sets[number]!)),
  } as unknown as RuleTable;
  const rules = rulesFor(tableOf(1, 2, 3, 4).pages, few);
  const random = new Random(seed);
  for (let round = 0; round < 200; round++) {
    const slot = 1 + random.below(4);
    assert.equal(rules.of(slot).batchMax, slot, `round ${round}`);
  }
});
