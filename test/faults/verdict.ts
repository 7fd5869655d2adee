// What a fault run gives back, and what it may spend. Each run makes one kind of fault happen to a
// real broker, again and again, and keeps an exact account of every message.

import type { Random } from '../support/random.ts';

export interface Verdict {
  name: string;
  /** How often the fault happened; a run in which it never did throws instead. */
  fired: number;
  /** Messages that were acked to a producer and are gone. */
  ackedLost: number;
  /** Messages whose bytes changed, that nobody sent, or that came out of another bucket. */
  altered: number;
  /** Ack bytes 1 that a producer got after a sync of its message's file had failed. */
  ackAfterFailedSync: number;
  /** For people: what was done, in a few words. */
  note: string;
}

export interface FaultOptions {
  /** Most points, cuts or cycles of the run; they are spread evenly over all there are. */
  points: number;
  /** `performance.now()` after which no further point is begun. */
  untilMs: number;
  random: Random;
  /** Only one of `of` parts of all points there are; the parts together are all of them. */
  slice?: { at: number; of: number };
}

export interface FaultRun {
  name: string;
  /** Why it cannot run on this machine, if so. */
  skip?: string | undefined;
  /** Points that fit into `npm test`. */
  small: number;
  /**
   * For `npm run prove -- --full`: how many runs of how many points; with several, each has its
   * slice of all points. `more`: as many runs as its full count needs.
   */
  full: { runs: number; points: number; more?: boolean };
  /** What it counts, for people, where that is not its name. */
  counted?: string;
  run: (options: FaultOptions) => Promise<Verdict>;
}

/** Sums what one run finds over its points. */
export class Tally {
  readonly #name: string;
  #fired = 0;
  #ackedLost = 0;
  #altered = 0;
  #ackAfterFailedSync = 0;

  constructor(name: string) {
    this.#name = name;
  }

  get fired(): number {
    return this.#fired;
  }

  fire(times = 1): void {
    this.#fired += times;
  }

  found(found: { lost: number; altered: number }): void {
    this.#ackedLost += found.lost;
    this.#altered += found.altered;
  }

  late(acks: number): void {
    this.#ackAfterFailedSync += acks;
  }

  /** The verdict; throws if the fault never happened, since then nothing was tested. */
  verdict(note: string): Verdict {
    if (this.#fired === 0) throw new Error(`${this.#name}: the fault never fired (${note})`);
    return {
      name: this.#name,
      fired: this.#fired,
      ackedLost: this.#ackedLost,
      altered: this.#altered,
      ackAfterFailedSync: this.#ackAfterFailedSync,
      note,
    };
  }
}

/** At most `most` of `all`, spread evenly, with a first one that differs from run to run. */
export function spread<T>(all: readonly T[], most: number, random: Random): T[] {
  if (all.length <= most) return [...all];
  const from = random.below(all.length);
  return Array.from(
    { length: most },
    (_, i) => all[(from + Math.floor((i * all.length) / most)) % all.length]!,
  );
}
