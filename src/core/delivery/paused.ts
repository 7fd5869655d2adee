// Which buckets are paused, by id: nothing is delivered from them, publishes go on. Kept in a small
// file beside the log and not in the log itself: the log gives back its oldest end, so a record
// there would have to be written again and again, while this is a setting that an operator makes a
// few times, and losing the file loses no message.

import { isId } from '../../contract/commands.ts';

/** Paused buckets at most: the whole list is written with each change. */
export const PAUSED_MAX = 10_000;
const VERSION = 1;

/**
 * Where the list is kept. `save` replaces it in one step, by what `text` gives when that begins, and
 * `done` comes when it is on disk; after a failure it is what it was. Those who ask while it is
 * written are served together afterwards, and told in the order in which they asked.
 */
export interface Settings {
  save(text: () => string, done: (failure: Error | undefined) => void): void;
}

/** A change that is in force, and not on disk yet. */
export interface PauseChange {
  readonly id: string;
  readonly paused: boolean;
}

export class Paused {
  readonly #ids = new Set<string>(); // in force
  readonly #highs = new Map<number, Set<number>>(); // the same, as words: by the low one
  readonly #saved = new Set<string>(); // what the file says
  #changes: PauseChange[] = []; // not on disk yet, in the order of asking

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

  /** Pauses a bucket, or resumes it, at once; `settle` is to say what became of it on disk. */
  set(id: string, paused: boolean): PauseChange {
    const change = { id, paused };
    this.#changes.push(change);
    this.#put(id, paused);
    return change;
  }

  /**
   * A change is on disk, or will not be. Then the bucket is as the file says, unless somebody has
   * asked for another change of it meanwhile.
   */
  settle(change: PauseChange, saved: boolean): void {
    const { id, paused } = change;
    this.#changes = this.#changes.filter((each) => each !== change);
    if (saved) put(this.#saved, id, paused);
    const later = this.#changes.findLast((each) => each.id === id);
    this.#put(id, later?.paused ?? this.#saved.has(id));
  }

  /** The text of the file, with the changes that are in force now. */
  text(): string {
    return `${JSON.stringify({ version: VERSION, paused: [...this.#ids] })}\n`;
  }

  /**
   * Takes over what the file says.
   * @throws SyntaxError when it is not such a file.
   */
  restore(text: string): void {
    // Some editors put a byte order mark in front.
    const table = JSON.parse(text.replace(/^\uFEFF/, '')) as {
      version?: unknown;
      paused?: unknown;
    };
    const { version, paused } = table ?? {};
    if (version !== VERSION || !Array.isArray(paused) || !paused.every(isId))
      throw new SyntaxError(`it is not a list of paused buckets of version ${VERSION}`);
    for (const id of paused) {
      this.#put(id, true);
      this.#saved.add(id);
    }
  }

  #put(id: string, paused: boolean): void {
    put(this.#ids, id, paused);
    const low = Number(BigInt.asUintN(32, BigInt(id)));
    const high = Number(BigInt(id) >> 32n);
    const highs = this.#highs.get(low) ?? new Set();
    if (paused) this.#highs.set(low, highs.add(high));
    else if (highs.delete(high) && highs.size === 0) this.#highs.delete(low);
  }
}

function put(ids: Set<string>, id: string, there: boolean): void {
  if (there) ids.add(id);
  else ids.delete(id);
}
