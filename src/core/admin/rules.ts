// Rules as operators see them: a list in pages, one by its name, and what is in force for a bucket
// with the rule that each value is from.

import {
  type BucketInfo,
  type BucketRule,
  isId,
  type Outcome,
  ROWS_MAX,
  type RuleKeys,
  type RulePage,
  type RuleRow,
} from '../../contract/commands.ts';
import { compileRules } from '../rules/compile.ts';
import { KEY_NAMES, printValue, RULE_KEYS } from '../rules/keys.ts';
import { printMatch } from '../rules/match.ts';
import { type Rule, settingsOf } from '../rules/rule.ts';
import { quote } from '../rules/rule-error.ts';
import type { RuleTable } from '../rules/rule-table.ts';
import { bounded, refuse } from './refusals.ts';

/** Gives the version of a rule; 0, also without it: it stands in the configuration file. */
export type VersionOf = (name: string) => number;
const ofFile: VersionOf = () => 0;

function rowOf(rule: Rule, version: number): RuleRow {
  const { name, match } = rule;
  const row = { name, match: printMatch(match), keys: Object.fromEntries(settingsOf(rule)) };
  return version === 0
    ? { ...row, source: 'file' }
    : { ...row, source: 'set', version: `${version}` };
}

/** Rules in the order of their names, from behind the one called `cursor` on. */
export function rulePage(
  table: RuleTable | undefined,
  limit: number,
  cursor: string | undefined,
  versionOf = ofFile,
): RulePage {
  const rules = [...(table?.rules ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
  const most = bounded(limit, ROWS_MAX);
  const from = cursor === undefined ? 0 : rules.findIndex(({ name }) => name > cursor);
  const following = from < 0 ? [] : rules.slice(from);
  const shown = following.slice(0, most);
  const next = following.length > most ? shown.at(-1)!.name : null;
  const rows = shown.map((rule) => rowOf(rule, versionOf(rule.name)));
  return { rules: rows, cursor: next, count: rules.length };
}

export function ruleNamed(table: RuleTable | undefined, name: string, versionOf = ofFile): Outcome {
  const rule = table?.rules.find((each) => each.name === name);
  if (rule !== undefined) return { ok: true, result: rowOf(rule, versionOf(name)) };
  return refuse('not-found', `there is no rule ${quote(name)}`);
}

/** What rules can set. */
export function ruleKeys(): RuleKeys {
  const keys = KEY_NAMES.map((key) => {
    const { takes, help, fallback } = RULE_KEYS[key];
    const usual = printValue(key, fallback as never);
    return { key, usual, takes, help };
  });
  return { keys };
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
  const { keys, parent } = (table ?? compileRules([])).explain(BigInt(id));
  const result: BucketRule = {
    bucket: id,
    keys: keys.map(({ key, value, rule }) => ({ key, value, rule: rule ?? null })),
    virtual: parent === undefined ? null : { bucket: `${parent.bucket}`, rule: parent.rule },
  };
  return { ok: true, result };
}
