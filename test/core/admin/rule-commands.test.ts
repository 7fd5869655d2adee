// Commands about rules: set, removed, looked at before; what is no rule, and what each is told.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Command, Outcome, RuleKeys, RulePreview } from '../../../src/contract/commands.ts';
import { RuleCommands } from '../../../src/core/admin/rule-commands.ts';
import { KEY_NAMES } from '../../../src/core/rules/keys.ts';
import { RULE_BYTES_MAX } from '../../../src/core/rules/rule.ts';
import { brokerOf } from '../../support/world.ts';

type Order = Partial<Extract<Command, { kind: 'rule-set' }>>;

function desk(options: Parameters<typeof brokerOf>[0] = { rules: [] }) {
  const world = brokerOf(options);
  const later: (() => void)[] = [];
  const commands = new RuleCommands({ broker: world.broker, soon: (call) => later.push(call) });
  const run = (command: Parameters<RuleCommands['carryOut']>[0]): Outcome => {
    const answers: Outcome[] = [];
    const now = commands.carryOut(command, (outcome) => answers.push(outcome));
    if (now !== undefined) answers.push(now);
    for (let i = 0; i < 100 && answers.length === 0; i++) {
      world.settle();
      for (const call of later.splice(0)) call();
      world.advance(50, true);
    }
    assert.equal(answers.length, 1);
    return answers[0]!;
  };
  const set = (name: string, text: string, order: Order = {}) => {
    const [match, ...words] = text.split(' ');
    return run({ kind: 'rule-set', name, match: match!, words, ...order });
  };
  const remove = (name: string, order: Order = {}) =>
    run({ name, expected: order.expected, preview: order.preview ?? false, kind: 'rule-remove' });
  return { world, run, set, remove };
}

const resultOf = (outcome: Outcome): object => {
  assert.ok(outcome.ok, JSON.stringify(outcome));
  return outcome.result;
};
const refusalOf = (outcome: Outcome): string =>
  outcome.ok ? 'done' : `${outcome.code}: ${outcome.detail}`;

test('a rule that is set is answered as it is listed, with its version', () => {
  const { run, set, remove } = desk({ rules: ['* batch=9'] });
  const row = { name: 'seven', match: '7', keys: { batch: '3' }, source: 'set', version: '1' };
  assert.deepEqual(resultOf(set('seven', '7 batch=3')), row);
  assert.deepEqual(resultOf(run({ kind: 'rule', name: 'seven' })), row);
  const { rules } = resultOf(run({ kind: 'rules', limit: 9 })) as { rules: { source: string }[] };
  assert.deepEqual(
    rules.map(({ source }) => source),
    ['file', 'set'],
  );
  const { keys } = resultOf(run({ kind: 'bucket-rule', id: '7' })) as { keys: { rule: string }[] };
  assert.ok(keys.some(({ rule }) => rule === 'seven'));
  assert.deepEqual(resultOf(remove('seven')), { name: 'seven', removed: '1' });
  assert.match(refusalOf(run({ kind: 'rule', name: 'seven' })), /^not-found/);
});

test('what is wrong is named: the name, the match, or the key', () => {
  const { set } = desk();
  const at = (outcome: Outcome) => (outcome.ok ? 'done' : outcome.at);
  assert.equal(at(set('.', '7 batch=3')), 'name');
  assert.equal(at(set('a', '9-1 batch=3')), 'match');
  assert.equal(at(set('a', '7 bacth=3')), 'bacth');
  assert.equal(at(set('a', '7 batch=x')), 'batch');
  assert.equal(at(set('a', '7 batch=1 batch=2')), 'batch');
  assert.equal(at(set('a', '7')), undefined, 'nothing is set: no part alone is wrong');
});

test('the keys that can be set, each with what it takes and its usual value', () => {
  const { run } = desk();
  const { keys } = resultOf(run({ kind: 'rule-keys' })) as RuleKeys;
  assert.deepEqual(
    keys.map(({ key }) => key),
    KEY_NAMES,
  );
  const retry = keys.find(({ key }) => key === 'retry')!;
  assert.equal(retry.usual, '0s');
  assert.match(retry.takes, /durations/);
});

