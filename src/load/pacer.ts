// Says whether the next batch may go, how large it is and when it was due. Closed loop: whenever a
// producer has room. Open loop: by a schedule that does not care how the broker is doing, so a
// batch that could not be sent in time has waited since it was due. And when a consumer that is to
// take only so much may ack. Keeps no timer; the caller asks.

export interface PacerOptions {
  batchMessages: number;
  /** Messages per second in all, or undefined for a closed loop. */
  rate: number | undefined;
  /** Nothing goes while more messages wait for consumers, if given. */
  backlogMessagesMax: number | undefined;
  waiting: () => number;
}

export class Pacer {
  readonly #options: PacerOptions;
  readonly #intervalMs: number;
  #left = 0;
  #dueMs = 0;
  #untilMs = Number.POSITIVE_INFINITY;
  /** Of the batch that `take` granted last. */
  messages = 0;
  grantedDueMs = 0;

  constructor(options: PacerOptions) {
    this.#options = options;
    const { rate, batchMessages } = options;
    this.#intervalMs = rate === undefined ? 0 : (1000 * batchMessages) / rate;
  }

  get openLoop(): boolean {
    return this.#intervalMs > 0;
  }

  /** Lets `messages` go from now on; the schedule starts here. */
  open(messages: number, nowMs: number): void {
    this.#left = messages;
    this.#dueMs = nowMs;
    this.#untilMs = Number.POSITIVE_INFINITY;
  }

  /** Grants nothing any more. */
  close(): void {
    this.#left = 0;
  }

  /**
   * Grants only what was due before `nowMs`: that is nothing in a closed loop, and in an open one
   * what a slow broker has kept from being sent, which would else be missing in its latencies.
   */
  finish(nowMs: number): void {
    if (this.openLoop) this.#untilMs = nowMs;
    else this.close();
  }

  /** Whether everything has been granted. */
  get exhausted(): boolean {
    return this.#left === 0 || this.#dueMs >= this.#untilMs;
  }

  /** When the next batch is due, ms; Infinity when there is none. */
  get nextDueMs(): number {
    return this.exhausted ? Number.POSITIVE_INFINITY : this.#dueMs;
  }

  /** Grants a batch, if one may go now. */
  take(nowMs: number): boolean {
    if (this.exhausted) return false;
    const { batchMessages, backlogMessagesMax, waiting } = this.#options;
    if (backlogMessagesMax !== undefined && waiting() > backlogMessagesMax) return false;
    if (this.openLoop) {
      if (this.#dueMs > nowMs) return false;
      this.grantedDueMs = this.#dueMs;
      this.#dueMs += this.#intervalMs;
    } else this.grantedDueMs = nowMs;
    this.messages = Math.min(batchMessages, this.#left);
    this.#left -= this.messages;
    return true;
  }
}

/** Holds acks of one consumer back, so that it takes no more than its rate. */
export class AckPace {
  readonly #perSecond: number;
  #dueMs = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** How long the ack of `count` messages that came at `nowMs` has to wait, ms. */
  delayMs(count: number, nowMs: number): number {
    const delay = Math.max(0, this.#dueMs - nowMs);
    // What was not taken in time is not made up for: a burst is what this is to prevent.
    this.#dueMs = nowMs + delay + (1000 * count) / this.#perSecond;
    return delay;
  }
}
