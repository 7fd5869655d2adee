// What a rule may not say of its own bucket.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Rule, ruleOfWords } from '../../../src/core/rules/rule.ts';
import { RuleError } from '../../../src/core/rules/rule-error.ts';

function refused(what: () => unknown, message: RegExp): void {
  assert.throws(what, (error) => error instanceof RuleError && message.test(error.message));
}

test('does not name its own bucket, and makes only one virtual', () => {
  const make = (match: string, word: string): Rule => ruleOfWords('a', match, [word]);
  refused(
    () => make('7', 'dead_letter=7'),
    /dead letters of bucket 7 would go to itself; write dead_letter=keep/,
  );
  refused(() => make('7', 'copy_to=6,7'), /bucket 7 would get copies of its own messages/);
  refused(() => make('7', 'sources=1,7'), /bucket 7 would be its own source/);
  refused(
    () => make('7-8', 'sources=1'),
    /sources make one bucket virtual, but 7-8 matches several/,
  );
  refused(() => make('*', 'sources=1'), /but \* matches several; match one id/);
  for (const [match, word] of [
    ['7-8', 'dead_letter=7'],
    ['*', 'copy_to=7'],
    ['7', 'sources=1-9'],
    ['7', 'sources=7-9'],
    ['*', 'sources=none'],
  ] as const)
    assert.equal(make(match, word).text, `name=a match=${match} ${word}`);
});
