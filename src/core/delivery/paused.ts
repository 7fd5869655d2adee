// Which buckets are paused, by id: nothing is delivered from them, publishes go on. What the log
// says of it (segments/settings.ts), with the changes that are in force and not durable yet.

import { wordsOf } from '../text/ids.ts';

/** Paused buckets at most: each is a message that the log keeps. */
export const PAUSED_MAX = 10_000;

/** A change that is in force, and not durable yet. */
export interface PauseChange {
  readonly id: string;
  readonly paused: boolean;
}

export class Paused {
  readonly #ids = new Set<string>(); // in force
  readonly #highs = new Map<number, Set<number>>(); // the same, as words: by the low one
  readonly #saved = new Set<string>(); // durably
  readonly #changes = new Map<string, PauseChange[]>(); // not durable yet, in the order of asking

  get count(): number {
    return this.#ids.size;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Whether the bucket is paused whose id is these two words. */
  holds(low: number, high: number): boolean {
    return this.#highs.get(low)?.has(high) === true;
  }

  /** Pauses a bucket, or resumes it, at once; `settle` is to say what became of it. */
  set(id: string, paused: boolean): PauseChange {
    const change = { id, paused };
    this.#changes.set(id, [...(this.#changes.get(id) ?? []), change]);
    this.#put(id, paused);
    return change;
  }

  /**
   * A change is durable, or will not be. Then the bucket is as the log says, unless somebody has
   * asked for another change of it meanwhile.
   */
  settle(change: PauseChange, saved: boolean): void {
    const { id, paused } = change;
    const left = this.#changes.get(id)!.filter((each) => each !== change);
    if (left.length > 0) this.#changes.set(id, left);
    else this.#changes.delete(id);
    if (saved) put(this.#saved, id, paused);
    this.#put(id, left.at(-1)?.paused ?? this.#saved.has(id));
  }

  /** These are paused durably: by what the log says, or a file. */
  restore(ids: Iterable<string>): void {
    for (const id of ids) {
      this.#put(id, true);
      this.#saved.add(id);
    }
  }

  #put(id: string, paused: boolean): void {
    put(this.#ids, id, paused);
    const [low, high] = wordsOf(id);
    const highs = this.#highs.get(low) ?? new Set();
    if (paused) this.#highs.set(low, highs.add(high));
    else if (highs.delete(high) && highs.size === 0) this.#highs.delete(low);
  }
}

function put(ids: Set<string>, id: string, there: boolean): void {
  if (there) ids.add(id);
  else ids.delete(id);
}
