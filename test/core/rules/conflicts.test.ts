// Two rules that would decide the same key, neither being the more specific one. Random sets are in
// rule-table.test.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileRules } from '../../../src/core/rules/compile.ts';
import type { Rule } from '../../../src/core/rules/rule.ts';
import { RuleError } from '../../../src/core/rules/rule-error.ts';
import { rulesOf } from './world.ts';

function refused(rules: readonly Rule[], message: RegExp, names?: readonly string[]): void {
  assert.throws(
    () => compileRules(rules),
    (error) => {
      assert.ok(error instanceof RuleError, String(error));
      assert.match(error.message, message);
      if (names !== undefined) assert.deepEqual(error.rules.toSorted(), names);
      return true;
    },
  );
}

describe('rules that cannot be together', () => {
  test('overlap in part and set the same key', () => {
    refused(
      rulesOf('a 100-199 lease=1s', 'b 150-250 retry=1s lease=2s'),
      /rules "a" \(100-199\) and "b" \(150-250\) overlap in part, in bucket 150 for one, and both set lease; let one lie inside/,
      ['a', 'b'],
    );
    refused(rulesOf('a 1/1 lease=1s', 'b 2/2 lease=1s'), /bucket 3 for one, and both set lease/, [
      'a',
      'b',
    ]);
    refused(rulesOf('a 1/1 lease=1s', 'b 10-20 lease=1s'), /bucket 11 for one/, ['a', 'b']);
    refused(
      rulesOf(
        'a 0-9223372036854775808 lease=1s',
        'b 9223372036854775808-18446744073709551615 lease=1s',
      ),
      /bucket 9223372036854775808 for one/,
    );
    compileRules(rulesOf('a 100-199 lease=1s', 'b 150-250 retry=1s'));
    compileRules(rulesOf('a 100-199 lease=1s', 'b 200-250 lease=1s', 'c 1/1 retry=1s'));
    compileRules(rulesOf('a 1/1 lease=1s', 'b 11 lease=1s', 'c 3/3 lease=2s', 'd 12 lease=2s'));
  });

  test('match the same and set the same key, however it is written', () => {
    const message = /match the same buckets, \d+ for one, and both set lease; set it in one/;
    for (const [a, b] of [
      ['7', '0x7'],
      ['*', '0/0'],
      ['256-511', '256/0xffffffffffffff00'],
      ['1/1', '1/1'],
    ])
      refused(rulesOf(`a ${a} lease=1s`, `b ${b} lease=1s`), message, ['a', 'b']);
    compileRules(rulesOf('a 7 lease=1s', 'b 7 retry=1s'));
  });
});
