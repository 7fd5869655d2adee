// The child's side of asking the broker: one question at a time, an answer kept for 250 ms, so that
// a flood of requests costs the broker four snapshots a second at most.

import { deadline } from '../time/deadline.ts';
import { cancel } from '../time/timers.ts';
import type { Answer } from './messages.ts';

const FRESH_MS = 250;
const PATIENCE_MS = 1000;

/** Turns a channel into a question that any number of requests may put at once. */
export class Asker {
  readonly #send: (id: number) => void;
  readonly #now: () => number;
  #id = 0;
  #pending: Promise<Answer> | undefined;
  #settle: ((answer: Answer) => void) | undefined;
  #latest: Answer | undefined;
  #latestAt = Number.NEGATIVE_INFINITY;

  /** `send` puts the question on the channel; `now` is monotonic, in milliseconds. */
  constructor(send: (id: number) => void, now: () => number = () => performance.now()) {
    this.#send = send;
    this.#now = now;
  }

  /** The broker's state, at most 250 ms old; undefined when it took longer than a second. */
  ask(): Promise<Answer | undefined> {
    if (this.#now() - this.#latestAt < FRESH_MS) return Promise.resolve(this.#latest);
    if (this.#pending === undefined) {
      this.#pending = new Promise((resolve) => {
        this.#settle = resolve;
      });
      this.#id += 1;
      this.#send(this.#id);
    }
    return within(this.#pending, PATIENCE_MS);
  }

  /** Takes an answer off the channel; one to an older question is ignored. */
  answered(id: number, answer: Answer): void {
    if (id !== this.#id || this.#settle === undefined) return;
    this.#latest = answer;
    this.#latestAt = this.#now();
    this.#settle(answer);
    this.#pending = undefined;
    this.#settle = undefined;
  }
}

function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = deadline(ms, () => resolve(undefined));
    promise.then((value) => {
      cancel(timer);
      resolve(value);
    });
  });
}
