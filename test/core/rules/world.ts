// A small world for tests of rules: 256 places, each one bucket or a block of neighbours, so that
// what matches can be counted out; and a walk over all rules that says what is in force there.

import { KEY_NAMES, RULE_KEYS, type RuleKeyName } from '../../../src/core/rules/keys.ts';
import { type Match, printMatch } from '../../../src/core/rules/match.ts';
import { type Rule, ruleOfWords } from '../../../src/core/rules/rule.ts';
import type { Random } from '../../support/random.ts';

export const PLACES = 256;
const FULL = (1n << 64n) - 1n;

/** Where the places are: the first id, and how many ids each has, as a power of two. */
export const WORLDS = [
  { base: 0n, bits: 0n },
  { base: (1n << 32n) - 256n, bits: 0n },
  { base: 1n << 32n, bits: 0n },
  { base: 1n << 63n, bits: 0n },
  { base: (1n << 64n) - 256n, bits: 0n },
  { base: 0n, bits: 28n },
  { base: 1n << 60n, bits: 30n },
  { base: 0n, bits: 56n },
];
export type World = (typeof WORLDS)[number];

/** The first and the last id of a place. */
export function idsAt({ base, bits }: World, place: number): [bigint, bigint] {
  const first = base + (BigInt(place) << bits);
  return [first, first + (1n << bits) - 1n];
}

/** A match of whole places of a world, as text. */
export function randomMatch(random: Random, world: World): string {
  const { base, bits } = world;
  const [a, b] = [random.below(PLACES), random.below(random.chance(0.5) ? 16 : PLACES)];
  const kind = random.below(10);
  if (kind === 0) return '*';
  if (kind < 5) {
    // A place, or some: half of them aligned, so that they lie in each other.
    const width = random.chance(0.5) ? 1 << random.below(8) : b + 1;
    const from = random.chance(0.5) ? a - (a % width) : a;
    const last = Math.min(PLACES - 1, from + width - 1);
    return `${idsAt(world, from)[0]}-${idsAt(world, last)[1]}`;
  }
  if (kind === 5) return `${idsAt(world, a)[0]}-${idsAt(world, a)[1]}`;
  const ones = BigInt(random.chance(0.5) ? random.below(PLACES) & random.below(PLACES) : a);
  const mask = (FULL ^ ((256n << bits) - 1n)) | (ones << bits);
  const value = base | ((BigInt(random.below(PLACES)) & ones) << bits);
  return `${value}/0x${mask.toString(16)}`;
}

/** Whether an id matches, said without the code that is tested. */
export function agrees(text: string, id: bigint): boolean {
  const known = read.get(text) ?? reading(text);
  read.set(text, known);
  return known(id);
}

const read = new Map<string, (id: bigint) => boolean>();

function reading(text: string): (id: bigint) => boolean {
  if (text === '*') return () => true;
  const [, left, by, right] = /^(\w+)(?:([-/])(\w+))?$/.exec(text)!;
  const first = BigInt(left!);
  if (by === undefined) return (id) => id === first;
  const second = BigInt(right!);
  return by === '-' ? (id) => id >= first && id <= second : (id) => (id & second) === first;
}

/** The places that match, for a match of whole places. */
export function placesOf(text: string, world: World): Set<number> {
  const all = Array.from({ length: PLACES }, (_, place) => place);
  return new Set(all.filter((place) => agrees(text, idsAt(world, place)[0])));
}

/** What keys may be set to in a random rule. */
const VALUES: Partial<Record<RuleKeyName, string[]>> = {
  retry: ['0s', '1s,5s', '30s'],
  max_deliveries: ['0', '3', '5'],
  dead_letter: ['keep', 'drop'],
  lease: ['0s', '10s'],
  delay: ['0s', '1m'],
  max_messages: ['0', '1000', '77'],
  overflow: ['refuse', 'drop-oldest', 'dead-oldest'],
  dedup: ['0s', '1h'],
  copy_to: ['none'],
  weight: ['1', '10'],
};
const SET_KEYS = Object.keys(VALUES) as RuleKeyName[];

export function randomRule(random: Random, world: World, name: string): Rule {
  const words = new Map<string, string>();
  for (let n = 1 + random.below(3); n > 0; n--) {
    const key = SET_KEYS[random.below(SET_KEYS.length)]!;
    words.set(key, VALUES[key]![random.below(VALUES[key]!.length)]!);
  }
  return ruleOfWords(
    name,
    randomMatch(random, world),
    [...words].map(([key, value]) => `${key}=${value}`),
  );
}

/** Two rules that set a key for the same bucket, neither lying within the other. */
export function conflictsOf(rules: readonly Rule[], world: World): [Rule, Rule, RuleKeyName][] {
  const places = rules.map(({ match }) => placesOf(textOf(match), world));
  return rules.flatMap((a, i) =>
    rules.slice(i + 1).flatMap((b, k): [Rule, Rule, RuleKeyName][] => {
      const [one, other] = [places[i]!, places[i + 1 + k]!];
      const common = [...one].filter((place) => other.has(place)).length;
      const isAll = (match: Match) => match.kind === 'all';
      const isNested =
        isAll(a.match) !== isAll(b.match) ||
        (one.size !== other.size && common === Math.min(one.size, other.size));
      if (common === 0 || isNested) return [];
      return KEY_NAMES.filter(
        (key) => a.values[key] !== undefined && b.values[key] !== undefined,
      ).map((key) => [a, b, key]);
    }),
  );
}

/** As text: the value of each key for a bucket, and the rule it is from. */
export function walk(rules: readonly Rule[], id: bigint): [string, string | undefined][] {
  const agreeing = rules.filter(({ match }) => agrees(textOf(match), id));
  return KEY_NAMES.map((key) => {
    const setting = agreeing.filter(({ values }) => values[key] !== undefined);
    setting.sort((a, b) => (a.match.count < b.match.count ? -1 : 1));
    const value = setting[0] === undefined ? RULE_KEYS[key].fallback : setting[0].values[key];
    return [RULE_KEYS[key].print(value as never), setting[0]?.name];
  });
}

export function textOf(match: Match): string {
  return printMatch(match);
}

/** Rules of lines `name match key=value …`. */
export function rulesOf(...lines: string[]): Rule[] {
  return lines.map((line) => {
    const [name, match, ...words] = line.split(' ');
    return ruleOfWords(name!, match!, words);
  });
}
