// What is in all lines of a kind, known ones and others. Kept apart by kind, because what is dead
// is no backlog: nobody waits for it.

import { KIND_DEAD, KIND_LIVE, KIND_MAX, KIND_SETTINGS } from '../../../assembly/layout-placed.ts';
import type { Outcomes } from '../collections/outcomes.ts';
import type { SequenceSet } from '../collections/sequence-set.ts';

/** Messages. */
export interface Total {
  ready: number;
  unacked: number;
}

export class Totals {
  /** By kind. */
  readonly of: readonly Total[] = Array.from({ length: KIND_MAX + 1 }, () => ({
    ready: 0,
    unacked: 0,
  }));
  readonly live = this.of[KIND_LIVE]!;
  readonly dead = this.of[KIND_DEAD]!;

  /** Recovery is done: `all` messages before sequence `next` are ready, of whatever kind. */
  recovered(all: number, outcomes: Outcomes, next: number): void {
    const { settled, waiting, dead, settings } = outcomes;
    const left = (first: number, run: number) => run - settled.within(first, run);
    const ready = (set: SequenceSet) => {
      let count = 0;
      for (const [first, run] of set.runs(0, next)) {
        count += left(first, run);
        for (const [late, many] of waiting.runs(first, first + run)) count -= left(late, many);
      }
      return count;
    };
    this.dead.ready = ready(dead);
    this.of[KIND_SETTINGS]!.ready = ready(settings);
    this.live.ready = all - this.dead.ready - this.of[KIND_SETTINGS]!.ready;
  }
}
