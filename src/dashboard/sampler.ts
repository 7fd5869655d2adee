// Takes the rows of the history: a sample of the broker each second while something happens there.
// A whole snapshot costs both processes more than an idle broker does otherwise, so that first only
// one number is asked for; while that stays as it is, rows are made without asking.

import type { Snapshot } from '../contract/snapshot.ts';
import type { History } from './history.ts';

export const SAMPLE_MS = 1000;
/** After so long an idle broker is sampled, too: its memory and disk may have changed. */
export const REFRESH_MS = 10_000;

export interface SamplerOptions {
  /** Asks how much has happened in the broker; `heard` is told. */
  look: () => void;
  /** The broker's snapshot, if it gives one in time. */
  ask: () => Promise<Snapshot | undefined>;
  history: Pick<History, 'add' | 'quiet'>;
  /** Monotonic ms. */
  now: () => number;
}

export class Sampler {
  readonly #options: SamplerOptions;
  #activity: number | null = null;
  #sampledMs = Number.NEGATIVE_INFINITY; // the last whole one
  #rowMs = 0; // the last one, or what stood for it
  #idle = false; // the last sample showed what had happened before, too

  constructor(options: SamplerOptions) {
    this.#options = options;
  }

  /** To be called each second. */
  look(): void {
    this.#options.look();
  }

  /** The broker's answer: a number that grows when something happens; null: it is not known. */
  async heard(activity: number | null): Promise<void> {
    const { ask, history, now } = this.#options;
    const atMs = now();
    const same = activity !== null && activity === this.#activity;
    if (same && this.#idle && atMs - this.#sampledMs < REFRESH_MS) {
      history.quiet(atMs - this.#rowMs);
      this.#rowMs = atMs;
      return;
    }
    const snapshot = await ask();
    if (snapshot === undefined) return;
    this.#activity = activity;
    this.#idle = same;
    this.#sampledMs = atMs;
    this.#rowMs = now();
    history.add(snapshot);
  }
}
