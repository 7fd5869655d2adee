// Whether the dashboard's process still does its work: a question now and then, and how often the
// answer stayed away. Counts beats, not time, so that a broker that was stalled itself (stopped, or
// a laptop asleep) accuses nobody. Deterministic: clock and channel come in.

/** How often it is looked after. */
export const BEAT_MS = 2000;
/** Beats that an answer may be late. With one beat to the question: noticed within 6 s. */
export const MISSED_MAX = 2;
/** Beats until it listens; doubled each time when that was too short for this machine. */
export const START_BEATS = 4;
const START_BEATS_MAX = 60;

/** The clock of the broker's event loop. */
export interface PulseClock {
  /** Calls again and again; returns what ends it. */
  every(ms: number, call: () => void): () => void;
  /** Calls once what has arrived until now was read. */
  afterReads(call: () => void): void;
}

export interface PulseOptions {
  clock: PulseClock;
  /** Puts question `id` on the channel; one at a time, the next only after its answer. */
  ask(id: number): void;
  /** The process is silent; called once, with what it did not do. */
  silent(why: string): void;
  /** Beats until it listens. */
  startBeats: number;
}

/** The patience for the next start, after one that took longer than this. */
export function longerStart(startBeats: number): number {
  return Math.min(START_BEATS_MAX, startBeats * 2);
}

/** Looks after one process, from its start until `stop`. */
export class Pulse {
  readonly #options: PulseOptions;
  readonly #stop: () => void;
  #listens = false;
  /** Beats since the start, or since the question that waits for its answer. */
  #missed = 0;
  #asked = 0;
  #answered = 0;
  #isOver = false;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#stop = options.clock.every(BEAT_MS, () => this.#beat());
  }

  /** It listens: from now on it is asked. */
  listens(): void {
    this.#listens = true;
    this.#missed = 0;
  }

  /** The answer to question `id` came. */
  answered(id: number): void {
    if (id !== this.#asked) return;
    this.#answered = id;
    this.#missed = 0;
  }

  stop(): void {
    this.#isOver = true;
    this.#stop();
  }

  #beat(): void {
    if (this.#listens && this.#answered === this.#asked) {
      this.#asked++;
      this.#options.ask(this.#asked);
      return;
    }
    this.#missed++;
    // After a stall of the broker, what it waits for may have been here for long, unread.
    if (this.#isLate()) this.#options.clock.afterReads(() => this.#judge());
  }

  #isLate(): boolean {
    return this.#missed >= (this.#listens ? MISSED_MAX : this.#options.startBeats);
  }

  #judge(): void {
    if (this.#isOver || !this.#isLate()) return;
    this.stop();
    const seconds = (this.#missed * BEAT_MS) / 1000;
    const what = this.#listens ? 'no answer for' : 'not listening after';
    this.#options.silent(`${what} ${seconds} s`);
  }
}
