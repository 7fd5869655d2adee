// Rules as operators see them: a list in pages, one by its name, and what is in force for a bucket
// with the rule that each value is from.

import {
  type BucketInfo,
  type BucketRule,
  isId,
  type Outcome,
  ROWS_MAX,
  type RulePage,
  type RuleRow,
} from '../../contract/commands.ts';
import { BUILT } from '../rules/built.ts';
import { compileRules } from '../rules/compile.ts';
import { printMatch } from '../rules/match.ts';
import { type Rule, settingsOf } from '../rules/rule.ts';
import { quote } from '../rules/rule-error.ts';
import type { RuleTable } from '../rules/rule-table.ts';
import { bounded, refuse } from './refusals.ts';

function rowOf(rule: Rule): RuleRow {
  const keys = Object.fromEntries(settingsOf(rule));
  return { name: rule.name, match: printMatch(rule.match), keys, source: 'file' };
}

/** Rules in the order of their names, from behind the one called `cursor` on. */
export function rulePage(
  table: RuleTable | undefined,
  limit: number,
  cursor: string | undefined,
): RulePage {
  const rules = [...(table?.rules ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
  const most = bounded(limit, ROWS_MAX);
  const from = cursor === undefined ? 0 : rules.findIndex(({ name }) => name > cursor);
  const following = from < 0 ? [] : rules.slice(from);
  const shown = following.slice(0, most);
  const next = following.length > most ? shown.at(-1)!.name : null;
  return { rules: shown.map(rowOf), cursor: next, count: rules.length };
}

export function ruleNamed(table: RuleTable | undefined, name: string): Outcome {
  const rule = table?.rules.find((each) => each.name === name);
  if (rule !== undefined) return { ok: true, result: rowOf(rule) };
  return refuse('not-found', `there is no rule ${quote(name)}`);
}

/** What rules set for a bucket. */
export function rulesOf(table: RuleTable | undefined, id: string): BucketInfo['rules'] {
  if (table === undefined) return [];
  return table
    .explain(BigInt(id))
    .keys.flatMap(({ key, value, rule }) => (rule === undefined ? [] : [{ key, value, rule }]));
}

/** What is in force for a bucket, whether or not it has messages. */
export function explainBucket(table: RuleTable | undefined, id: string): Outcome {
  if (!isId(id)) {
    const detail = `${quote(String(id))} is no bucket: an id is a number from 0 to 2^64 - 1`;
    return refuse('bad-request', detail);
  }
  const { keys } = (table ?? compileRules([])).explain(BigInt(id));
  const result: BucketRule = {
    bucket: id,
    keys: keys
      .filter(({ key }) => BUILT[key] !== undefined)
      .map(({ key, value, rule }) => ({ key, value, rule: rule ?? null })),
  };
  return { ok: true, result };
}
