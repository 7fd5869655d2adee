// When `sub` is over, and what that means: asked to end, nothing more there, time over, or nobody
// reading. "Nothing came" is only said of a broker that could have sent something.

import { type Status, ThrustError } from '../client/index.ts';
import { watchReader } from '../io/reader.ts';
import { deadline } from '../time/deadline.ts';
import { after, cancel, type Timer } from '../time/timers.ts';
import { EXIT } from './output.ts';

/** Brokers are heard every two seconds at least; this much silence and they are not there. */
const SILENCE_MS_MIN = 2500;
const SILENCE_MS_MAX = 5000;
/** Time left to find out that the broker is silent before --wait or --timeout is over. */
const MARGIN_MS = 500;

export interface EndingOptions {
  /** Milliseconds without a message after which there is nothing more. */
  wait?: number;
  /** Milliseconds after which it ends in any case. */
  timeout?: number;
}

/** Silence after which the broker counts as gone: noticed before the time is over, if possible. */
export function idleTimeoutMs({ wait, timeout }: EndingOptions): number {
  const ms = Math.min(wait ?? SILENCE_MS_MAX, timeout ?? SILENCE_MS_MAX) - MARGIN_MS;
  return Math.min(SILENCE_MS_MAX, Math.max(SILENCE_MS_MIN, ms));
}

export class Ending {
  readonly #options: EndingOptions;
  #stop: () => void = () => {};
  #stopWatching: () => void = () => {};
  #overall: Timer | undefined;
  #quiet: Timer | undefined;
  #isWaiting = false;
  #isConnected = false;
  #connectedAtMs = 0;
  #isSignalled = false;
  /** The last connection ended because nothing was heard: that the next one stands means little. */
  #wasSilent = false;
  #trouble: ThrustError | undefined;
  #reason: 'asked' | 'time' | undefined;
  #failure: ThrustError | undefined;

  constructor(options: EndingOptions) {
    this.#options = options;
  }

  /** Why it ended; undefined when the consumer ended by itself. */
  get reason(): 'asked' | 'time' | undefined {
    return this.#reason;
  }

  /** Set when time was over while the broker was not there. */
  get failure(): ThrustError | undefined {
    return this.#failure;
  }

  /** From now on signals, a reader that leaves and time call `stop`. */
  watch(stop: () => void): void {
    this.#stop = stop;
    this.#stopWatching = watchReader(() => this.#end('asked'));
    process.on('SIGINT', this.#onSignal);
    process.on('SIGTERM', this.#onSignal);
    const { timeout } = this.#options;
    if (timeout !== undefined) this.#overall = after(timeout, () => this.#timeIsOver());
  }

  over(): void {
    this.#stopWatching();
    cancel(this.#overall);
    cancel(this.#quiet);
  }

  onStatus(status: Status, error: ThrustError | undefined): void {
    this.#isConnected = status === 'connected';
    if (this.#isConnected) this.#connectedAtMs = performance.now();
    if (status === 'reconnecting') {
      this.#trouble = error;
      this.#wasSilent = error?.code === 'TIMEOUT';
    } else if (status === 'connected' && this.#isWaiting && !this.#wasSilent) {
      // Only now it could send something.
      this.quietFromNow();
    }
  }

  /** Messages came. */
  busy(): void {
    this.#isWaiting = false;
    this.#wasSilent = false;
    cancel(this.#quiet);
  }

  /** Waits for messages from now on. */
  quietFromNow(): void {
    const { wait } = this.#options;
    this.#isWaiting = true;
    cancel(this.#quiet);
    if (wait !== undefined) this.#quiet = deadline(wait, () => this.#timeIsOver());
  }

  /** The first signal ends the conversation politely, the second the process. */
  readonly #onSignal = (): void => {
    if (this.#isSignalled) process.exit(EXIT.failed);
    this.#isSignalled = true;
    this.#end('asked');
  };

  #timeIsOver(): void {
    if (!this.#isConnected || this.#isStillSilent()) {
      const why = this.#trouble?.message ?? 'no connection to the broker yet';
      this.#failure = new ThrustError('CONNECTION', `${why}, and the time to wait is over`);
    }
    this.#end('time');
  }

  /** A connection that stands for longer than it may be silent was heard. */
  #isStillSilent(): boolean {
    const heardMs = this.#connectedAtMs + idleTimeoutMs(this.#options) + MARGIN_MS;
    return this.#wasSilent && performance.now() < heardMs;
  }

  #end(reason: 'asked' | 'time'): void {
    this.#reason ??= reason;
    this.#stop();
  }
}
