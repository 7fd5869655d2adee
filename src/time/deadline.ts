// Judges that something has not come in time. When a program stood still, because it computed, was
// stopped or its machine slept, its timers run before it reads what arrived meanwhile: here a
// deadline has passed only when that was read, too.

import { after, cancel, type Timer } from './timers.ts';

/** A timer may be late by this much on a busy machine; more means that the program stood still. */
const LATE_MS = 10;

class Deadline implements Timer {
  readonly #passed: () => void;
  readonly #ms: number;
  readonly #dueMs: number;
  #timer: Timer;
  #turn: NodeJS.Immediate | undefined;
  #isRef = true;

  constructor(ms: number, passed: () => void) {
    this.#passed = passed;
    this.#ms = ms;
    this.#dueMs = performance.now() + ms;
    this.#timer = after(ms, () => this.#due());
  }

  unref(): this {
    this.#isRef = false;
    this.#timer.unref();
    return this;
  }

  cancel(): void {
    cancel(this.#timer);
    clearImmediate(this.#turn);
  }

  /** The time that the program stood still is given once more: an answer may need several turns. */
  #due(): void {
    const lateMs = performance.now() - this.#dueMs;
    if (lateMs < LATE_MS) {
      this.#readFirst();
      return;
    }
    this.#timer = after(Math.min(lateMs, this.#ms), () => this.#readFirst());
    if (!this.#isRef) this.#timer.unref();
  }

  /** Immediates run right after the event loop has read its sockets. */
  #readFirst(): void {
    this.#turn = setImmediate(this.#passed);
  }
}

/**
 * Calls `passed` when `ms` milliseconds are over and everything that arrived by then has been read:
 * what comes in the meantime may still cancel it. After a stall it waits for as long again as the
 * program was late, at most `ms`.
 */
export function deadline(ms: number, passed: () => void): Timer {
  return new Deadline(ms, passed);
}

/** Fires when a deadline has passed; keeps no process alive. */
export function signalAfter(ms: number): AbortSignal {
  const controller = new AbortController();
  const late = () =>
    controller.abort(new DOMException(`no answer within ${ms} ms`, 'TimeoutError'));
  deadline(ms, late).unref();
  return controller.signal;
}
