// How many rules there may be, and how much of what they say.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileRules } from '../../../src/core/rules/compile.ts';
import type { Rule } from '../../../src/core/rules/rule.ts';
import { RuleError } from '../../../src/core/rules/rule-error.ts';
import { rulesOf } from './world.ts';

function refused(rules: readonly Rule[], message: RegExp): void {
  assert.throws(
    () => compileRules(rules),
    (error) => {
      assert.ok(error instanceof RuleError, String(error));
      assert.match(error.message, message);
      return true;
    },
  );
}

describe('a set of rules is refused where they', () => {
  test('have the same name', () => {
    refused(rulesOf('a 7 lease=1s', 'a 8 lease=1s'), /two rules are called "a"/);
  });

  test('are too many', () => {
    const many = (n: number, line: (i: number) => string) =>
      rulesOf(...Array.from({ length: n }, (_, i) => line(i)));
    refused(
      many(10_001, (i) => `r${i} ${i} lease=1s`),
      /there are 10001 rules; at most 10000/,
    );
    refused(
      many(1025, (i) => `r${i} ${i * 2 + 1}/0xffffff0000ffffff lease=1s`),
      /1025 masks have a 0 above a 1; at most 1024/,
    );
    const sources = (from: number, n: number) =>
      Array.from({ length: n }, (_, i) => from + 2 * i).join(',');
    refused(
      many(5, (i) => `r${i} ${i + 1} sources=${sources(10_000 * (i + 1), 2001)}`),
      /name 10005 sources; at most 10000/,
    );
    const names = many(300, (i) => `r${i} ${i + 1} lease=1s`).map((rule) => ({
      ...rule,
      text: 'x'.repeat(60_000),
    }));
    refused(names, /the rules have 18000000 bytes of text; at most 16777216/);
  });
});
