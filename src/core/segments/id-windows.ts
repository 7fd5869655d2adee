// Time as recent ids see it: now and then the wall clock is looked at, and what is over by it need
// not be known any more, in memory and in segments. Between two looks nothing is over, so that the
// log is given back at times that are known before.

import type { RecentIds } from '../collections/recent-ids.ts';
import type { Retention } from './retention.ts';

// Between two looks, at most: the clock may have been set.
const LOOK_MS = 10_000;
const SWEEP_PAGES = 256;

export interface WindowsParts {
  readonly retention: Pick<Retention, 'look'>;
  readonly ids: RecentIds;
}

export class IdWindows {
  readonly ids: RecentIds;
  readonly #retention: WindowsParts['retention'];
  readonly #wallMs: () => number;
  /** When to look again, in the broker's monotonic ms. */
  dueMs = 0;

  constructor({ retention, ids }: WindowsParts, wallMs: () => number) {
    this.#retention = retention;
    this.ids = ids;
    this.#wallMs = wallMs;
  }

  /** Ids became durable that are to be known for a time. */
  begun(): void {
    if (this.dueMs === Number.POSITIVE_INFINITY) this.dueMs = 0;
  }

  /** Monotonic time. */
  advance(nowMs: number): void {
    if (nowMs < this.dueMs) return;
    const wallMs = this.#wallMs();
    const untilMs = this.#retention.look(wallMs);
    const isKnown = this.ids.sweep(wallMs, SWEEP_PAGES);
    const isKept = untilMs < Number.POSITIVE_INFINITY;
    const restMs = Math.min(LOOK_MS, untilMs - wallMs);
    this.dueMs = isKnown || isKept ? nowMs + restMs : Number.POSITIVE_INFINITY;
  }
}
