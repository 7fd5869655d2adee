// Somebody's text, as it is said again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quote } from '../../../src/core/rules/rule-error.ts';

test('text is quoted short, and without anything that a terminal would obey', () => {
  assert.equal(quote('1s,,5s'), '"1s,,5s"');
  assert.equal(quote('a"b\\c'), '"a\\"b\\\\c"');
  assert.equal(
    quote('\u001b[2J\n\u007f\u009b\u202e\ud800'),
    '"\\u001b[2J\\n\\u007f\\u009b\\u202e\\ud800"',
  );
  assert.equal(quote('x'.repeat(1000)), `"${'x'.repeat(64)}…"`);
});
