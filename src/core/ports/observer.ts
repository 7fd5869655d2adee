// Whoever follows messages: told what becomes of them, and decides nothing.

import type { Position } from './basics.ts';

/** Messages of one bucket and one record, neighbours in it, to which the same happens. */
export interface Run {
  /** The halves of the bucket's id, unsigned 32 bits. */
  bucketLow: number;
  bucketHigh: number;
  /** Of the first message. */
  sequence: number;
  /** Messages, at least 1. */
  count: number;
  /** Of the record. */
  position: Position;
  /** Of the body of the record, all its messages together, without padding. */
  bytes: number;
  /** Attempts that were charged: deliveries that ended without an ack, but those released. */
  attempts: number;
}

/** A consumer, as whoever follows its messages is told of it. */
export interface Holder {
  readonly consumerId: string;
  /** Who closed its connection, or what for; says something only once it is closed. */
  readonly closedFor: string;
  readonly link: { readonly id: number; readonly peer: string };
}

/**
 * Why messages are gone: their consumer is done with them, an operator emptied the line, their
 * bucket had more than a rule allows or they waited longer (`dropped`), they died and are kept
 * nowhere, or stand in another line.
 */
export type SettledCause = 'done' | 'purged' | 'dropped' | 'dead' | 'moved';
/** Why messages are ready again: their consumer says so, or its connection ended. */
export type RequeuedCause = 'failed' | 'released' | 'lost';
/** Why messages are put off for a time: the same. */
export type DeferredCause = RequeuedCause;

/**
 * Called at once, in the order of what happens, while the core is in the middle of it: an observer
 * must not call the core. `run` is the core's own and changes after the call. What it throws ends
 * its service and nothing else.
 */
export interface Observer {
  /** Whether anything is to be told. Asked for each batch and slice, so it has to be cheap. */
  readonly active: boolean;
  /** Its batch is complete, and about to be written. */
  sealed(run: Run): void;
  /** It is on disk, as the sync mode says, so producers are told and it can be delivered. */
  durable(run: Run): void;
  /** It is being sent to a consumer; undefined: nobody who is known. */
  delivered(run: Run, to: Holder | undefined): void;
  /** It is gone for good; `by` is undefined when no consumer held it. */
  settled(run: Run, cause: SettledCause, by: Holder | undefined): void;
  /** It is ready again, at its old place; `attempts` counts the delivery that failed. */
  requeued(run: Run, cause: RequeuedCause, by: Holder | undefined): void;
  /** The same, but it is ready only after a time. */
  deferred(run: Run, cause: DeferredCause, by: Holder | undefined): void;
}
