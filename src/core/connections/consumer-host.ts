// What a consumer's session needs of the broker; `Session` is that session. Calls return before
// anything else happens, but for `want` and `dispatch`, which may call `deliver` of this session or
// others. None throws for what a peer or the disk did.

import type { BreachKind } from '../../contract/close-reasons.ts';
import type { Settlement } from '../delivery/settlement.ts';
import type { Limits } from '../limits.ts';
import type { Budget } from '../memory/budget.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Latency } from '../metrics/latency.ts';
import type { Overdue } from '../timing/overdue.ts';
import type { DeliveryFrames } from './delivery-frames.ts';

/** Buckets' lines, as consumers stand in them. */
export interface Subscriptions<Session> {
  /** A consumer wants the messages of a bucket, given by the halves of its id, unsigned 32 bits:
   * gives its slot. `begin` follows, when it is sure that the consumer is still there. */
  join(consumer: Session, low: number, high: number): number;
  /** It could take a batch, which may come before this returns. */
  want(consumer: Session): void;
  /** It takes none for now. */
  unwant(consumer: Session): void;
  /** Messages of the bucket are ready again: gives them to whoever could take a batch. */
  dispatch(slot: number): void;
  /** How long who holds a delivery of the bucket may be silent from now on, in ms; 0: for ever. */
  leaseMs(slot: number): number;
  /** It is gone and holds nothing any more; once for each `join`. */
  leave(consumer: Session): void;
}

/** What time it is, and who is to be looked at when. */
export interface ConsumerTime<Session> {
  /** Monotonic ms, to be asked for with each input: after a sleep it sets ticks going. */
  now(): number;
  /** The same to the ms: `now` is as of the last input or tick, which may be a standstill ago. */
  exact(): number;
  /** Its `advance` is called at `dueMs`, monotonic ms, or at an earlier time that it was to be called
   * at already. */
  lookAt(consumer: Session, dueMs: number): void;
  /** Whose time is up, to be closed a few at a time. */
  readonly overdue: Overdue;
}

/** How a connection ends. */
export interface ConsumerEnds<Session> {
  /** It went too far: one line for the operator, `text` in it; counted, connection closed at once. */
  breach(consumer: Session, why: BreachKind, text: string): void;
  /** It is dead, as far as can be seen: one line for the operator. */
  dead(consumer: Session, text: string): void;
  /** It holds `count` messages and was silent for `ms`, the whole of its lease: one line for the
   * operator, before anything is done about it. */
  leaseOver(consumer: Session, count: number, ms: number): void;
  /** Its connection is gone, and all that it held is given back. */
  closed(consumer: Session): void;
}

/** All of it. */
export interface ConsumerHost<Session> {
  /** Bounds of header, batch, frame and silence; bytes and ms. */
  readonly limits: Limits;
  readonly subscriptions: Subscriptions<Session>;
  /** What becomes of the messages that it was sent. */
  readonly settlement: Settlement;
  /** Packs what is next in a line. */
  readonly frames: DeliveryFrames;
  /** Bytes of partial input and unread output of all connections. */
  readonly budget: Budget;
  readonly time: ConsumerTime<Session>;
  readonly metrics: { readonly counters: Counters; readonly latency: Latency };
  readonly ends: ConsumerEnds<Session>;
}
