// Which buckets are paused, by id: nothing is delivered from them, publishes go on. Kept in a small
// file beside the log and not in the log itself: the log gives back its oldest end, so a record
// there would have to be written again and again, while this is a setting that an operator makes a
// few times, and losing the file loses no message.

/** Paused buckets at most: the whole list is written with each change. */
export const PAUSED_MAX = 10_000;
const VERSION = 1;

/** Where the list is kept; `save` replaces it in one step, and `done` comes when it is on disk. */
export interface Settings {
  save(text: string, done: (failure: Error | undefined) => void): void;
}

export class Paused {
  readonly #ids = new Set<string>();

  get count(): number {
    return this.#ids.size;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.add(id);
  }

  remove(id: string): void {
    this.#ids.delete(id);
  }

  /** The text of the file. */
  text(): string {
    return `${JSON.stringify({ version: VERSION, paused: [...this.#ids] })}\n`;
  }

  /**
   * Takes over what the file says.
   * @throws SyntaxError when it is not such a file.
   */
  restore(text: string): void {
    const table = JSON.parse(text) as { version?: unknown; paused?: unknown };
    const { version, paused } = table ?? {};
    if (version !== VERSION || !Array.isArray(paused) || !paused.every(isId))
      throw new SyntaxError(`it is not a list of paused buckets of version ${VERSION}`);
    for (const id of paused) this.#ids.add(id);
  }
}

/** Whether a text is a bucket's id as decimal digits, without leading zeros. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && /^(0|[1-9]\d{0,19})$/.test(text) && BigInt(text) < 1n << 64n;
}
