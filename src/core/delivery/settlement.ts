// Moves messages between their states: whatever happens to a durable message is one call here, and
// nobody else changes bucket, segment and marks. Which cell leads where is in states.ts.
//
//   stored ──durable──► ready ──delivered──► held ──done──► gone
//   (nobody sees it)    │ │ ▲                 │ │            ▲
//                       │ │ ├─failed, released┘ │ the same,  │
//                       │ │ │                   ▼ for a time │
//                       │ │ └──due── waiting ◄─ pending      │
//                       │ └──────────purged, dropped─────────┘
//                       └──unreadable──► aside, until the next start
//
//             bucket                 segment      marks to be written
//   ready     in line                live         –
//   held      unacked                live         –
//   gone      settled                not live     settled
//   failed    in line, attempts + 1  live         requeued: its attempts
//   released  in line                live         –
//   lost      in line, apart         live         deferred: its level; alone: its attempts, too
//   pending   delayed                live         deferred: its time, its attempts
//   waiting   delayed                live         –
//   dying     unacked                live         –, until it is in another line
//   aside     skipped                live         –
//
// A broker that ends leaves what its log says: a message that is neither gone nor waiting is ready
// again.

import {
  CAUSE_FAILED,
  CAUSE_RELEASED,
  REASON_DELIVERIES,
  REASON_REJECTED,
} from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import { levelOf } from '../buckets/suspects.ts';
import type { Commit } from '../commit/commit.ts';
import type { Following } from '../following/following.ts';
import type { Counters, DropReason } from '../metrics/counters.ts';
import type { Holder, RequeuedCause, SettledCause } from '../ports/observer.ts';
import type { Retention } from '../segments/retention.ts';
import { AT_ONCE, type Change, Deferrals, type DeferralsWorld, type Delay } from './deferrals.ts';
import { DEAD, type MoveOrder } from './destination.ts';

export interface SettlementParts {
  readonly buckets: Buckets<unknown>;
  readonly retention: Retention;
  readonly commit: Pick<Commit, 'settle' | 'requeue' | 'defer' | 'marks' | 'refuses'>;
  readonly counters: Counters;
  readonly following: Following;
  /** Who dies. */
  readonly dying: {
    isOver(slot: number, attempts: number): boolean;
    areDropped(slot: number): boolean;
    rejected(sequence: number, count: number): void;
    gone(sequence: number, count: number): void;
  };
  /** Takes the dead to where they belong; false: not now. */
  readonly mover: { take(part: Slice, order: MoveOrder): boolean };
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
  readonly #parts: Pick<SettlementParts, 'dying' | 'mover'>;

  constructor(parts: SettlementParts, world: DeferralsWorld) {
    const { buckets, retention, commit } = parts;
    this.#parts = parts;
    this.#buckets = buckets;
    this.#retention = retention;
    this.#commit = commit;
    this.#deferrals = new Deferrals(parts, world);
    this.#counters = parts.counters;
    this.#following = parts.following;
  }

