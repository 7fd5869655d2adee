// The one table of what a rule can set: each key with its default, what it takes and what it does.
// Parsing, printing, help and documentation follow from it, so they cannot drift.

import { BATCH_MESSAGES_MAX } from '../../../assembly/layout.ts';
import type { Match } from './match.ts';
import {
  bucket,
  buckets,
  count,
  decimal,
  duration,
  durations,
  keeping,
  matchList,
  oneOf,
  size,
  truth,
  type ValueKind,
  wordOr,
} from './values.ts';

/** Most elements of the lists. */
export const RETRIES_MAX = 64;
export const COPIES_MAX = 16;
export const SOURCES_MAX = 4096;
/** Attempts are counted in 16 bits. */
const ATTEMPTS_MAX = 65_535;
const IN_FLIGHT_MAX = 2 ** 32 - 1;
const RATE_MAX = 1_000_000;

/** Values of all keys, times in ms. */
export interface RuleValues {
  retry: readonly number[];
  retry_jitter: number;
  max_deliveries: number;
  dead_letter: 'keep' | 'drop' | bigint;
  dead_keep: number;
  isolate: boolean;
  lease: number;
  delay: number;
  ttl: number;
  expired: 'dead' | 'drop';
  max_messages: number;
  max_bytes: number;
  overflow: 'refuse' | 'drop-oldest' | 'dead-oldest';
  max_in_flight: number;
  batch: 'auto' | number;
  rate: number;
  dedup: number;
  copy_to: readonly bigint[];
  sources: readonly Match[];
  order: 'fair' | 'weighted' | 'strict';
  weight: number;
  priority: number;
}

export type RuleKeyName = keyof RuleValues;

export interface RuleKey<T> extends ValueKind<T> {
  readonly fallback: T;
  /** What it does, in a line. */
  readonly help: string;
}

function key<T>(kind: ValueKind<T>, fallback: T, help: string): RuleKey<T> {
  return { ...kind, fallback, help };
}

const whole = count(0, Number.MAX_SAFE_INTEGER);

/** All keys, in the order in which they are written. */
export const RULE_KEYS: { readonly [K in RuleKeyName]: RuleKey<RuleValues[K]> } = {
  retry: key<readonly number[]>(
    durations(RETRIES_MAX),
    [0],
    'delays before a failed message is ready again, one for each attempt; the last repeats',
  ),
  retry_jitter: key(decimal(1, 4), 0, 'share of a retry delay that is left to chance'),
  max_deliveries: key(
    count(0, ATTEMPTS_MAX),
    0,
    'a message that was charged so many attempts is dead; 0: no limit',
  ),
  dead_letter: key<RuleValues['dead_letter']>(
    wordOr(['keep', 'drop'], bucket),
    'keep',
    'where dead messages go: kept with their bucket, moved to another one, or dropped',
  ),
  dead_keep: key(
    keeping,
    Number.POSITIVE_INFINITY,
    'how long dead messages are kept with their bucket',
  ),
  isolate: key(
    truth,
    true,
    'messages of a lost delivery come again in halves until the culprit is alone',
  ),
  lease: key(duration, 0, 'longest silence of who holds a delivery; 0: while its connection lives'),
  delay: key(duration, 0, 'time from publishing until a message is ready'),
  ttl: key(duration, 0, 'time from publishing after which a message is expired; 0: never'),
  expired: key<RuleValues['expired']>(
    oneOf(['dead', 'drop']),
    'dead',
    'what becomes of expired messages',
  ),
  max_messages: key(whole, 0, 'messages that may wait; 0: any number'),
  max_bytes: key(size, 0, 'bytes of messages that may wait; 0: any number'),
  overflow: key<RuleValues['overflow']>(
    oneOf(['refuse', 'drop-oldest', 'dead-oldest']),
    'refuse',
    'what happens beyond max_messages or max_bytes',
  ),
  max_in_flight: key(
    count(0, IN_FLIGHT_MAX),
    0,
    'unacked messages over all consumers; 1: one at a time, in order; 0: no limit',
  ),
  batch: key<RuleValues['batch']>(
    wordOr(['auto'], count(1, BATCH_MESSAGES_MAX)),
    'auto',
    "most messages in one delivery; auto: the consumer's, 32 for virtual buckets",
  ),
  rate: key(decimal(RATE_MAX, 3), 0, 'deliveries of messages a second; 0: no limit'),
  dedup: key(duration, 0, 'window in which a message with the same id is not stored again'),
  copy_to: key<readonly bigint[]>(
    buckets(COPIES_MAX),
    [],
    'buckets that get a copy of each message, in the same commit',
  ),
  sources: key<readonly Match[]>(
    matchList(SOURCES_MAX),
    [],
    'makes the bucket virtual: its consumers are given what waits in these buckets',
  ),
  order: key<RuleValues['order']>(
    oneOf(['fair', 'weighted', 'strict']),
    'fair',
    'how a virtual bucket takes from its sources: in turn, by weight, or by priority',
  ),
  weight: key(count(1, 1000), 1, 'messages of a source in its turn, where order is weighted'),
  priority: key(count(0, 63), 0, 'where order is strict, sources with a higher one come first'),
};

/** Names of all keys, in the order in which they are written; their places are their numbers. */
export const KEY_NAMES = Object.keys(RULE_KEYS) as readonly RuleKeyName[];

/** Writes the value of a key in its one form. */
export function printValue<K extends RuleKeyName>(name: K, value: RuleValues[K]): string {
  return RULE_KEYS[name].print(value);
}
