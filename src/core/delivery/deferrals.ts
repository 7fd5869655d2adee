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
import { dueAfter } from '../records/due-of.ts';
import type { Deferral } from '../records/placed.ts';

/** Neighbours that fail together come back together, whatever is left to chance: their marks stay
 * one for so many. */
export const TOGETHER = 64;

export interface DeferralsParts {
  readonly buckets: Buckets<unknown>;
  readonly commit: Pick<Commit, 'defer' | 'marks' | 'refuses'>;
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

/** No time to wait for. */
export const AT_ONCE: Delay = { ms: 0, jitter: 0 };

/** What is different of messages that come back. */
export interface Change {
  /** How often they came back. */
  readonly attempts: number;
  /** How far apart from others they are given out. */
  readonly level: number;
  /** A CAUSE of layout.ts; 0: none that the log tells of. */
  readonly cause: number;
}

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

  /** Whether messages of a bucket that were lost together are kept apart, and not charged. */
  isolates(slot: number): boolean {
    const { rules } = this.#parts.buckets;
    return rules.table === undefined || rules.of(slot).isolate;
  }

  /** held -> pending: the `count` messages of a part behind its first `at`. */
  put(part: Slice, at: number, count: number, change: Change & { readonly delay: Delay }): void {
    const { buckets } = this.#parts;
    const { attempts: known, levels } = buckets.outcomes;
    const { attempts, level, delay } = change;
    const first = part.sequence + at;
    buckets.delayed.defer(part, at, count);
    known.set(first, count, attempts);
    if (level > 0 || !levels.isEmpty) levels.set(first, count, level);
    const most = delay.jitter > 0 ? TOGETHER : Number.POSITIVE_INFINITY;
    this.#defer(part.slot, first, count, most, (turn) => ({
      turn: turn + 1,
      dueMs: this.#dueMs(delay),
      ...change,
    }));
  }

  /**
   * Has the log say how far apart from others a part is given out from now on, and how often it
   * came back. False: it is not said, and the broker knows it until it ends. That is so where
   * nothing but this would make the log one that the release before cannot read: consumers that die
   * happen to everybody, and all that is lost is that what they died of is looked for anew.
   */
  saysLevel({ slot, sequence, count, attempts, level }: Slice, cause: number): boolean {
    const { marks, refuses } = this.#parts.commit;
    if (cause === 0 || !(marks.places || this.#counts(slot))) return false;
    if (!marks.mayDefer(refuses)) return false;
    const said = { dueMs: 0, attempts, level, cause };
    this.#defer(slot, sequence, count, Number.POSITIVE_INFINITY, (turn) => ({ turn, ...said }));
    return true;
  }

  // Whether a rule makes something of how often a message of the bucket failed: it comes to
  // records of that version anyway.
  #counts(slot: number): boolean {
    const { rules } = this.#parts.buckets;
    if (rules.table === undefined) return false;
    const { maxDeliveries, retryMs } = rules.of(slot);
    return maxDeliveries > 0 || retryMs.some((ms) => ms > 0);
  }

  // Neighbours, cut where they were deferred more or less often, and `most` of them at most.
  #defer(
    slot: number,
    first: number,
    count: number,
    most: number,
    saidOf: (turn: number) => Change & Pick<Deferral, 'turn' | 'dueMs'>,
  ): void {
    const { buckets, commit } = this.#parts;
    const { turns } = buckets.outcomes;
    const { low, high } = buckets.placeOf(slot);
    const bucket = (BigInt(high) << 32n) | BigInt(low);
    const end = first + count;
    for (let sequence = first; sequence < end; ) {
      const before = turns.get(sequence);
      let to = sequence + 1;
      while (to < Math.min(end, sequence + most) && turns.get(to) === before) to++;
      const { turn, dueMs, attempts, level, cause } = saidOf(before);
      const said = { turn, dueMs, bucket, attempts, kind: KIND_LIVE, level, cause };
      commit.defer({ sequence, count: to - sequence, ...said });
      sequence = to;
    }
  }

  // The share of a delay that is left to chance may be nothing of it, or all.
  #dueMs({ ms, jitter }: Delay): number {
    const { wallMs, random = () => 0 } = this.#world;
    const delayMs = jitter > 0 ? ms * (1 - jitter * random()) : ms;
    return dueAfter(wallMs(), delayMs);
  }
}
