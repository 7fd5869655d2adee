// All rules by name: those of a file and those that were set, what may be together, and how many.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRules } from '../../../src/core/rules/compile.ts';
import { RULES_MAX } from '../../../src/core/rules/matchers.ts';
import { type Rule, ruleOfWords } from '../../../src/core/rules/rule.ts';
import { RULES_BYTES_MAX, RuleSet } from '../../../src/core/rules/rule-set.ts';

const rule = (name: string, match: string, ...words: string[]): Rule =>
  ruleOfWords(name, match, words);
const FILE = compileRules([rule('all', '*', 'batch=9'), rule('file', '5', 'rate=1')]);

test('those of the file have no version, those that were set have theirs', () => {
  const set = RuleSet.of(FILE, new Map([[7, 'name=seven match=7 batch=3']]));
  assert.deepEqual([set.size, set.find('file')?.version, set.find('seven')?.version], [3, 0, 7]);
  assert.equal(set.table.effectiveFor(7n).batchMax, 3);
  assert.equal(set.table.effectiveFor(8n).batchMax, 9);
  assert.equal(RuleSet.of(FILE, new Map()).table, FILE);
});

test('another rule makes another set, and the one before stays as it was', () => {
  const none = RuleSet.of(FILE, new Map());
  const one = none.with(rule('seven', '7', 'batch=3'), 10);
  const two = one.with(rule('seven', '7', 'batch=4'), 11);
  const left = two.without('seven');
  const batches = [none, one, two, left].map(({ table }) => table.effectiveFor(7n).batchMax);
  assert.deepEqual(batches, [9, 3, 4, 9]);
  assert.ok(one.isOf(new Map([[10, '']])) && !one.isOf(new Map([[11, '']])));
  assert.ok(!one.isOf(new Map()) && none.isOf(new Map()));
  const more = new Map([
    [10, ''],
    [12, ''],
  ]);
  assert.ok(!one.isOf(more));
});

test('what cannot be together is refused with both names, also when a rule goes', () => {
  const set = RuleSet.of(FILE, new Map());
  assert.throws(() => set.with(rule('five', '5', 'rate=2'), 1), /"file" .*"five" .*5 for one/);
  const both = new Map([[3, 'name=file match=6 rate=1']]);
  assert.throws(() => RuleSet.of(FILE, both), /two rules "file": one of the configuration file/);
});

test('a text that this version cannot carry out names the rule and its key', () => {
  const of = (text: string) => () => RuleSet.of(FILE, new Map([[3, text]]));
  assert.throws(of('name=a match=6 rete=1'), /another version of the broker: rule "a" sets "rete"/);
  assert.throws(of('{"a": 6}'), /another version.*is no rule/);
});

test(`${RULES_MAX} rules are possible, one more is not, and no more text than there may be`, () => {
  const texts = new Map<number, string>();
  for (let i = 1; i <= RULES_MAX - 2; i++)
    texts.set(i, `name=r${i} match=${i * 10} max_messages=${i % 7}`);
  const set = RuleSet.of(FILE, texts);
  assert.equal(set.size, RULES_MAX);
  assert.ok(set.isOf(texts));
  assert.throws(() => set.with(rule('more', '5', 'batch=1'), 20_000), /10001 rules; at most 10000/);
  assert.equal(set.with(rule('r7', '70', 'batch=1'), 20_000).size, RULES_MAX);
  const long = 'x'.repeat(RULES_BYTES_MAX);
  const large = { ...rule('large', '5', 'batch=1'), text: long };
  assert.throws(() => set.without('r1').with(large, 20_000), /more than 16777216 bytes/);
});
