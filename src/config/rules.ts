// Rules of the configuration file: the tables `[[rule]]` become the table that the broker goes by,
// or one sentence that says which rule is wrong, in which key, and what would be right.

import { compileRules } from '../core/rules/compile.ts';
import { RULES_MAX } from '../core/rules/matchers.ts';
import { type PlainRule, type Rule, ruleOfObject } from '../core/rules/rule.ts';
import { RuleError } from '../core/rules/rule-error.ts';
import { RULES_BYTES_MAX } from '../core/rules/rule-set.ts';
import type { RuleTable } from '../core/rules/rule-table.ts';

/** The key of a configuration file that holds rules. */
export const RULE_KEY = 'rule';

export { RULES_MAX };

/**
 * Reads the value of `rule` in a configuration file.
 * @throws RuleError with what is wrong.
 */
export function rulesOf(value: unknown): RuleTable {
  if (!Array.isArray(value))
    throw new RuleError('"rule" must be a list of tables: write [[rule]] above each');
  if (value.length > RULES_MAX)
    throw new RuleError(`there are ${value.length} rules; at most ${RULES_MAX} are possible`);
  const rules: Rule[] = [];
  const names = new Set<string>();
  let bytes = 0;
  for (const [index, each] of value.entries()) {
    const rule = ruleOf(each, index + 1);
    if (names.has(rule.name))
      throw new RuleError(`two rules are called "${rule.name}": give one another name`);
    names.add(rule.name);
    bytes += rule.text.length;
    if (bytes > RULES_BYTES_MAX)
      throw new RuleError(`the rules have more than ${RULES_BYTES_MAX} bytes of text in all`);
    rules.push(rule);
  }
  return compileRules(rules);
}

function ruleOf(value: unknown, number: number): Rule {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RuleError(`rule number ${number} is no table: give it a name, a match and keys`);
  const { name } = value as PlainRule;
  if (typeof name !== 'string')
    throw new RuleError(`rule number ${number} has no name: write name = "…"`);
  return ruleOfObject(name, value as PlainRule);
}
