// Rules in pages by name, one by its name, and what is in force for a bucket; also with none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainBucket, ruleNamed, rulePage, rulesOf } from '../../../src/core/admin/rules.ts';
import { KEY_NAMES } from '../../../src/core/rules/keys.ts';
import { rulesOf as tableOf } from '../../support/world.ts';

const TABLE = tableOf('* batch=9', '7 rate=2.5 batch=3', '1-5 max_bytes=64KiB');
const row = (name: string, match: string, keys: object) => ({ name, match, keys, source: 'file' });
const ROWS = [
  row('rule-1', '*', { batch: '9' }),
  row('rule-2', '7', { batch: '3', rate: '2.5' }),
  row('rule-3', '1-5', { max_bytes: '64KiB' }),
];

test('pages go on where the one before ended', () => {
  assert.deepEqual(rulePage(TABLE, 2, undefined), {
    rules: ROWS.slice(0, 2),
    cursor: 'rule-2',
    count: 3,
  });
  assert.deepEqual(rulePage(TABLE, 2, 'rule-2'), { rules: ROWS.slice(2), cursor: null, count: 3 });
  assert.deepEqual(rulePage(TABLE, 3, undefined).cursor, null);
  assert.deepEqual(rulePage(TABLE, 3, 'z').rules, []);
  assert.deepEqual(rulePage(undefined, 3, undefined), { rules: [], cursor: null, count: 0 });
});

test('one rule by its name', () => {
  assert.deepEqual(ruleNamed(TABLE, 'rule-2'), { ok: true, result: ROWS[1] });
  for (const table of [TABLE, undefined]) {
    const detail = 'there is no rule "a\\u001b"';
    assert.deepEqual(ruleNamed(table, 'a\x1b'), { ok: false, code: 'not-found', detail });
  }
});

test('what is in force: each key with the rule that decides, or none', () => {
  const outcome = explainBucket(TABLE, '7');
  assert.ok(outcome.ok);
  const { keys } = outcome.result as { keys: { key: string; value: string; rule: string }[] };
  assert.deepEqual(keys.map(({ key }) => key).sort(), [...KEY_NAMES].sort());
  const of = (wanted: string) => keys.find(({ key }) => key === wanted);
  assert.deepEqual(of('batch'), { key: 'batch', value: '3', rule: 'rule-2' });
  assert.deepEqual(of('max_in_flight'), { key: 'max_in_flight', value: '0', rule: null });
  assert.deepEqual(rulesOf(TABLE, '3'), [
    { key: 'max_bytes', value: '64KiB', rule: 'rule-3' },
    { key: 'batch', value: '9', rule: 'rule-1' },
  ]);
});

test('without rules all is the default; what is no bucket is refused', () => {
  const outcome = explainBucket(undefined, '18446744073709551615');
  assert.ok(outcome.ok && !JSON.stringify(outcome.result).includes('rule-'));
  assert.deepEqual(rulesOf(undefined, '1'), []);
  for (const id of ['', 'x', '-1', '18446744073709551616'])
    assert.equal(explainBucket(TABLE, id).ok, false);
});
