// What a failed append means: in doubt unless its answer says for sure that nothing was stored.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcomeOf } from '../../../src/io/cluster/append-outcome.ts';

function answer(code: number, message = 'said by the server'): Error {
  return Object.assign(new Error(message), { name: 'JetStreamApiError', code });
}

const named = (name: string): Error => Object.assign(new Error('x'), { name });

test('the last number is another one', () => {
  for (const code of [10_071, 10_164])
    assert.deepEqual(outcomeOf(answer(code)), { ok: false, why: 'expected' });
});

test('there is no room', () => {
  for (const code of [10_023, 10_047])
    assert.deepEqual(outcomeOf(answer(code)), { ok: false, why: 'full' });
  const bound = answer(10_077, 'maximum bytes exceeded');
  assert.deepEqual(outcomeOf(bound), { ok: false, why: 'full' });
});

test('whatever does not say for sure leaves a doubt', () => {
  const doubtful = [
    answer(10_008),
    answer(10_077, 'some error of the store'),
    ...['TimeoutError', 'JetStreamNotEnabled', 'ClosedConnectionError', 'Error'].map(named),
  ];
  for (const error of doubtful)
    assert.deepEqual(outcomeOf(error), { ok: false, why: 'unknown' }, error.name);
});

test('this node has no right to, as long as nobody gives it back', () => {
  const wrapped = Object.assign(new Error('x'), { cause: named('PermissionViolationError') });
  const errors = ['PermissionViolationError', 'AuthorizationError'].map(named);
  for (const error of [...errors, wrapped])
    assert.deepEqual(outcomeOf(error), { ok: false, why: 'forbidden', text: 'x' });
});

test('an operator is needed', () => {
  for (const error of [answer(10_054), named('InvalidArgumentError')]) {
    const outcome = outcomeOf(error);
    assert.ok(!outcome.ok && outcome.why === 'refused');
    assert.match(outcome.text, /an append is (refused|not let through)/);
  }
});