test('versions guard against lost changes', () => {
  const { set, remove } = desk();
  assert.match(refusalOf(set('a', '7 batch=3', { expected: 'any' })), /^changed: .*none of that/);
  resultOf(set('a', '7 batch=3', { expected: 'none' }));
  assert.match(refusalOf(set('a', '7 batch=4', { expected: 'none' })), /^changed: .*version 1/);
  resultOf(set('a', '7 batch=4', { expected: '1' }));
  assert.match(refusalOf(set('a', '7 batch=5', { expected: '1' })), /^changed: .*version 2/);
  assert.match(refusalOf(remove('a', { expected: '1' })), /^changed/);
  for (const expected of ['', 'x', '-1', '0', '9'.repeat(30)])
    assert.match(refusalOf(remove('a', { expected })), /^bad-request/);
  resultOf(remove('a', { expected: '2' }));
});

describe('what is no rule is refused with the key that is wrong', () => {
  const table: [string, RegExp][] = [
    ['7', /sets nothing/],
    ['7 batch', /"batch" sets nothing; write key=value/],
    ['x batch=1', /rule "r", match/],
    ['7 batch=1 batch=2', /sets batch twice/],
    ['7 bacth=1', /"bacth", which is no key; did you mean "batch"/],
    ['7 batch=NaN', /batch: "NaN" is not/],
    ['7 max_messages=-1', /max_messages: "-1" is not/],
    ['7 max_messages=9223372036854775808', /max_messages: "9223372036854775808" is not/],
    ['7 retry=1s,,5s', /retry: .*empty place/],
    ['7 sources=7', /bucket 7 would be its own source/],
    [`7 copy_to=${'1,'.repeat(RULE_BYTES_MAX)}`, /copy_to has 131072 bytes of text; at most 65536/],
  ];
  for (const [text, why] of table)
    test(text.slice(0, 40), () => {
      const { world, set } = desk();
      const refused = refusalOf(set('r', text));
      assert.match(refused, why);
      assert.match(refused, /^bad-request: /);
      assert.equal(world.broker.retention.live, 0);
    });
});

test('names that are none are refused', () => {
  const { set } = desk();
  for (const name of ['', '.', '..', '-x', 'a/b', 'a b', 'x'.repeat(129), 'ä'])
    assert.match(refusalOf(set(name, '7 batch=1')), /^bad-request: .*is no name of a rule/);
});

test('a full disk takes no rule, and lets them go', () => {
  const { world, set, remove } = desk();
  resultOf(set('a', '7 batch=3'));
  world.log.blockedBy = 'no space left';
  assert.ok(world.broker.commit.refuses);
  assert.match(refusalOf(set('b', '8 batch=3')), /^no-space: the disk is full/);
  resultOf(remove('a'));
});

test('a preview says what would change and changes nothing; a conflict it tells, too', () => {
  const { world, run, set, remove } = desk({ rules: ['* batch=9'] });
  for (const bucket of [7, 8, 300]) world.publish(bucket, 'x');
  const before = world.broker.nextSequence;
  const preview = resultOf(set('few', '1-99 batch=3 rate=5', { preview: true })) as RulePreview;
  assert.deepEqual(preview, {
    looked: 3,
    more: false,
    changed: 2,
    keys: { batch: 2, rate: 2 },
    buckets: ['7', '8'].map((bucket) => ({
      bucket,
      changes: [
        { key: 'batch', before: '9', after: '3' },
        { key: 'rate', before: '0', after: '5' },
      ].sort((a, b) => order(a.key) - order(b.key)),
    })),
  });
  assert.equal(world.broker.nextSequence, before);
  assert.match(refusalOf(run({ kind: 'rule', name: 'few' })), /^not-found/);
  assert.match(refusalOf(set('all', '* batch=3', { preview: true })), /^conflict: .*"rule-1"/);
  assert.match(refusalOf(remove('rule-1', { preview: true })), /^conflict: .*configuration file/);
  resultOf(set('few', '1-99 batch=3'));
  const gone = resultOf(remove('few', { preview: true })) as RulePreview;
  assert.deepEqual([gone.changed, gone.keys], [2, { batch: 2 }]);
});

// The order in which keys are listed.
const order = (key: string): number => ['batch', 'rate'].indexOf(key);

test('a broker without rules has none to change', () => {
  const { set } = desk({});
  assert.match(refusalOf(set('a', '7 batch=1')), /^failed/);
});
