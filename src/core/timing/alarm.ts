// The broker's time, and when it has to be woken. While something goes on it is called in ticks;
// else everything that waits for a time has said when, and the host sleeps until the earliest.
// What comes in meanwhile stirs it: then it learns what time it is, and the ticks go on.

import { assert } from '../assert.ts';

/** Between two ticks while something goes on. */
export const TICK_MS = 25;

export class Alarm {
  readonly #stirred: () => number;
  readonly #set: (nowMs: number) => void;
  #now = 0;
  #sinceMs = 0; // when the current tick began
  #asleep = false;

  /** `stirred`: asks the host for ticks and for the time; `set`: tells the parts what time it is. */
  constructor(stirred: () => number, set: (nowMs: number) => void) {
    this.#stirred = stirred;
    this.#set = set;
  }

  /** Monotonic ms as of the last input or tick. */
  get nowMs(): number {
    return this.#now;
  }

  /** Something comes in, or came of it: ticks have to go on. Gives the time. */
  stir(): number {
    if (this.#asleep) {
      this.#asleep = false;
      this.at(this.#stirred());
      this.#sinceMs = this.#now; // what was slept is no tick
    }
    return this.#now;
  }

  /** The same to the ms: the last tick may be a while ago. */
  exact(): number {
    this.stir();
    this.at(this.#stirred());
    return this.#now;
  }

  /** It is so late; nothing is decided by that. */
  at(nowMs: number): void {
    assert(nowMs >= this.#now, 'time ran backwards');
    this.#now = nowMs;
    this.#set(nowMs);
  }

  /** A tick. Gives how long it was, in ms; what was slept before it does not count. */
  tick(nowMs: number): number {
    const mostMs = this.#asleep ? TICK_MS : Number.POSITIVE_INFINITY;
    this.#asleep = false;
    this.at(nowMs);
    const ms = Math.min(nowMs - this.#sinceMs, mostMs);
    this.#sinceMs = nowMs;
    return ms;
  }

  /** The tick has done what was due. Gives when the next one must come: `dueMs`, but not at once. */
  rest(dueMs: number): number {
    const next = Math.max(dueMs, this.#now + TICK_MS);
    this.#asleep = next > this.#now + TICK_MS;
    return next;
  }
}
