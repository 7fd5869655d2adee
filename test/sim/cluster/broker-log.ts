// What a log of whole brokers in the nodes' simulator is made of: bodies that say what they are,
// rules for a few buckets, sizes that are small enough for many segments in a few seconds.

import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import type { RuleTable } from '../../../src/core/rules/rule-table.ts';
import { rulesOf } from '../../support/world.ts';
import { limitsOf } from '../life.ts';
import type { LogShape } from './stream-truth.ts';

const SEGMENT_BYTES = 32 * 1024;
export const LIMITS = limitsOf(SEGMENT_BYTES, 2000);

export const SHAPE: LogShape = {
  logId: 0x5eed_5678n,
  beginning: SEGMENT_DATA_AT,
  nextSegment: (position) =>
    (Math.floor(position / SEGMENT_BYTES) + 1) * SEGMENT_BYTES + SEGMENT_DATA_AT,
};

export const PLAIN = [1, 2];
export const ONE_AT_A_TIME = 3;
export const RETRIED = 4;
export const DELAYED = 5;
export const ONCE = 6;
export const LEASED = 7;
export const DEAD = 8;
/** What is published to; DEAD is where some of it ends. */
export const TARGETS = [...PLAIN, ONE_AT_A_TIME, RETRIED, DELAYED, ONCE, LEASED];
export const DELIVERIES_MAX = 3;

/** Made anew for each broker, as it keeps what it was asked. */
export const rules = (): RuleTable =>
  rulesOf(
    `${ONE_AT_A_TIME} max_in_flight=1`,
    `${RETRIED} retry=300ms,1s max_deliveries=${DELIVERIES_MAX} dead_letter=${DEAD} isolate=false`,
    `${DELAYED} delay=1500ms`,
    `${ONCE} dedup=1h`,
    `${LEASED} lease=1500ms`,
  );

/** A message: `p` and `n` are its producer and number, and its size follows from them. */
export function bodyOf(producer: number, number: number): Uint8Array {
  const size = 12 + ((number * 7919 + producer * 104_729) % (number % 5 === 0 ? 1800 : 200));
  return new Uint8Array(Buffer.from(`${producer}.${number};`.padEnd(size, 'x')));
}

/** What a body says that it is; undefined: nobody sent that. */
export function idOf(body: Uint8Array): string | undefined {
  const text = Buffer.from(body).toString('latin1');
  const id = text.slice(0, text.indexOf(';'));
  const [producer, number] = id.split('.').map(Number);
  const isWhole = Buffer.compare(body, bodyOf(producer!, number!)) === 0;
  return isWhole ? id : undefined;
}
