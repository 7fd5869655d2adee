// How work beside the broker shares processor and disk with it: in pieces, and others go on after
// each. While somebody waits for acks who publishes little, pieces are small and each is followed
// by a break, so that such an ack meets one of them at most now and then; otherwise they have the
// size that costs the least. While others publish large messages, commits of what is little come
// between those, and are short: then such pieces are smaller still.

import type { Foreground } from '../../core/ports/foreground.ts';

/** Nobody is served meanwhile: for tools, and before there is a broker. */
export const IDLE: Foreground = {
  latencySensitive: false,
  largeWrites: false,
  lightTraffic: false,
};

export interface Delays {
  /** Calls back once, as soon as other work had its turn. */
  soon: (call: () => void) => void;
  /** The same after a break about as long as a small piece of work takes. */
  shortDelay: (call: () => void) => void;
  /** The same for work that can wait: it is to take a small share of the time. */
  idleDelay: (call: () => void) => void;
}

export class Throttle {
  readonly #delays: Delays;
  readonly #foreground: Foreground;

  constructor(turns: Delays, foreground: Foreground) {
    this.#delays = turns;
    this.#foreground = foreground;
  }

  /** Goes on with work that has to keep up with what is published. */
  next(call: () => void): void {
    const { soon, shortDelay } = this.#delays;
    if (this.#foreground.latencySensitive) shortDelay(call);
    else soon(call);
  }

  /** The same when the disk was waited for, so that others had their turn. */
  resume(call: () => void): void {
    if (this.#foreground.latencySensitive) this.#delays.shortDelay(call);
    else call();
  }

  /** Goes on with work that can wait, unless there is a `hurry`. */
  later(call: () => void, hurry: boolean): void {
    if (hurry) this.next(call);
    else this.#delays.idleDelay(call);
  }

  /** The size of the next piece; `least`: where commits of what is little are to be short. */
  piece(small: number, most: number, least = small): number {
    const { latencySensitive, largeWrites } = this.#foreground;
    if (!latencySensitive) return most;
    return largeWrites ? least : small;
  }
}
