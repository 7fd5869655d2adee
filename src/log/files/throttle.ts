// How work beside the broker shares processor and disk with it: in pieces, and others go on after
// each. While somebody waits for acks who publishes little, pieces are small and each is followed
// by a break, so that such an ack meets one of them at most now and then; otherwise they have the
// size that costs the least. While others publish large messages, commits of what is little come
// between those, and are short: then such pieces are smaller still.

export interface Turns {
  /** Calls back once, as soon as other work had its turn. */
  soon: (call: () => void) => void;
  /** The same after a break about as long as a small piece of work takes. */
  breath: (call: () => void) => void;
  /** The same for work that can wait: it is to take a small share of the time. */
  pause: (call: () => void) => void;
}

export class Pace {
  readonly #turns: Turns;
  /** Whether others wait for acks who publish little. */
  gentle = false;
  /** Whether large messages are written between those acks. */
  large = false;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** Goes on with work that has to keep up with what is published. */
  next(call: () => void): void {
    const { soon, breath } = this.#turns;
    if (this.gentle) breath(call);
    else soon(call);
  }

  /** The same when the disk was waited for, so that others had their turn. */
  resume(call: () => void): void {
    if (this.gentle) this.#turns.breath(call);
    else call();
  }

  /** Goes on with work that can wait, unless there is a `hurry`. */
  later(call: () => void, hurry: boolean): void {
    if (hurry) this.next(call);
    else this.#turns.pause(call);
  }

  /** The size of the next piece; `least`: where commits of what is little are to be short. */
  piece(small: number, most: number, least = small): number {
    if (!this.gentle) return most;
    return this.large ? least : small;
  }
}
