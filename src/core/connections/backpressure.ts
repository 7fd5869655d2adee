// Why a peer is not read: a set of reasons, any of which is enough. The only place that pauses and
// resumes the link of a producer.

import type { Link } from '../ports/link.ts';

/** There is no room in the log, or it is the turn of others. */
export const ROOM = 1;
/** There is no memory for its large message yet. */
export const MEMORY = 2;
/** It does not take what it is sent. */
export const OUTPUT = 4;
/** The broker is closing. */
export const STOPPED = 8;

/** One of them, or several, or'ed. */
export type Reasons = number;

export class Backpressure {
  readonly #link: Pick<Link, 'pause' | 'resume'>;
  #reasons: Reasons = 0;
  #paused = false;

  constructor(link: Pick<Link, 'pause' | 'resume'>) {
    this.#link = link;
  }

  /** Whether the peer is held back, for whatever reason. */
  get isHeld(): boolean {
    return this.#reasons !== 0;
  }

  /** Whether one of these is among the reasons. */
  has(reasons: Reasons): boolean {
    return (this.#reasons & reasons) !== 0;
  }

  /** The peer is not read from now on. */
  hold(reason: Reasons): void {
    this.#reasons |= reason;
    if (this.#paused) return;
    this.#paused = true;
    this.#link.pause();
  }

  /** The reason is over; the peer is read on if it was the last one. */
  release(reason: Reasons): void {
    this.lift(reason);
    this.resume();
  }

  /** The reason is over, but what was read before comes first: `resume` follows, or the end. */
  lift(reason: Reasons): void {
    this.#reasons &= ~reason;
  }

  /** Reads on, unless there is a reason not to. */
  resume(): void {
    if (this.#reasons !== 0 || !this.#paused) return;
    this.#paused = false;
    this.#link.resume();
  }
}
