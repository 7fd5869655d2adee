// What tests of messages that wait too long share: worlds with rules, and what became of messages.

import { REASON_EXPIRED } from '../../../assembly/layout-placed.ts';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { brokerOf, textOf, type World, type WorldOptions } from '../../support/world.ts';

type Consumer = ReturnType<World['consumer']>;

/** What a consumer was given since the last call. */
export const texts = (consumer: Consumer): string[] =>
  new DeliveryDecoder('u64')
    .push(consumer.take())
    .filter(({ isHeartbeat }) => !isHeartbeat)
    .flatMap((frame) => Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))));

/** A world whose log may hold moves from the start on. */
export const worldOf = (rules: string[], options: WorldOptions = {}): World =>
  brokerOf({ rules, resume: { places: true }, ...options });

/** Messages that live, that are dead, and that died of age or were dropped for it. */
export function countsOf({ broker: { buckets, counters } }: World): number[] {
  const { dead, dropped } = counters;
  return [
    buckets.ready + buckets.delayed.count,
    buckets.dead,
    dead[REASON_EXPIRED]!,
    dropped.expired,
  ];
}
