// What those have in common who take a bucket's line instead of its consumers, up to where it went
// when they began.

import type { Broker } from '../broker.ts';

/**
 * Whether nothing before sequence `end` is left in a line; undefined: that is being looked up, and
 * whoever takes the line is called when it is known.
 */
export function isPast(broker: Broker, slot: number, end: number): boolean | undefined {
  const { buckets } = broker;
  if (buckets.peek(slot) === undefined) {
    broker.dispatcher.lookup(slot);
    if (buckets.subscription(slot)?.loading) return undefined;
  }
  const next = buckets.peek(slot);
  if (next !== undefined) return next.sequence >= end;
  const isSought = buckets.subscription(slot)?.sought !== undefined;
  return !isSought && !buckets.headOf(slot).isOlder;
}
