// Work that is done one piece after the other: the next one begins when the one before says so.

export class InTurn {
  readonly #waiting: ((next: () => void) => void)[] = [];
  readonly #rested: () => void;
  #working = false;

  /** `rested` is called whenever nothing is left to do. */
  constructor(rested: () => void) {
    this.#rested = rested;
  }

  get working(): boolean {
    return this.#working;
  }

  /** Calls `work` when it is its turn, maybe at once; it ends with a call of `next`. */
  add(work: (next: () => void) => void): void {
    this.#waiting.push(work);
    if (!this.#working) this.#next();
  }

  #next(): void {
    const work = this.#waiting.shift();
    this.#working = work !== undefined;
    if (work === undefined) this.#rested();
    else work(() => this.#next());
  }
}
