// Time as recent ids see it: now and then the wall clock is looked at, and what is over by it need
// not be known any more, in memory and in segments. Between two looks nothing is over, so that the
// log is given back at times that are known before.

import type { PublishedIds } from '../collections/published-ids.ts';
import type { Batch } from '../commit/batch.ts';
import type { Retention } from './retention.ts';

// Between two looks, at most: the clock may have been set.
const LOOK_MS = 10_000;
const SWEEP_PAGES = 256;

export interface WindowsParts {
  readonly retention: Pick<Retention, 'look' | 'keepIds'>;
  readonly ids: PublishedIds;
}

export class IdWindows {
  readonly ids: PublishedIds;
  readonly #retention: WindowsParts['retention'];
  readonly #wallMs: () => number;
  /** When to look again, in the broker's monotonic ms. */
  dueMs = 0;

  constructor({ retention, ids }: WindowsParts, wallMs: () => number) {
    this.#retention = retention;
    this.ids = ids;
    this.#wallMs = wallMs;
  }

  /** A batch became durable, maybe with ids that are to be known for a time. */
  durable({ base, offset, bytes, idBytes, idsUntilMs }: Batch): void {
    if (idBytes === 0) return;
    this.#retention.keepIds(base, idsUntilMs, idBytes);
    this.ids.durable(base, base + offset + bytes, idBytes, this.#wallMs());
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
