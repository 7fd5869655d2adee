// What a log holds and what is left of it to do: rebuilt by recovery before there is a broker, kept
// by the broker, and saved as a checkpoint.

import { Buckets } from '../buckets/buckets.ts';
import { noOutcomes } from '../collections/outcomes.ts';
import type { Position } from '../ports/basics.ts';
import type { CheckpointSource } from '../ports/upkeep.ts';
import { Retention } from './retention.ts';

/** What a log holds, as recovery rebuilds it before there is a broker. */
export interface State<Waiter = never> {
  buckets: Buckets<Waiter>;
  retention: Retention;
}

/** An empty state; `hashSeed` is for the bucket directory, random in production. */
export function createState(hashSeed: number, slotsMax?: number): State {
  return { buckets: new Buckets(hashSeed, noOutcomes(), slotsMax), retention: new Retention() };
}

/**
 * What a checkpoint says of the segments before `memoryFrom`, in a log that begins at `start` and
 * whose next message is `nextSequence`. The pages are read when they are asked for.
 */
export function checkpointOf(
  { buckets, retention }: State<unknown>,
  start: Position,
  memoryFrom: Position,
  nextSequence: number,
): CheckpointSource {
  const { segments } = retention;
  const { settled, attempts, waiting, placed, turns, levels } = buckets.outcomes;
  const end = segments.find(({ base }) => base >= memoryFrom)?.first ?? nextSequence;
  return {
    start,
    segments: segments
      .filter(({ base }) => base < memoryFrom)
      .map(({ base, first, messages, live }) => ({ base, first, messages, live })),
    end,
    settled: { pages: () => settled.pages(end) },
    attempts: { pages: () => attempts.pages(end) },
    numbers: {
      waiting: { pages: () => waiting.pages(end) },
      placed: { pages: () => placed.pages(end) },
      turns: { pages: () => turns.pages(end) },
      levels: { pages: () => levels.pages(end) },
    },
  };
}
