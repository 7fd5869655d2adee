// Makes a table of a set of rules, or says why there can be none: the one way from rules to what is
// in force.

import { checkCopies, checkDeadLetters, checkSources } from './checks.ts';
import { checkConflicts } from './conflicts.ts';
import { matchersOf } from './matchers.ts';
import type { Rule } from './rule.ts';
import { RuleTable } from './rule-table.ts';

/**
 * Compiles a set of rules, in any order.
 * @throws RuleError with the names of rules that cannot be together, and a bucket that shows it.
 */
export function compileRules(rules: readonly Rule[]): RuleTable {
  const matchers = matchersOf(rules);
  checkSources(rules);
  checkConflicts(matchers.list);
  const table = new RuleTable(rules, matchers);
  checkDeadLetters(table);
  checkCopies(table);
  return table;
}
