// Puts messages off: when each is ready again, and what the log is told of it. Every delay is a
// record, also the shortest: one that is over by the time it is durable is ready at once, so there
// is one way only, and a restart keeps all of them.
//
//   held ──put──► pending ──record durable──► waiting ──due──► ready
//                 (nobody's, not in line)
//
// Chance comes from outside, as time does.

import { KIND_LIVE } from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import type { Commit } from '../commit/commit.ts';

/** Neighbours that fail together come back together, whatever is left to chance: their marks stay
 * one for so many. */
export const TOGETHER = 64;
// Due times are multiples of it, so that those of neighbours are the same more often.
const GRAIN_MS = 8;

export interface DeferralsParts {
  readonly buckets: Buckets<unknown>;
  readonly commit: Pick<Commit, 'defer'>;
}

export interface DeferralsWorld {
  /** Wall clock in ms since 1970: a time to wait for survives the process. */
  readonly wallMs: () => number;
  /** Chance, from 0 to below 1; without it nothing is left to it. */
  readonly random?: () => number;
}

/** How long to wait, and what of it is left to chance: 0 to 1. */
export interface Delay {
  readonly ms: number;
  readonly jitter: number;
}

const AT_ONCE: Delay = { ms: 0, jitter: 0 };

export class Deferrals {
  readonly #parts: DeferralsParts;
  readonly #world: DeferralsWorld;

  constructor(parts: DeferralsParts, world: DeferralsWorld) {
    this.#parts = parts;
    this.#world = world;
  }

  /** What rules say of messages that have failed `attempts` times. */
  retry(slot: number, attempts: number): Delay {
    const { rules } = this.#parts.buckets;
    if (rules.table === undefined) return AT_ONCE;
    const { retryMs, retryJitter } = rules.of(slot);
    const ms = retryMs[Math.min(attempts, retryMs.length) - 1]!;
    return ms > 0 ? { ms, jitter: retryJitter } : AT_ONCE;
  }

  /**
   * held -> pending: the `count` messages of a part behind its first `at`, which came back
   * `attempts` times; `cause`: a CAUSE of layout.ts.
   */
  put(
    part: Slice,
    at: number,
    count: number,
    attempts: number,
    cause: number,
    { ms, jitter }: Delay,
  ): void {
    const { buckets, commit } = this.#parts;
    const { attempts: known, turns } = buckets.outcomes;
    const first = part.sequence + at;
    const end = first + count;
    const { low, high } = buckets.placeOf(part.slot);
    const bucket = (BigInt(high) << 32n) | BigInt(low);
    buckets.delayed.defer(part, at, count);
    known.set(first, count, attempts);
    for (let sequence = first; sequence < end; ) {
      const before = turns.get(sequence);
      const most = jitter > 0 ? Math.min(end, sequence + TOGETHER) : end;
      let to = sequence + 1;
      while (to < most && turns.get(to) === before) to++;
      const dueMs = this.#dueMs(ms, jitter);
      const said = { turn: before + 1, dueMs, bucket, attempts, kind: KIND_LIVE, level: 0, cause };
      commit.defer({ sequence, count: to - sequence, ...said });
      sequence = to;
    }
  }

  // The share of a delay that is left to chance may be nothing of it, or all.
  #dueMs(ms: number, jitter: number): number {
    const { wallMs, random = () => 0 } = this.#world;
    const delayMs = jitter > 0 ? ms * (1 - jitter * random()) : ms;
    return Math.ceil((wallMs() + delayMs) / GRAIN_MS) * GRAIN_MS;
  }
}
