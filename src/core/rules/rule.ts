// A rule: a name, which buckets it is about, and what it sets for them. Made of words as on a
// command line, or of a plain object as in a configuration file or a request; written in one form:
//
//   name=tenants match=100-199 retry=1s,5s,30s max_deliveries=5

import { nearestName } from '../text/nearest.ts';
import { KEY_NAMES, printValue, RULE_KEYS, type RuleKeyName, type RuleValues } from './keys.ts';
import { type Match, parseMatch, printMatch } from './match.ts';
import { checkOwnBucket } from './own-bucket.ts';
import { quote, RuleError } from './rule-error.ts';

export const NAME_BYTES_MAX = 128;
/** Most bytes of a rule as text. */
export const RULE_BYTES_MAX = 65_536;
// Letters that URLs leave as they are. The first one keeps `.` and `..` out, and what looks like a flag.
const NAME = /^[A-Za-z0-9][A-Za-z0-9._~-]*$/;

export interface Rule {
  readonly name: string;
  readonly match: Match;
  /** What it sets; at least one key. */
  readonly values: Partial<RuleValues>;
  /** Its canonical text, ASCII without an end of line: `parseRule` reads it back. */
  readonly text: string;
}

/** Values as they stand in a configuration file or a request. */
export type PlainRule = Readonly<Record<string, unknown>>;

/** @throws RuleError when `name` cannot be the name of a rule. */
export function checkName(name: string): void {
  if (name.length <= NAME_BYTES_MAX && NAME.test(name)) return;
  throw new RuleError(
    `${quote(name)} is no name of a rule; write 1 to ${NAME_BYTES_MAX} letters, digits, and - . _ ~ behind the first`,
    [],
    'name',
  );
}

/**
 * A rule of its match and words `key=value`.
 * @throws RuleError naming the key that is wrong.
 */
export function ruleOfWords(name: string, match: string, words: readonly string[]): Rule {
  const pairs = words.map((each): [string, string] => {
    const at = each.indexOf('=');
    if (at <= 0) throw new RuleError(`${quote(each)} sets nothing; write key=value`);
    return [each.slice(0, at), each.slice(at + 1)];
  });
  return ruleOf(name, match, pairs);
}

/**
 * A rule of a plain object: `match` and keys, whose values are text, numbers, booleans or lists of
 * these. A `name` in it must be `name`.
 * @throws RuleError naming the key that is wrong.
 */
export function ruleOfObject(name: string, plain: PlainRule): Rule {
  const { match, name: inner, ...keys } = plain;
  if (inner !== undefined && inner !== name)
    throw new RuleError(`rule ${quote(name)} is called ${quote(String(inner))} within`);
  if (match === undefined) throw new RuleError(`rule ${quote(name)} has no match`);
  const pairs = Object.entries(keys).filter(([, value]) => value !== undefined);
  return ruleOf(
    name,
    textOf('match', match),
    pairs.map(([key, value]) => [key, textOf(key, value)]),
  );
}

function textOf(key: string, value: unknown): string {
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  if (typeof value === 'number') {
    // A larger one may have been another one before it became a number.
    if (Number.isInteger(value) && !Number.isSafeInteger(value))
      throw new RuleError(`${quote(key)}: numbers beyond 2^53 are not exact; write it in quotes`);
    return String(value);
  }
  if (Array.isArray(value)) {
    if (value.length === 0) throw new RuleError(`${quote(key)}: the list is empty; write none`);
    if (value.some(Array.isArray)) throw new RuleError(`${quote(key)}: a list is within the list`);
    return value.map((each) => textOf(key, each)).join(',');
  }
  const kind = value === null ? 'null' : typeof value;
  throw new RuleError(`${quote(key)}: ${kind} is no value; write text, a number or a list`);
}

/**
 * Reads the canonical text of a rule.
 * @throws RuleError when it is not in that form, down to order and spaces.
 */
export function parseRule(text: string): Rule {
  if (text.length > RULE_BYTES_MAX) throw tooLong('the rule', text.length);
  const parts = /^name=([^ ]*) match=([^ ]*) (.*)$/.exec(text);
  if (parts === null)
    throw new RuleError(`${quote(text)} is no rule; write name=NAME match=MATCH key=value …`);
  const rule = ruleOfWords(parts[1]!, parts[2]!, parts[3]!.split(' '));
  if (rule.text !== text)
    throw new RuleError(`rule ${quote(rule.name)} is not in canonical form: ${quote(text)}`);
  return rule;
}

/** What a rule sets, written: pairs of key and value, in the order of the keys. */
export function settingsOf({ values }: Rule): [key: RuleKeyName, value: string][] {
  return KEY_NAMES.flatMap((key): [RuleKeyName, string][] => {
    const value = values[key];
    return value === undefined ? [] : [[key, printValue(key, value as never)]];
  });
}

function ruleOf(name: string, match: string, pairs: readonly [string, string][]): Rule {
  checkName(name);
  const values: Partial<Record<RuleKeyName, unknown>> = {};
  for (const [key, text] of pairs) {
    if (!isKey(key)) throw unknownKey(name, key);
    if (values[key] !== undefined)
      throw new RuleError(`rule ${quote(name)} sets ${key} twice`, [], key);
    values[key] = readValue(name, key, text);
  }
  if (pairs.length === 0)
    throw new RuleError(`rule ${quote(name)} sets nothing; give it a key: max_deliveries=5`);
  const rule = { name, match: matchOf(name, match), values: values as Partial<RuleValues> };
  checkOwnBucket(name, rule.match, rule.values);
  const settings = settingsOf({ ...rule, text: '' }).map(([key, value]) => `${key}=${value}`);
  const text = `name=${name} match=${printMatch(rule.match)} ${settings.join(' ')}`;
  if (text.length > RULE_BYTES_MAX) throw tooLong(`rule ${quote(name)}`, text.length);
  return { ...rule, text };
}

function isKey(key: string): key is RuleKeyName {
  return Object.hasOwn(RULE_KEYS, key);
}

function unknownKey(name: string, key: string): RuleError {
  const near = nearestName(key, KEY_NAMES);
  const hint = near === undefined ? `known are ${KEY_NAMES.join(', ')}` : `did you mean "${near}"?`;
  return new RuleError(`rule ${quote(name)} sets ${quote(key)}, which is no key; ${hint}`, [], key);
}

function matchOf(name: string, text: string): Match {
  try {
    return parseMatch(text);
  } catch (error) {
    throw within(`rule ${quote(name)}, match`, error, { at: 'match' });
  }
}

function readValue(name: string, key: RuleKeyName, text: string): unknown {
  if (text.length > RULE_BYTES_MAX) throw tooLong(`rule ${quote(name)}, ${key}`, text.length);
  try {
    return RULE_KEYS[key].parse(text);
  } catch (error) {
    const after = `; it takes ${RULE_KEYS[key].takes}`;
    throw within(`rule ${quote(name)}, ${key}`, error, { at: key, after });
  }
}

function within(
  where: string,
  error: unknown,
  { at, after = '' }: { at: string; after?: string },
): unknown {
  const isMeant = error instanceof RuleError || error instanceof RangeError;
  return isMeant ? new RuleError(`${where}: ${error.message}${after}`, [], at) : error;
}

function tooLong(what: string, bytes: number): RuleError {
  return new RuleError(`${what} has ${bytes} bytes of text; at most ${RULE_BYTES_MAX} are allowed`);
}
