// Which buckets a rule is about: one id, a range, those that agree with a value under a mask, or
// all. Ids are u64: bigint where people write them, two u32 words where a bucket is looked up.
//
// What is alike is written alike: a range of one id is that id, a mask of all bits too, and a range
// or a mask that leaves nothing out is `*`. Buckets of a mask whose ones are all on top are
// neighbours, so it has a first and a last one as a range does.

import { quote, RuleError } from './rule-error.ts';

export const ID_MAX = (1n << 64n) - 1n;
const DIGITS_MAX = 20;

export interface Match {
  readonly kind: 'all' | 'id' | 'range' | 'mask';
  /** The lowest and the highest id that matches; all between do if `solid`. */
  readonly first: bigint;
  readonly last: bigint;
  readonly solid: boolean;
  /** Bits that decide, and what they are; with a range, those that all its ids have in common. */
  readonly mask: bigint;
  readonly value: bigint;
  /** How many ids match: 1 … 2^64. */
  readonly count: bigint;
  /** The same in words, for looking up: bounds unsigned, the others signed. */
  readonly words: MatchWords;
}

export interface MatchWords {
  readonly firstLow: number;
  readonly firstHigh: number;
  readonly lastLow: number;
  readonly lastHigh: number;
  readonly maskLow: number;
  readonly maskHigh: number;
  readonly valueLow: number;
  readonly valueHigh: number;
}

export const ALL: Match = interval(0n, ID_MAX);

/** The match of one bucket. */
export function matchOfId(id: bigint): Match {
  return interval(id, id);
}

/** The match of all ids from `first` to `last`, both in it. */
export function interval(first: bigint, last: bigint): Match {
  const common = prefixMask(first, last);
  const kind = first === last ? 'id' : common === 0n && isAll(first, last) ? 'all' : 'range';
  return made(kind, first, last, true, common, first & common, last - first + 1n);
}

function isAll(first: bigint, last: bigint): boolean {
  return first === 0n && last === ID_MAX;
}

// Bits on top that two ids have in common.
function prefixMask(first: bigint, last: bigint): bigint {
  const width = first === last ? 0 : (first ^ last).toString(2).length;
  return ID_MAX ^ ((1n << BigInt(width)) - 1n);
}

function masked(value: bigint, mask: bigint): Match {
  if (mask === ID_MAX) return matchOfId(value);
  if (mask === 0n) return ALL;
  const free = ID_MAX ^ mask;
  const last = value | free;
  const solid = (free & (free + 1n)) === 0n;
  return made('mask', value, last, solid, mask, value, 1n << BigInt(onesOf(free)));
}

function onesOf(bits: bigint): number {
  return bits.toString(2).replaceAll('0', '').length;
}

function made(
  kind: Match['kind'],
  first: bigint,
  last: bigint,
  solid: boolean,
  mask: bigint,
  value: bigint,
  count: bigint,
): Match {
  const words = {
    firstLow: lowOf(first),
    firstHigh: highOf(first),
    lastLow: lowOf(last),
    lastHigh: highOf(last),
    maskLow: lowOf(mask) | 0,
    maskHigh: highOf(mask) | 0,
    valueLow: lowOf(value) | 0,
    valueHigh: highOf(value) | 0,
  };
  return { kind, first, last, solid, mask, value, count, words };
}

/** The low and the high word of an id, unsigned. */
export function lowOf(id: bigint): number {
  return Number(id & 0xffff_ffffn);
}

export function highOf(id: bigint): number {
  return Number(id >> 32n);
}

/** The id of two words, signed or not. */
export function idOf(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/**
 * Reads an id: decimal, or hexadecimal behind 0x.
 * @throws RuleError when it is none, or beyond 2^64 - 1.
 */
export function parseId(text: string): bigint {
  const word = text.trim();
  if (!/^(?:\d+|0x[0-9a-f]+)$/i.test(word))
    throw new RuleError(`${quote(text)} is no id of a bucket; write 42, or 0x2a`);
  const digits = word.replace(/^(?:0x)?0*/i, '');
  const id = digits.length > DIGITS_MAX ? ID_MAX + 1n : BigInt(word);
  if (id > ID_MAX)
    throw new RuleError(`${quote(text)} is no id of a bucket; the largest is ${ID_MAX}`);
  return id;
}

/**
 * Reads `7`, `100-199`, `0x2a00000000000000/0xff00000000000000` or `*`; any number may be decimal
 * or hexadecimal.
 * @throws RuleError saying what is wrong with it.
 */
export function parseMatch(text: string): Match {
  const word = text.trim();
  if (word === '*') return ALL;
  const parts = /^([^-/]*)([-/])(.*)$/.exec(word);
  if (parts === null) {
    if (!/^[0-9]/.test(word))
      throw new RuleError(
        `${quote(text)} matches no buckets; write an id (7), a range (100-199), a value and a mask (0x2a00/0xff00), or *`,
      );
    return matchOfId(parseId(word));
  }
  const [left, right] = [parseId(parts[1]!), parseId(parts[3]!)];
  if (parts[2] === '-') {
    if (left > right)
      throw new RuleError(`${quote(text)} ends before it begins; write ${right}-${left}`);
    return interval(left, right);
  }
  if ((left & ~right) !== 0n)
    throw new RuleError(
      `${quote(text)} can match nothing: the value has bits outside of the mask; write ${hex(left & right)}/${hex(right)}`,
    );
  return masked(left, right);
}

/** The one way to write a match; `parseMatch` reads it back. */
export function printMatch(match: Match): string {
  if (match.kind === 'all') return '*';
  if (match.kind === 'id') return `${match.first}`;
  if (match.kind === 'range') return `${match.first}-${match.last}`;
  return `${hex(match.value)}/${hex(match.mask)}`;
}

function hex(id: bigint): string {
  return `0x${id.toString(16).padStart(16, '0')}`;
}

/** Whether the bucket of these words matches. Allocates nothing. */
export function matches({ solid, words }: Match, low: number, high: number): boolean {
  const { maskLow, maskHigh, valueLow, valueHigh } = words;
  if ((((low & maskLow) ^ valueLow) | ((high & maskHigh) ^ valueHigh)) !== 0) return false;
  if (!solid) return true;
  const [above, below] = [high >>> 0, low >>> 0];
  if (above < words.firstHigh || (above === words.firstHigh && below < words.firstLow))
    return false;
  return above < words.lastHigh || (above === words.lastHigh && below <= words.lastLow);
}
