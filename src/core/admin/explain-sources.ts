// Why the messages of a source are not being delivered to the consumers of its virtual bucket, and
// what a virtual bucket has to give beside its own.

import type { WhyCode } from '../../contract/why.ts';
import type { Broker } from '../broker.ts';
import type { SourceRing } from '../buckets/source-ring.ts';

/** The ring that a bucket is in or is given messages from; undefined: nobody consumes one of it. */
export function ringOf({ buckets }: Broker, slot: number): SourceRing | undefined {
  return buckets.sources.isOn ? buckets.sources.ringOf(slot) : undefined;
}

/** Whether sources of a virtual bucket have something, or its consumers hold something of them. */
export function hasSome({ count, reading, stalled, apart, held }: SourceRing): boolean {
  return count + reading.size + stalled.size + apart.size + held > 0;
}

/** Whether somebody consumes the virtual bucket of a ring. */
export function isConsumed({ buckets }: Broker, { slot }: SourceRing): boolean {
  return slot !== 0 && (buckets.subscription(slot)?.consumers ?? 0) > 0;
}

/** Why nothing more is given of a source that has something ready, and which nothing holds back. */
export function whyOfSource(broker: Broker, slot: number, ring: SourceRing): WhyCode {
  const { buckets, paused } = broker;
  if (paused.has(buckets.idOf(ring.slot))) return 'paused';
  if (ring.order === 'strict' && ring.hasAbove(buckets.rules.of(slot).priority))
    return 'behind-higher';
  return ring.reading.has(slot) ? 'reading' : 'virtual-turn';
}
