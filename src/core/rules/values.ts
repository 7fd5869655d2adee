// How the values of a rule's keys are read and written: counts, durations, sizes, words, lists. Each
// kind says what it takes, and writes a value in one way, which it reads back as it was.

import { exactDuration, exactSize, parseDuration, parseSize } from '../text/units.ts';
import { interval, type Match, parseId, parseMatch, printMatch } from './match.ts';
import { quote, RuleError } from './rule-error.ts';

/** The largest duration of any key: ten years. */
export const DURATION_MS_MAX = 10 * 365 * 24 * 3_600_000;
/** The longest element of a list, or value that is none. */
const WORD_MAX = 128;

export interface ValueKind<T> {
  /** What it takes, for people: `a duration up to 87600h`. */
  readonly takes: string;
  /** @throws RuleError or RangeError without the name of the key. */
  readonly parse: (text: string) => T;
  readonly print: (value: T) => string;
}

function word(text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') throw new RuleError('has no value');
  if (trimmed.length > WORD_MAX) throw new RuleError(`${quote(trimmed)} is too long`);
  if (!/^[\x20-\x7e]*$/.test(trimmed))
    throw new RuleError(`${quote(trimmed)} has letters that no value has`);
  return trimmed;
}

/** A whole number. */
export function count(least: number, most: number): ValueKind<number> {
  const takes = `a whole number from ${least} to ${most}`;
  return {
    takes,
    parse: (text) => {
      const value = /^\d{1,16}$/.test(word(text)) ? Number(text) : Number.NaN;
      if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
      throw new RuleError(`${quote(text)} is not ${takes}`);
    },
    print: String,
  };
}

/** A number with at most `digits` behind the point. */
export function decimal(most: number, digits: number): ValueKind<number> {
  const takes = `a number from 0 to ${most}, with at most ${digits} digits behind the point`;
  const form = new RegExp(`^\\d{1,16}(?:\\.\\d{1,${digits}})?$`);
  return {
    takes,
    parse: (text) => {
      const value = form.test(word(text)) ? Number(text) : Number.NaN;
      if (value >= 0 && value <= most) return value;
      throw new RuleError(`${quote(text)} is not ${takes}`);
    },
    print: String,
  };
}

export const duration: ValueKind<number> = {
  takes: `a duration up to ${exactDuration(DURATION_MS_MAX)}: 250ms, 30s, 2m, 1h`,
  parse: (text) => {
    const ms = parseDuration(word(text));
    if (ms <= DURATION_MS_MAX) return ms;
    const most = exactDuration(DURATION_MS_MAX);
    throw new RuleError(`${quote(text)} is longer than ten years; at most ${most}`);
  },
  print: exactDuration,
};

export const size: ValueKind<number> = {
  takes: 'a size: 4096, 64KiB, 1GiB',
  parse: (text) => parseSize(word(text)),
  print: exactSize,
};

export const truth: ValueKind<boolean> = {
  takes: 'true or false',
  parse: (text) => {
    if (text.trim() === 'true') return true;
    if (text.trim() === 'false') return false;
    throw new RuleError(`${quote(text)} is not true or false`);
  },
  print: String,
};

export function oneOf<const T extends string>(words: readonly T[]): ValueKind<T> {
  const takes = `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
  return {
    takes,
    parse: (text) => {
      const known = words.find((each) => each === text.trim());
      if (known !== undefined) return known;
      throw new RuleError(`${quote(text)} is not ${takes}`);
    },
    print: String,
  };
}

/** Some words, or what `kind` takes. */
export function wordOr<const W extends string, T>(
  words: readonly W[],
  kind: ValueKind<T>,
): ValueKind<W | T> {
  const isWord = (value: W | T): value is W => words.includes(value as W);
  return {
    takes: `${words.join(', ')}, or ${kind.takes}`,
    parse: (text) => words.find((each) => each === text.trim()) ?? kind.parse(text),
    print: (value) => (isWord(value) ? value : kind.print(value)),
  };
}

/** Time after which something goes, or never. 0 is refused: it would never be there. */
export const keeping: ValueKind<number> = {
  takes: `forever, or ${duration.takes}`,
  parse: (text) => {
    if (text.trim() === 'forever') return Number.POSITIVE_INFINITY;
    const ms = duration.parse(text);
    if (ms > 0) return ms;
    throw new RuleError('0 would keep nothing; write forever, or set dead_letter=drop');
  },
  print: (ms) => (ms === Number.POSITIVE_INFINITY ? 'forever' : duration.print(ms)),
};

export const bucket: ValueKind<bigint> = {
  takes: 'the id of a bucket',
  parse: (text) => parseId(word(text)),
  print: String,
};

function elements(text: string, most: number): string[] {
  const parts = text.split(',', most + 1);
  if (parts.length > most) throw new RuleError(`names more than ${most}`);
  if (parts.length > 1 && parts.some((part) => part.trim() === ''))
    throw new RuleError(`${quote(text)} has an empty place between its commas`);
  return parts.map(word);
}

export function durations(most: number): ValueKind<readonly number[]> {
  return {
    takes: `at most ${most} durations with commas, each up to ${exactDuration(DURATION_MS_MAX)}`,
    parse: (text) => elements(text, most).map(duration.parse),
    print: (list) => list.map(duration.print).join(','),
  };
}

/** Ids in order, each once, or none. */
export function buckets(most: number): ValueKind<readonly bigint[]> {
  return {
    takes: `none, or at most ${most} ids with commas`,
    parse: (text) => {
      if (text.trim() === 'none') return [];
      const ids = elements(text, most).map(parseId).sort(ascending);
      const twice = ids.find((id, i) => id === ids[i + 1]);
      if (twice !== undefined) throw new RuleError(`names ${twice} twice`);
      return ids;
    },
    print: (ids) => (ids.length === 0 ? 'none' : ids.join(',')),
  };
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Matches in order, or none. Neighbouring ids that overlap become one range. */
export function matchList(most: number): ValueKind<readonly Match[]> {
  return {
    takes: `none, or at most ${most} ids, ranges or masks with commas`,
    parse: (text) => (text.trim() === 'none' ? [] : joined(elements(text, most).map(parseMatch))),
    print: (list) => (list.length === 0 ? 'none' : list.map(printMatch).join(',')),
  };
}

function joined(list: readonly Match[]): Match[] {
  const [solid, loose] = [list.filter((one) => one.solid), list.filter((one) => !one.solid)];
  const done: Match[] = [];
  for (const next of solid.sort(
    (a, b) => ascending(a.first, b.first) || ascending(b.last, a.last),
  )) {
    const open = done.at(-1);
    if (open === undefined || next.first > open.last) done.push(next);
    else if (next.last > open.last) done[done.length - 1] = interval(open.first, next.last);
  }
  const order = (a: Match, b: Match) => ascending(a.value, b.value) || ascending(a.mask, b.mask);
  const apart = loose.sort(order).filter((one, i) => i === 0 || order(one, loose[i - 1]!) !== 0);
  return [...done, ...apart];
}
