// Requests that all wait equally long for an answer, so that their time is over in their order: one
// event of the clock for all of them, and none for those that were answered.

import type { Clock } from './clock.ts';

export interface Request {
  readonly untilMs: number;
  isOver: boolean;
  /** No answer came in time. */
  readonly late: () => void;
}

export class Timeouts {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #requests: Request[] = [];

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** Calls `late`, unless the request is over by then. */
  wait(late: () => void): Request {
    const request = { untilMs: this.#clock.nowMs + this.#ms, isOver: false, late };
    this.#requests.push(request);
    if (this.#requests.length === 1) this.#clock.after(this.#ms, () => this.#look());
    return request;
  }

  #look(): void {
    const { nowMs } = this.#clock;
    const isOpen = (request: Request) => !request.isOver && request.untilMs > nowMs;
    const first = this.#requests.findIndex(isOpen);
    const over = this.#requests.splice(0, first < 0 ? this.#requests.length : first);
    const next = this.#requests[0];
    if (next !== undefined) this.#clock.after(next.untilMs - nowMs, () => this.#look());
    for (const request of over) if (!request.isOver) request.late();
  }
}
