// Gives dead messages back: takes a line as a consumer would and has them moved to the bucket where
// they were, or to another one, a slice at a time. What dies meanwhile is not taken twice: it ends
// at what came last before it began. A redrive that ends with the broker is not gone on with; each
// message is in one place.
//
//   line ──slice──► mover ──durable──► counted as moved, next slice

import { REASON_REDRIVEN } from '../../../assembly/layout-placed.ts';
import type { RedriveState } from '../../contract/dead-messages.ts';
import type { Broker } from '../broker.ts';
import type { MoveEnd, MoveOrder } from '../delivery/destination.ts';
import { isPast } from './taking.ts';

/** Messages under way at a time. */
const SLICE = 256;
// It looks again after so long, however long it has to wait: a stop is not kept up for longer.
const WAIT_MS = 1000;
/** Share of a second whose messages may go at once; at least one may. */
const BURST = 0.1;

export interface RedriveOptions {
  broker: Broker;
  /** Of the line that is emptied. */
  slot: number;
  startedAt: string;
  to: MoveOrder['to'];
  /** Messages in all, and a second; Infinity: no bound. */
  limit: number;
  rate: number;
  soon: (call: () => void) => void;
  /** Calls back after so many ms. */
  after: (ms: number, call: () => void) => void;
  done: (redrive: Redrive) => void;
}

export class Redrive {
  readonly state: RedriveState;
  readonly slot: number;
  readonly #options: RedriveOptions;
  // Messages from here on died after it began.
  readonly #end: number;
  readonly #taker = () => this.#soon();
  #left: number;
  #out = 0; // under way
  #asked = false;
  #isFull = false;
  #isCancelled = false;
  // When all that was taken would have gone if it had gone evenly; monotonic ms.
  #evenMs = Number.NEGATIVE_INFINITY;

  constructor(options: RedriveOptions) {
    const { broker, slot, startedAt, limit } = options;
    this.#options = options;
    this.slot = slot;
    this.#left = limit;
    this.#end = broker.nextSequence;
    const bucket = broker.buckets.idOf(slot);
    this.state = { bucket, startedAt, moved: 0, done: false, stopped: null };
    broker.dispatcher.occupy(slot, this.#taker);
    this.#soon();
  }

  /** No more is given back than is on its way. */
  cancel(): void {
    this.#isCancelled = true;
    this.#soon();
  }

  #soon(): void {
    if (this.#asked || this.state.done) return;
    this.#asked = true;
    this.#options.soon(() => {
      this.#asked = false;
      this.#step();
    });
  }

  // Takes a slice once the one before is in its place.
  #step(): void {
    const { broker, slot } = this.#options;
    const { buckets, mover, settlement } = broker;
    const nowMs = broker.stir();
    if (this.state.done || broker.closing || this.#out > 0) return;
    const stopped = this.#stopped();
    if (stopped !== null) {
      this.#finish(stopped);
      return;
    }
    const most = Math.min(SLICE, this.#left, this.#allowed(nowMs));
    while (this.#out < most && !mover.isFull) {
      const part = buckets.peek(slot);
      if (part === undefined || part.sequence >= this.#end) break;
      const count = Math.min(part.count, this.#end - part.sequence, most - this.#out);
      const order = { reason: REASON_REDRIVEN, to: this.#options.to, by: undefined };
      const ended = (moved: number, how: MoveEnd) => this.#ended(moved, how);
      this.#out += count;
      mover.take(settlement.withdraw(part, count), { ...order, ended });
    }
    if (this.#out > 0) this.#took(nowMs);
    else if (most > 0) this.#isOver();
  }

  #stopped(): RedriveState['stopped'] {
    if (this.#isFull) return 'full';
    if (this.#left === 0) return 'limit';
    return this.#isCancelled ? 'cancelled' : null;
  }

  // Nothing was taken: it has ended, or something is in the way.
  #isOver(): void {
    const { broker, slot, after } = this.#options;
    const past = isPast(broker, slot, this.#end);
    if (past === true) this.#finish(null);
    else if (past === false) after(1, this.#taker);
  }

  // How many may go now. If none, it goes on when one may.
  #allowed(nowMs: number): number {
    const { rate, after } = this.#options;
    if (rate === Number.POSITIVE_INFINITY) return SLICE;
    const aheadMs = Math.max(0, this.#evenMs - nowMs);
    const room = Math.floor(Math.max(1, rate * BURST) - (aheadMs * rate) / 1000 + 1e-6);
    if (room >= 1) return room;
    after(Math.min(WAIT_MS, Math.max(1, Math.ceil(((1 - room) * 1000) / rate))), this.#taker);
    return 0;
  }

  #took(nowMs: number): void {
    const { rate } = this.#options;
    this.#left -= this.#out;
    this.#evenMs = Math.max(this.#evenMs, nowMs) + (this.#out * 1000) / rate;
  }

  #ended(count: number, how: MoveEnd): void {
    this.#out -= count;
    if (how === 'moved') this.state.moved += count;
    else if (how === 'full') this.#isFull = true;
    if (this.#out === 0) this.#soon();
  }

  // Gives the line back.
  #finish(stopped: RedriveState['stopped']): void {
    const { broker, slot, done } = this.#options;
    this.state.done = true;
    this.state.stopped = stopped;
    broker.dispatcher.release(slot, this.#taker);
    done(this);
  }
}
