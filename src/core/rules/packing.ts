// Which buckets must be asked about before their messages are packed, as a table for the byte work:
// masks with values, and intervals that do not overlap. It may name a bucket too many, whose more
// specific rule sets such a key back; never one too few.

import { interval, type Match } from './match.ts';
import type { Rule } from './rule.ts';

/** Most of each; where there are more, all buckets are named. */
export interface PackingLimits {
  masks: number;
  values: number;
  ranges: number;
}

/**
 * Ids of which `mask` leaves `value`, no two alike; and ranges, in order and apart from each other,
 * `last` in the range. Each with the number that the byte work stops with.
 */
export interface PackingTable {
  masked: readonly { mask: bigint; value: bigint; rule: number }[];
  ranges: readonly { first: bigint; last: bigint; rule: number }[];
}

/** Which values are in force is known by the bucket: the number only says that there are some. */
const ASK = 1;

/** The table for a set of rules; empty if no rule has to be asked about. */
export function packingTableOf(rules: readonly Rule[], limits: PackingLimits): PackingTable {
  const mattering = rules.filter(isBeforePacking).map(({ match }) => match);
  const wide = joined(mattering.filter(({ solid, kind }) => solid && kind !== 'id'));
  const isInWide = covers(wide);
  const ids = mattering.filter(({ kind, first }) => kind === 'id' && !isInWide(first));
  const loose = mattering.filter(({ solid }) => !solid);
  const single = { ranges: wide, values: distinct([...loose, ...ids]) };
  // Many ids that are set one by one may be fewer as ranges.
  const asRanges = { ranges: joined([...wide, ...ids]), values: distinct(loose) };
  for (const { ranges, values } of [single, asRanges]) {
    const masks = new Set(values.map(({ mask }) => mask));
    if (masks.size > limits.masks || values.length > limits.values) continue;
    if (ranges.length <= limits.ranges) return tableOf(values, ranges);
  }
  return tableOf([{ mask: 0n, value: 0n }], []);
}

// Whether a rule can be why a bucket has to be asked about. A rule that bounds what waits and drops
// the oldest itself is none; where another one says that it is refused, that one is.
function isBeforePacking({ values }: Rule): boolean {
  const { delay = 0, dedup = 0, copy_to = [], overflow, max_messages = 0, max_bytes = 0 } = values;
  if (delay > 0 || dedup > 0 || copy_to.length > 0 || overflow === 'refuse') return true;
  return overflow === undefined && (max_messages > 0 || max_bytes > 0);
}

function joined(list: readonly Match[]): Match[] {
  const done: Match[] = [];
  for (const next of list.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
    const open = done.at(-1);
    if (open === undefined || next.first > open.last + 1n) done.push(next);
    else if (next.last > open.last) done[done.length - 1] = interval(open.first, next.last);
  }
  return done;
}

function covers(ranges: readonly Match[]): (id: bigint) => boolean {
  return (id) => {
    let [from, to] = [0, ranges.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (ranges[middle]!.first <= id) from = middle + 1;
      else to = middle;
    }
    return from > 0 && ranges[from - 1]!.last >= id;
  };
}

interface Masked {
  mask: bigint;
  value: bigint;
}

function distinct(list: readonly Masked[]): Masked[] {
  return [...new Map(list.map((one) => [(one.mask << 64n) | one.value, one])).values()];
}

function tableOf(values: readonly Masked[], ranges: readonly Match[]): PackingTable {
  return {
    masked: values.map(({ mask, value }) => ({ mask, value, rule: ASK })),
    ranges: ranges.map(({ first, last }) => ({ first, last, rule: ASK })),
  };
}
