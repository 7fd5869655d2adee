// What a log holds and what is left of it to do: rebuilt by recovery before there is a broker, kept
// by the broker, and saved as a checkpoint.

import { Buckets } from '../buckets/buckets.ts';
import { noOutcomes } from '../collections/outcomes.ts';
import { PublishedIds } from '../collections/published-ids.ts';
import type { Position } from '../ports/basics.ts';
import type { CheckpointSource } from '../ports/upkeep.ts';
import { Retention } from './retention.ts';
import { Settings } from './settings.ts';
import { StoringTimes } from './storing-times.ts';

/** What a log holds, as recovery rebuilds it before there is a broker. */
export interface State<Waiter = never> {
  buckets: Buckets<Waiter>;
  retention: Retention;
  settings: Settings;
  ids: PublishedIds;
  times: StoringTimes;
}

/** A segment whose records are not applied, because it is known what is in it. */
export interface KnownState {
  base: Position;
  /** Sequence of its first message, and the one behind its last. */
  first: number;
  end: number;
  messages: number;
  live: number;
  /** Until when ids in it are to be known, in ms since 1970, or 0; and bytes of their records, if
   * these are known without reading them. */
  idsUntilMs?: number;
  idBytes?: number | undefined;
}

/** An empty state; `hashSeed` is for the bucket directory, random in production. */
export function createState(hashSeed: number, slotsMax?: number): State {
  const buckets: Buckets<never> = new Buckets(hashSeed, noOutcomes(), slotsMax);
  const retention = new Retention();
  return {
    buckets,
    retention,
    settings: new Settings(),
    ids: new PublishedIds((base) => retention.idBytesOf(base)),
    times: new StoringTimes(),
  };
}

/**
 * What a checkpoint says of the segments before `memoryFrom`, in a log that begins at `start` and
 * whose next message is `nextSequence`. The pages are read when they are asked for. Levels are left
 * out where the log does not say them: it alone must come to the same.
 */
export function checkpointOf(
  { buckets, retention, times }: Pick<State<unknown>, 'buckets' | 'retention' | 'times'>,
  start: Position,
  memoryFrom: Position,
  nextSequence: number,
  saysLevels: boolean,
): CheckpointSource {
  const { segments } = retention;
  const { settled, attempts, waiting, placed, dead, settings, turns, levels } = buckets.outcomes;
  const end = segments.find(({ base }) => base >= memoryFrom)?.first ?? nextSequence;
  return {
    start,
    segments: segments
      .filter(({ base }) => base < memoryFrom)
      .map(({ base, first, messages, live, idsUntilMs }) => {
        return { base, first, messages, live, idsUntilMs };
      }),
    end,
    settled: { pages: () => settled.pages(end) },
    attempts: { pages: () => attempts.pages(end) },
    numbers: {
      waiting: { pages: () => waiting.pages(end) },
      placed: { pages: () => placed.pages(end) },
      dead: { pages: () => dead.pages(end) },
      settings: { pages: () => settings.pages(end) },
      turns: { pages: () => turns.pages(end) },
      levels: { pages: () => (saysLevels ? levels.pages(end) : []) },
    },
    stored: times.rows(end),
  };
}
