// A set of rules as columns: what matches, and which columns it decides. A column is a key, and one
// more is the virtual bucket that is given what waits in a bucket. A rule is a matcher of its keys;
// each of its sources is one of that last column, so that precedence and conflicts are the same.

import { KEY_NAMES, printValue, RULE_KEYS, type RuleValues } from './keys.ts';
import { type Match, printMatch } from './match.ts';
import type { Rule } from './rule.ts';
import { RuleError } from './rule-error.ts';

/** The column of the virtual parent, behind those of the keys. */
export const PARENT = KEY_NAMES.length;
export const COLUMNS = PARENT + 1;

/** Most rules, bytes of their text, sources over all of them, and masks that are no interval. */
export const RULES_MAX = 10_000;
export const TEXT_BYTES_MAX = 16 * 1024 * 1024;
export const ALL_SOURCES_MAX = 10_000;
export const LOOSE_MAX = 1024;

export interface Matcher {
  readonly match: Match;
  readonly rule: Rule;
  /** Columns that it decides, as a list and as bits. */
  readonly columns: readonly number[];
  readonly bits: number;
  /** Number of its value for each of `columns`. */
  readonly values: readonly number[];
}

/** What a column can be: number 0 is the default. */
export type Values = (RuleValues[keyof RuleValues] | undefined)[];

export interface Matchers {
  readonly list: readonly Matcher[];
  /** By column: its values by their numbers. */
  readonly values: readonly Values[];
}

/** @throws RuleError when there is too much of something. */
export function matchersOf(rules: readonly Rule[]): Matchers {
  checkAmounts(rules);
  const values: Values[] = Array.from({ length: COLUMNS }, () => [undefined]);
  const numbers = values.map(() => new Map<string, number>());
  KEY_NAMES.forEach((key, column) => {
    const { fallback } = RULE_KEYS[key];
    values[column]![0] = fallback;
    numbers[column]!.set(printValue(key, fallback as never), 0);
  });
  const numberOf = (column: number, text: string, value: Values[number]): number => {
    const known = numbers[column]!.get(text);
    if (known !== undefined) return known;
    numbers[column]!.set(text, values[column]!.length);
    return values[column]!.push(value) - 1;
  };
  const matcher = (match: Match, rule: Rule, pairs: readonly [number, number][]): Matcher => ({
    match,
    rule,
    columns: pairs.map(([column]) => column),
    bits: pairs.reduce((bits, [column]) => bits | (1 << column), 0),
    values: pairs.map(([, value]) => value),
  });
  const own: Matcher[] = [];
  const sources: Matcher[] = [];
  for (const rule of rules) {
    const pairs = KEY_NAMES.flatMap((key, column): [number, number][] => {
      const value = rule.values[key];
      if (value === undefined) return [];
      return [[column, numberOf(column, printValue(key, value as never), value)]];
    });
    const isVirtual = (rule.values.sources?.length ?? 0) > 0;
    if (isVirtual) {
      // What is published to a virtual bucket is a source of it, too.
      const parent = numberOf(PARENT, printMatch(rule.match), rule.match.first);
      pairs.push([PARENT, parent]);
      for (const source of rule.values.sources!)
        sources.push(matcher(source, rule, [[PARENT, parent]]));
    }
    own.push(matcher(rule.match, rule, pairs));
  }
  return { list: [...own, ...sources], values };
}

function checkAmounts(rules: readonly Rule[]): void {
  if (rules.length > RULES_MAX)
    throw new RuleError(`there are ${rules.length} rules; at most ${RULES_MAX} are allowed`);
  const names = new Set<string>();
  let [bytes, sources, loose] = [0, 0, 0];
  for (const { name, match, values, text } of rules) {
    if (names.has(name)) throw new RuleError(`two rules are called "${name}"`, [name]);
    names.add(name);
    bytes += text.length;
    const own = values.sources ?? [];
    sources += own.length;
    loose += [match, ...own].reduce((sum, { solid }) => sum + (solid ? 0 : 1), 0);
  }
  if (bytes > TEXT_BYTES_MAX)
    throw new RuleError(
      `the rules have ${bytes} bytes of text; at most ${TEXT_BYTES_MAX} are allowed`,
    );
  if (sources > ALL_SOURCES_MAX)
    throw new RuleError(
      `the rules name ${sources} sources; at most ${ALL_SOURCES_MAX} are allowed`,
    );
  if (loose > LOOSE_MAX)
    throw new RuleError(
      `${loose} masks have a 0 above a 1; at most ${LOOSE_MAX} such are allowed: write ranges, or masks whose ones are all on top`,
    );
}
