// What is in force for a bucket, ready to be used: times in ms, ids in words, nothing to look up.

import { BATCH_MESSAGES_MAX } from '../../../assembly/layout.ts';
import { KEY_NAMES, type RuleKeyName, type RuleValues } from './keys.ts';
import { highOf, lowOf } from './match.ts';

/** Most messages in a delivery of a virtual bucket, unless a rule says otherwise. */
const VIRTUAL_BATCH = 32;
const NO_COPIES = new Uint32Array();

export interface EffectiveRules {
  /** The same as written in rules. */
  readonly values: Readonly<RuleValues>;
  /** Delay by attempt, from the first on; the last repeats. At least one. */
  readonly retryMs: readonly number[];
  readonly retryJitter: number;
  /** 0: no limit. */
  readonly maxDeliveries: number;
  /** Where dead messages go; to a bucket: `deadLow`, `deadHigh`. Ask `keepsDead` first. */
  readonly deadLetter: 'keep' | 'drop' | 'move';
  readonly deadLow: number;
  readonly deadHigh: number;
  /** Infinity: for ever. */
  readonly deadKeepMs: number;
  readonly isolate: boolean;
  /** 0: none. The same for all that follow. */
  readonly leaseMs: number;
  readonly delayMs: number;
  readonly ttlMs: number;
  readonly expired: RuleValues['expired'];
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly overflow: RuleValues['overflow'];
  readonly maxInFlight: number;
  /** Deliveries of messages a second. */
  readonly rate: number;
  readonly dedupMs: number;
  /** Most messages in a delivery, 1 … BATCH_MESSAGES_MAX. */
  readonly batchMax: number;
  /** Buckets that get copies: low word, high word, for each. */
  readonly copyTo: Uint32Array;
  /** Whether its consumers are given what waits in other buckets. */
  readonly isVirtual: boolean;
  readonly order: RuleValues['order'];
  readonly weight: number;
  readonly priority: number;
  /** Whose consumers are given what waits here; a virtual bucket is its own parent. */
  readonly hasParent: boolean;
  readonly parentLow: number;
  readonly parentHigh: number;
  /** Whether something must be decided before a message is packed. */
  readonly beforePacking: boolean;
}

/** `parent`: the virtual bucket, if there is one. */
export function effectiveOf(values: RuleValues, parent: bigint | undefined): EffectiveRules {
  const { dead_letter, batch, copy_to, sources } = values;
  const target = typeof dead_letter === 'bigint' ? dead_letter : 0n;
  const isVirtual = sources.length > 0;
  const isBounded = values.max_messages > 0 || values.max_bytes > 0;
  return {
    values,
    retryMs: values.retry,
    retryJitter: values.retry_jitter,
    maxDeliveries: values.max_deliveries,
    deadLetter: typeof dead_letter === 'bigint' ? 'move' : dead_letter,
    deadLow: lowOf(target),
    deadHigh: highOf(target),
    deadKeepMs: values.dead_keep,
    isolate: values.isolate,
    leaseMs: values.lease,
    delayMs: values.delay,
    ttlMs: values.ttl,
    expired: values.expired,
    maxMessages: values.max_messages,
    maxBytes: values.max_bytes,
    overflow: values.overflow,
    maxInFlight: values.max_in_flight,
    rate: values.rate,
    dedupMs: values.dedup,
    batchMax: batch === 'auto' ? (isVirtual ? VIRTUAL_BATCH : BATCH_MESSAGES_MAX) : batch,
    copyTo: copy_to.length === 0 ? NO_COPIES : wordsOf(copy_to),
    isVirtual,
    order: values.order,
    weight: values.weight,
    priority: values.priority,
    hasParent: parent !== undefined,
    parentLow: lowOf(parent ?? 0n),
    parentHigh: highOf(parent ?? 0n),
    beforePacking:
      values.delay > 0 ||
      values.dedup > 0 ||
      copy_to.length > 0 ||
      (isBounded && values.overflow === 'refuse'),
  };
}

function wordsOf(ids: readonly bigint[]): Uint32Array {
  return Uint32Array.from(ids.flatMap((id) => [lowOf(id), highOf(id)]));
}

/**
 * Whether dead messages of a bucket stay with it: also where a rule for many buckets names it as
 * their dead letter, since it is one of them.
 */
export function keepsDead(rules: EffectiveRules, low: number, high: number): boolean {
  if (rules.deadLetter !== 'move') return rules.deadLetter === 'keep';
  return rules.deadLow === low >>> 0 && rules.deadHigh === high >>> 0;
}

/** The values of a bucket: those of `rules`, but that it is not its own dead letter. */
export function valuesFor(rules: EffectiveRules, id: bigint): RuleValues {
  return rules.values.dead_letter === id ? { ...rules.values, dead_letter: 'keep' } : rules.values;
}

/** Puts together the values of all keys, in the order of `KEY_NAMES`. */
export function valuesOf(of: (column: number) => unknown): RuleValues {
  const entries = KEY_NAMES.map((key, column): [RuleKeyName, unknown] => [key, of(column)]);
  return Object.fromEntries(entries) as unknown as RuleValues;
}
