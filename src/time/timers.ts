// The one place that makes timers. Node.js keeps a delay in 31 bits of milliseconds, 24.8 days, and
// makes 1 ms of a longer one: here any delay lasts as long as it says, and Infinity for ever.

import timers from 'node:timers';

const NODE_MS_MAX = 2_147_483_647;

/** Something that will happen, until it is handed to `cancel`. */
export interface Timer {
  /** From now on it does not keep the process alive. */
  unref(): Timer;
}

/** A wait in several pieces. */
class LongTimer implements Timer {
  readonly #call: () => void;
  #piece: NodeJS.Timeout;
  #isRef = true;

  constructor(ms: number, call: () => void) {
    this.#call = call;
    this.#piece = this.#wait(ms);
  }

  unref(): this {
    this.#isRef = false;
    this.#piece.unref();
    return this;
  }

  cancel(): void {
    timers.clearTimeout(this.#piece);
  }

  #wait(leftMs: number): NodeJS.Timeout {
    const ms = Math.min(leftMs, NODE_MS_MAX);
    const next = (): void => {
      this.#piece = this.#wait(leftMs - ms);
      if (!this.#isRef) this.#piece.unref();
    };
    return timers.setTimeout(leftMs > ms ? next : this.#call, ms);
  }
}

/** A period in several pieces. */
class LongInterval implements Timer {
  #turn: Timer;
  #isRef = true;

  constructor(ms: number, call: () => void) {
    const next = (): Timer =>
      after(ms, () => {
        this.#turn = next();
        if (!this.#isRef) this.#turn.unref();
        call();
      });
    this.#turn = next();
  }

  unref(): this {
    this.#isRef = false;
    this.#turn.unref();
    return this;
  }

  cancel(): void {
    cancel(this.#turn);
  }
}

function checked(ms: number): number {
  if (Number.isNaN(ms)) throw new RangeError('a delay is a number of milliseconds, not NaN');
  return ms;
}

/** Calls once, `ms` milliseconds from now or as soon as the program has time for it. */
export function after(ms: number, call: () => void): Timer {
  return checked(ms) <= NODE_MS_MAX ? timers.setTimeout(call, ms) : new LongTimer(ms, call);
}

/** Calls every `ms` milliseconds until it is cancelled. */
export function every(ms: number, call: () => void): Timer {
  return checked(ms) <= NODE_MS_MAX ? timers.setInterval(call, ms) : new LongInterval(ms, call);
}

/** It will not happen any more. */
export function cancel(timer: Timer | undefined): void {
  if (timer === undefined) return;
  if ('cancel' in timer) (timer as LongTimer).cancel();
  else timers.clearTimeout(timer as NodeJS.Timeout);
}

/** Resolves `ms` milliseconds from now. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    after(ms, resolve);
  });
}
