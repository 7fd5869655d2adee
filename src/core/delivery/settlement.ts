// Moves messages between their states: whatever happens to a durable message is one call here, and
// nobody else changes bucket, segment and marks. Which cell leads where is in states.ts.
//
//   stored ──durable──► ready ──delivered──► held ──done──► gone
//   (nobody sees it)    │ │ ▲                 │ │            ▲
//                       │ │ ├─failed, released┘ │ the same,  │
//                       │ │ │                   ▼ for a time │
//                       │ │ └──due── waiting ◄─ pending      │
//                       │ └──────────────purged──────────────┘
//                       └──unreadable──► aside, until the next start
//
//             bucket                 segment      marks to be written
//   ready     in line                live         –
//   held      unacked                live         –
//   gone      settled                not live     settled
//   failed    in line, attempts + 1  live         requeued: its attempts
//   released  in line                live         –
//   pending   delayed                live         deferred: its time, its attempts
//   waiting   delayed                live         –
//   aside     skipped                live         –
//
// A broker that ends leaves what its log says: a message that is neither gone nor waiting is ready
// again.

import { CAUSE_FAILED, CAUSE_RELEASED } from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import type { Commit } from '../commit/commit.ts';
import type { Following } from '../following/following.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Holder, RequeuedCause, SettledCause } from '../ports/observer.ts';
import type { Retention } from '../segments/retention.ts';
import { Deferrals, type DeferralsWorld, type Delay } from './deferrals.ts';

export interface SettlementParts {
  readonly buckets: Buckets<unknown>;
  readonly retention: Retention;
  readonly commit: Pick<Commit, 'settle' | 'requeue' | 'defer' | 'marks' | 'refuses'>;
  readonly counters: Counters;
  readonly following: Following;
}

/**
 * A part is a run of messages of one record. Where a call takes `at` and `count`, it is about the
 * `count` messages of the part behind its first `at`; the consumer is told to whoever follows.
 */
export class Settlement {
  readonly #buckets: Buckets<unknown>;
  readonly #retention: Retention;
  readonly #commit: SettlementParts['commit'];
  readonly #deferrals: Deferrals;
  readonly #counters: Counters;
  readonly #following: Following;

  constructor(parts: SettlementParts, world: DeferralsWorld) {
    const { buckets, retention, commit } = parts;
    this.#buckets = buckets;
    this.#retention = retention;
    this.#commit = commit;
    this.#deferrals = new Deferrals(parts, world);
    this.#counters = parts.counters;
    this.#following = parts.following;
  }

  /** ready -> held: the first `count` messages of what `peek` gave. Gives what is held of it. */
  deliver(next: Slice, count: number, to?: Holder): Slice {
    const { slot, position, sequence, first, messages, bodyBytes, attempts } = next;
    this.#buckets.take(next, count);
    if (attempts > 0) this.#counters.redeliveredMessages += count;
    const held = { slot, position, sequence, first, count, messages, bodyBytes, attempts };
    if (this.#following.active) this.#following.delivered(held, to);
    return held;
  }

  /** held -> gone: their consumer has done what there was to do. */
  done(part: Slice, at: number, count: number, by?: Holder): void {
    this.#settle(part, at, count, 'done', by);
    this.#counters.ackedMessages += count;
  }

  /**
   * held -> ready, or pending: their consumer says that it failed, and maybe for how many ms they
   * are to wait; else their rule does.
   */
  failed(part: Slice, at: number, count: number, by?: Holder, delayMs?: number): void {
    const attempts = part.attempts + 1;
    const delay =
      delayMs === undefined
        ? this.#deferrals.retry(part.slot, attempts)
        : { ms: delayMs, jitter: 0 };
    if (!this.#defer(part, at, count, attempts, 'failed', delay, by))
      this.#requeue(part, at, count, attempts, 'failed', by);
    this.#counters.failedMessages += count;
  }

  /** held -> ready, or pending: their consumer gives them back, maybe for some ms; no attempt. */
  released(part: Slice, at: number, count: number, by?: Holder, delayMs = 0): void {
    const { attempts } = part;
    const delay = { ms: delayMs, jitter: 0 };
    if (!this.#defer(part, at, count, attempts, 'released', delay, by))
      this.#requeue(part, at, count, attempts, 'released', by);
    this.#counters.releasedMessages += count;
  }

  /** held -> ready: the link of their consumer ended, or its lease is over. */
  lost(part: Slice, at: number, count: number, by?: Holder): void {
    this.#requeue(part, at, count, part.attempts + 1, 'lost', by);
  }

  /** held -> ready: the broker, or who operates it, ended the link; no attempt. */
  takenBack(part: Slice, at: number, count: number, by?: Holder): void {
    this.#requeue(part, at, count, part.attempts, 'lost', by);
  }

  /** ready -> gone: the first `count` messages of what `peek` gave are not wanted any more. */
  purge(next: Slice, count: number): void {
    const { slot, position, sequence, first, messages, bodyBytes, attempts } = next;
    this.#buckets.take(next, count);
    const part = { slot, position, sequence, first, count, messages, bodyBytes, attempts };
    this.#settle(part, 0, count, 'purged', undefined);
    this.#counters.purgedMessages += count;
  }

  /** ready -> aside: what `peek` gave cannot be read. Gives what it was. */
  setAside(next: Slice): Slice {
    const part = this.#buckets.setAside(next);
    this.#counters.unreadableMessages += part.count;
    return part;
  }

  #settle(
    part: Slice,
    at: number,
    count: number,
    cause: SettledCause,
    by: Holder | undefined,
  ): void {
    const sequence = part.sequence + at;
    const { payload } = this.#buckets;
    const bytes = payload.isOn ? payload.ofPart(part, at, count) : 0;
    this.#buckets.settle(part.slot, sequence, count, bytes);
    this.#retention.settle(part.position, count);
    this.#commit.settle(sequence, count);
    if (this.#following.active) this.#following.settled(part, at, count, cause, by);
  }

  // False: nothing has happened, they are to be ready at once.
  #defer(
    part: Slice,
    at: number,
    count: number,
    attempts: number,
    cause: 'failed' | 'released',
    delay: Delay,
    by: Holder | undefined,
  ): boolean {
    const { marks, refuses } = this.#commit;
    if (delay.ms === 0 || !marks.mayDefer(refuses)) return false;
    const why = cause === 'failed' ? CAUSE_FAILED : CAUSE_RELEASED;
    this.#deferrals.put(part, at, count, attempts, why, delay);
    this.#counters.deferredMessages += count;
    if (this.#following.active) this.#following.deferred(part, at, count, attempts, cause, by);
    return true;
  }

  #requeue(
    part: Slice,
    at: number,
    count: number,
    attempts: number,
    cause: RequeuedCause,
    by: Holder | undefined,
  ): void {
    const { slot, position, messages, bodyBytes } = part;
    const sequence = part.sequence + at;
    const first = part.first + at;
    const back = { slot, position, sequence, first, count, messages, bodyBytes, attempts };
    this.#buckets.requeue(back);
    if (attempts > part.attempts) this.#commit.requeue(sequence, count, attempts);
    if (this.#following.active) this.#following.requeued(part, at, count, attempts, cause, by);
  }
}