  /** ready -> held: the first `count` messages of what `peek` gave. Gives what is held of it. */
  deliver(next: Slice, count: number, to?: Holder): Slice {
    const { slot, position, sequence, first, messages, bodyBytes, attempts, level } = next;
    this.#buckets.take(next, count);
    if (attempts > 0 || level > 0) this.#counters.redeliveredMessages += count;
    const held = { slot, position, sequence, first, count, messages, bodyBytes, attempts, level };
    if (this.#following.active) this.#following.delivered(held, to);
    return held;
  }

  /** held -> gone: their consumer has done what there was to do. */
  done(part: Slice, at: number, count: number, by?: Holder): void {
    this.#settle(part, at, count, 'done', by);
    this.#counters.ackedMessages += count;
  }

  /**
   * held -> ready, pending or dying: their consumer says that it failed, and maybe for how many ms
   * they are to wait; else their rule does.
   */
  failed(part: Slice, at: number, count: number, by?: Holder, delayMs?: number): void {
    this.#counters.failedMessages += count;
    const attempts = part.attempts + 1;
    if (this.#isOver(part, at, count, 0, by)) return;
    const delay =
      delayMs === undefined
        ? this.#deferrals.retry(part.slot, attempts)
        : { ms: delayMs, jitter: 0 };
    this.#comesBack(part, at, count, by, { attempts, level: 0, cause: CAUSE_FAILED, delay });
  }

  /** held -> ready, or pending: their consumer gives them back, maybe for some ms; no attempt. */
  released(part: Slice, at: number, count: number, by?: Holder, delayMs = 0): void {
    const { attempts } = part;
    const delay = { ms: delayMs, jitter: 0 };
    this.#comesBack(part, at, count, by, { attempts, level: 0, cause: CAUSE_RELEASED, delay });
    this.#counters.releasedMessages += count;
  }

  /**
   * held -> ready, pending or dying: the link of their consumer ended, or its lease is over, while
   * it held `together` messages. If it was this one alone, it failed; else nobody knows which of them
   * is to blame, so no attempt is charged, and they come again apart from others.
   */
  lost(part: Slice, at: number, count: number, together: number, cause: number, by?: Holder): void {
    const isApart = this.#deferrals.isolates(part.slot);
    const isCharged = !isApart || together === 1;
    const level = isApart ? levelOf(together) : 0;
    if (isCharged && this.#isOver(part, at, count, level, by)) return;
    const attempts = isCharged ? part.attempts + 1 : part.attempts;
    const delay = isCharged ? this.#deferrals.retry(part.slot, attempts) : AT_ONCE;
    if (!isCharged) this.#counters.suspectedMessages += count;
    this.#comesBack(part, at, count, by, { attempts, level, cause, delay });
  }

  /** held -> ready: the broker, or who operates it, ended the link; no attempt. */
  takenBack(part: Slice, at: number, count: number, by?: Holder): void {
    const { attempts, level } = part;
    this.#comesBack(part, at, count, by, { attempts, level, cause: 0, delay: AT_ONCE });
  }

  /** Who held suspects of a bucket holds none of them any more. */
  suspectsBack(slot: number): void {
    this.#buckets.subscription(slot)?.suspects?.returned();
  }

  /** held -> dying: their consumer says that nobody is to have it again. */
  rejected(part: Slice, at: number, count: number, by?: Holder): void {
    this.#counters.rejectedMessages += count;
    if (this.#dies(part, at, count, 0, REASON_REJECTED, by)) return;
    this.#parts.dying.rejected(part.sequence + at, count);
    const back = { level: 0, cause: CAUSE_FAILED, delay: AT_ONCE };
    this.#comesBack(part, at, count, by, { attempts: part.attempts + 1, ...back });
  }

  // Whether that was the last attempt, and they are dying.
  #isOver(part: Slice, at: number, count: number, level: number, by?: Holder): boolean {
    const isOver = this.#parts.dying.isOver(part.slot, part.attempts + 1);
    return isOver && this.#dies(part, at, count, level, REASON_DELIVERIES, by);
  }

  // held -> dying, or gone where the dead are dropped; false: not now. `level`: if they come back.
  #dies(
    part: Slice,
    at: number,
    count: number,
    level: number,
    reason: number,
    by?: Holder,
  ): boolean {
    const { dying, mover } = this.#parts;
    const dead = { ...part, count, level };
    dead.sequence += at;
    dead.first += at;
    dead.attempts++;
    if (!dying.areDropped(part.slot)) return mover.take(dead, { reason, to: DEAD, by });
    this.discard(dead, reason, by);
    return true;
  }

  /** ready -> dying: the first `count` messages of what `peek` gave. Gives what was taken of it. */
  withdraw(next: Slice, count: number): Slice {
    const part = { ...next, count };
    this.#buckets.take(next, count);
    return part;
  }

  /** dying -> gone: the dead of their bucket are kept nowhere. */
  discard(part: Slice, reason: number, by?: Holder): void {
    this.#settle(part, 0, part.count, 'dead', by);
    this.#parts.dying.gone(part.sequence, part.count);
    this.#counters.dead[reason]! += part.count;
    this.#counters.deadDroppedMessages += part.count;
  }

  /** dying -> gone, as a durable record says: they stand in another line. */
  moved(part: Slice, by?: Holder): void {
    const { sequence, count } = part;
    this.#buckets.left(part, this.#payloadOf(part));
    this.#parts.dying.gone(sequence, count);
    if (this.#following.active) this.#following.settled(part, 0, count, 'moved', by);
  }

  /** dying -> ready: they cannot be moved; `charged`: by what they were taken for, `by`: of whom. */
  giveBack(part: Slice, charged: boolean, by?: Holder): void {
    const { sequence, count, attempts } = part;
    this.#buckets.requeue(part);
    if (charged) this.#commit.requeue(sequence, count, attempts);
    if (by !== undefined && this.#following.active)
      this.#following.requeued(part, 0, count, attempts, 'failed', by);
  }

  /** dying -> aside: they cannot be read. */
  setHeldAside(part: Slice): void {
    this.#buckets.setHeldAside(part, this.#payloadOf(part));
    this.#counters.unreadableMessages += part.count;
  }

  #payloadOf(part: Slice): number {
    const { payload } = this.#buckets;
    return payload.isOn ? payload.ofPart(part, 0, part.count) : 0;
  }

  /** ready -> gone: the first `count` messages of what `peek` gave are not wanted any more. */
  purge(next: Slice, count: number): void {
    const part = { ...next, count };
    this.#buckets.take(next, count);
    this.#settle(part, 0, count, 'purged', undefined);
    this.#parts.dying.gone(part.sequence, count);
    this.#counters.purgedMessages += count;
  }

  /** ready -> gone: the same, as a rule says. */
  drop(next: Slice, count: number, why: DropReason): void {
    const part = { ...next, count };
    this.#buckets.take(next, count);
    this.#settle(part, 0, count, 'dropped', undefined);
    this.#parts.dying.gone(part.sequence, count);
    this.#counters.dropped[why] += count;
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
    if (this.#buckets.sources.isOn) this.#buckets.sources.change(part.slot);
    this.#retention.settle(part.position, count);
    this.#commit.settle(sequence, count);
    if (this.#following.active) this.#following.settled(part, at, count, cause, by);
  }

  // held -> pending, if they are to wait and that can be written; else -> ready.
  #comesBack(part: Slice, at: number, count: number, by: Holder | undefined, back: Back): void {
    const { attempts, level, delay } = back;
    const cause = CAUSES[back.cause]!;
    const { marks, refuses } = this.#commit;
    if (this.#buckets.sources.isOn) this.#buckets.sources.change(part.slot);
    if (delay.ms > 0 && marks.mayDefer(refuses)) {
      this.#deferrals.put(part, at, count, back);
      this.#counters.deferredMessages += count;
      if (this.#following.active) this.#following.deferred(part, at, count, attempts, cause, by);
      return;
    }
    const { slot, position, messages, bodyBytes } = part;
    const sequence = part.sequence + at;
    const first = part.first + at;
    const again = { slot, position, sequence, first, count, messages, bodyBytes, attempts, level };
    this.#buckets.requeue(again);
    const isSaid = level !== part.level && this.#deferrals.saysLevel(again, back.cause);
    if (attempts > part.attempts && !isSaid) this.#commit.requeue(sequence, count, attempts);
    if (this.#following.active) this.#following.requeued(part, at, count, attempts, cause, by);
  }
}

/** How messages come back. */
interface Back extends Change {
  readonly delay: Delay;
}

// By CAUSE.
const CAUSES: readonly RequeuedCause[] = ['lost', 'failed', 'released', 'lost', 'lost'];
