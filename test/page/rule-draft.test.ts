// A rule that is edited: the order that it becomes, which field a problem is about, and what
// differs from what somebody else has set meanwhile.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RuleRow } from '../../src/contract/commands.ts';
import {
  type Draft,
  differences,
  draftOf,
  fieldOf,
  NEW_RULE,
  orderOf,
} from '../../src/page/rule-draft.ts';

const ROW: RuleRow = {
  name: 'tenants',
  match: '100-199',
  keys: { retry: '1s,5s', batch: '10' },
  source: 'set',
  version: '17',
};
const problem = (at?: string) => ({
  ...{ status: 400, code: 'bad-request', title: '', detail: '' },
  ...(at === undefined ? {} : { at }),
});

test('a rule becomes text and an order for its version; a new one must not be there yet', () => {
  const draft = draftOf(ROW);
  assert.equal(draft.keys, 'retry=1s,5s\nbatch=10');
  const { path, headers } = orderOf('PUT', draft, false);
  assert.equal(path, '/rules/tenants?match=100-199&retry=1s%2C5s&batch=10');
  assert.deepEqual(headers, { 'If-Match': '"17"' });
  const fresh = orderOf('PUT', { ...NEW_RULE, name: ' a/b ', match: ' * ', keys: '' }, true);
  assert.equal(fresh.path, '/rules/a%2Fb?match=*&preview=1');
  assert.deepEqual(fresh.headers, { 'If-None-Match': '*' });
  assert.equal(orderOf('DELETE', draft, true).path, '/rules/tenants?preview=1');
});

test('words that set nothing are sent as they are: the broker says what is wrong with them', () => {
  const draft: Draft = { ...NEW_RULE, name: 'a', match: '7', keys: 'batch  =3\n\nretry=a=b' };
  assert.equal(orderOf('PUT', draft, false).path, '/rules/a?match=7&batch=&=3&retry=a%3Db');
});

test('a problem is at its field, one of a key at the keys, others at none', () => {
  assert.deepEqual([problem('name'), problem('match'), problem('bacth'), problem()].map(fieldOf), [
    'name',
    'match',
    'keys',
    undefined,
  ]);
});

test('two versions differ in what they match and in each key', () => {
  const mine = { match: '100-150', keys: 'batch=5\nrate=3 retry=1s,5s' };
  assert.deepEqual(differences(mine, draftOf(ROW)), [
    { what: 'match', mine: '100-150', theirs: '100-199' },
    { what: 'batch', mine: '5', theirs: '10' },
    { what: 'rate', mine: '3', theirs: '–' },
  ]);
  assert.deepEqual(differences(draftOf(ROW), draftOf(ROW)), []);
});
