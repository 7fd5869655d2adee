// What was given up is told from what failed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { givenUp, isGivenUp } from '../../../src/log/index/given-up.ts';

test('what was given up has not failed', () => {
  const error = givenUp('the indexes are closed');
  assert.equal(error.message, 'the indexes are closed');
  assert.equal(isGivenUp(error), true);
  assert.equal(isGivenUp(new Error(error.message)), false);
  assert.equal(isGivenUp(Object.assign(new Error('no space left'), { code: 'ENOSPC' })), false);
});
