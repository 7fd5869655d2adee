// How two matches stand to each other: whether one lies in the other, they are apart, or they
// overlap in part. Exact for masks, too; most pairs are decided by a few operations on words.

import { ID_MAX, type Match } from './match.ts';

export type Relation = 'equal' | 'inside' | 'contains' | 'apart' | 'overlap';

/** What `a` is to `b`: the same ids, inside it, contains it, apart, or they overlap in part. */
export function relationOf(a: Match, b: Match): Relation {
  if (areApart(a, b)) return 'apart';
  const [inside, contains] = [isInside(a, b), isInside(b, a)];
  if (inside) return contains ? 'equal' : 'inside';
  if (contains) return 'contains';
  return commonId(a, b) === undefined ? 'apart' : 'overlap';
}

// Whether bits that both fix differ, so that no id is in both. Says nothing if they do not.
function areApart({ words: a }: Match, { words: b }: Match): boolean {
  const low = (a.valueLow ^ b.valueLow) & a.maskLow & b.maskLow;
  const high = (a.valueHigh ^ b.valueHigh) & a.maskHigh & b.maskHigh;
  return (low | high) !== 0;
}

/** Whether all ids of `a` are ids of `b`. */
export function isInside(a: Match, b: Match): boolean {
  if (b.solid) return a.first >= b.first && a.last <= b.last;
  // Bits that b fixes must be fixed in a; in a range, those below its common ones take both values.
  const { words } = a;
  const looseLow = b.words.maskLow & ~words.maskLow;
  const looseHigh = b.words.maskHigh & ~words.maskHigh;
  return (looseLow | looseHigh) === 0 && !areApart(a, b);
}

/** The lowest id that is in both, or undefined. */
export function commonId(a: Match, b: Match): bigint | undefined {
  if (areApart(a, b)) return undefined;
  if (!a.solid && !b.solid) return a.value | b.value;
  const [from, to] = [a.first > b.first ? a.first : b.first, a.last < b.last ? a.last : b.last];
  if (from > to) return undefined;
  const loose = a.solid ? b : a;
  const least = loose.solid ? from : leastFrom(loose, from);
  return least !== undefined && least <= to ? least : undefined;
}

// The lowest id of a mask that is not below `from`.
function leastFrom({ mask, value }: Match, from: bigint): bigint | undefined {
  const wrong = (from & mask) ^ value;
  if (wrong === 0n) return from;
  // The highest bit that is not as the mask wants it; those below it are free again.
  const top = wrong.toString(2).length - 1;
  const below = (1n << BigInt(top + 1)) - 1n;
  if ((value >> BigInt(top)) & 1n) return (from & ~below) | (value & below);
  // It wants 0 where `from` has 1: the lowest free bit above that is 0 becomes 1.
  const free = ~from & ~mask & ID_MAX & ~below;
  if (free === 0n) return undefined;
  const one = free & -free;
  return (from & ~(one | (one - 1n))) | one | (value & (one - 1n));
}
