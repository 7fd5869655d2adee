// All that is known of messages by their sequence, put together.

import { PagedNumbers } from './paged-numbers.ts';
import { AttemptCounts, SequenceSet } from './sequence-set.ts';

/** What became of messages, as the broker keeps it. */
export interface Outcomes {
  readonly settled: SequenceSet;
  readonly attempts: AttemptCounts;
  /** Those that wait for a time. */
  readonly waiting: SequenceSet;
  /** Those that stand in placed records, of whatever line. */
  readonly placed: SequenceSet;
  /** Those of dead lines, and those that are settings: neither is backlog. */
  readonly dead: SequenceSet;
  readonly settings: SequenceSet;
  /** How many times each was deferred to a time. */
  readonly turns: PagedNumbers;
  /** How far apart from others each is given out (layout-placed.ts, deferral). */
  readonly levels: PagedNumbers;
}

/** Nothing is known of any message. */
export function noOutcomes(): Outcomes {
  return {
    settled: new SequenceSet(),
    attempts: new AttemptCounts(),
    waiting: new SequenceSet(),
    placed: new SequenceSet(),
    dead: new SequenceSet(),
    settings: new SequenceSet(),
    turns: new PagedNumbers(),
    levels: new PagedNumbers(),
  };
}
