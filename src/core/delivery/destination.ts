// Where messages go that leave their line, and what is said of them there. The dead go where the
// rule of their bucket says: to its own dead line, or to another bucket. What that one does not
// take, or what went from bucket to bucket too often, stays in the dead line of its bucket.

import { KIND_DEAD, KIND_LIVE, REASON_REDRIVEN } from '../../../assembly/layout-placed.ts';
import type { BucketRules } from '../buckets/bucket-rules.ts';
import type { Holder } from '../ports/observer.ts';
import { type Head, NO_HEAD } from '../records/placed.ts';
import { keepsDead } from '../rules/effective.ts';

/** Moves from bucket to bucket by `dead_letter`; rules that change meanwhile may make a ring. */
export const HOPS_MAX = 8;

/** The halves of a bucket's id, and the kind of its line (layout.ts). */
export interface Line {
  low: number;
  high: number;
  kind: number;
}

/** Where the rule of their bucket lets the dead go. */
export const DEAD = 'dead';
/** Where messages were before they died. */
export const ORIGIN = 'origin';

/** What is to be done with messages. */
export interface MoveOrder {
  /** A REASON of layout.ts. */
  reason: number;
  to: typeof DEAD | typeof ORIGIN | { low: number; high: number };
  /** Who held them. */
  by: Holder | undefined;
  /** So many of them are no more on their way. */
  ended?: (count: number, how: MoveEnd) => void;
}

/**
 * - `moved`: they are durable in their new place.
 * - `full`: where they were to go takes no more; they are back in their line, or dropped.
 * - `aside`: they cannot be read.
 */
export type MoveEnd = 'moved' | 'full' | 'aside';

export interface Destination extends Line {
  hops: number;
  /** It is not the one that the rule names. */
  isFallback: boolean;
}

/** Whether a bucket takes any of the messages. */
export type Takes = (low: number, high: number) => boolean;

/**
 * Where the dead of a line go; `hops`: how often they went from bucket to bucket. Undefined: they
 * are dropped.
 */
export function forDead(
  rules: BucketRules,
  { low, high }: Line,
  hops: number,
  takes: Takes,
): Destination | undefined {
  const own = { low, high, kind: KIND_DEAD, hops, isFallback: false };
  if (rules.table === undefined) return own;
  const set = rules.for(low, high);
  if (set.deadLetter === 'drop') return undefined;
  if (keepsDead(set, low, high)) return own;
  const { deadLow, deadHigh } = set;
  if (hops >= HOPS_MAX || !takes(deadLow, deadHigh)) return { ...own, isFallback: true };
  return { low: deadLow, high: deadHigh, kind: KIND_LIVE, hops: hops + 1, isFallback: false };
}

/** Where messages of a line that are given back go; undefined: that bucket is full. */
export function forRedriven(
  { low, high }: Line,
  to: MoveOrder['to'],
  head: Head,
  takes: Takes,
): Destination | undefined {
  let target = { low, high };
  if (typeof to === 'object') target = to;
  else if (head.from > 0) target = halvesOf(head.fromBucket);
  if (!takes(target.low, target.high)) return undefined;
  return { ...target, kind: KIND_LIVE, hops: 0, isFallback: false };
}

/** What is said of messages in their new place. */
export function headOf(
  from: Line & { sequence: number; attempts: number },
  to: Destination,
  before: Head,
  said: { reason: number; publishedMs: number; movedMs: number },
): Head {
  return {
    ...NO_HEAD,
    publishedMs: before.publishedMs > 0 ? before.publishedMs : said.publishedMs,
    from: from.sequence,
    fromBucket: (BigInt(from.high) << 32n) | BigInt(from.low),
    movedMs: said.movedMs,
    fromAttempts: Math.min(from.attempts, 0xffff),
    reason: said.reason,
    fromKind: from.kind,
    hops: said.reason === REASON_REDRIVEN ? 0 : to.hops,
  };
}

function halvesOf(bucket: bigint): { low: number; high: number } {
  return { low: Number(bucket & 0xffffffffn), high: Number(bucket >> 32n) };
}
