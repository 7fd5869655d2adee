// What one answer is not believed for: servers that are out of date answer, too, and one that led
// the stream and is cut off answers as if it did for up to 20 s.

/** So many answers in a row have to say it, over so long, in ms. */
const TIMES = 3;
const OVER_MS = 30_000;

export class Repeated {
  #times = 0;
  #sinceMs = 0;

  /** Whether the last answer said it. */
  get isSaid(): boolean {
    return this.#times > 0;
  }

  /** It is said; gives whether it is to be believed. */
  said(nowMs: number): boolean {
    if (this.#times++ === 0) this.#sinceMs = nowMs;
    return this.#times >= TIMES && nowMs - this.#sinceMs >= OVER_MS;
  }

  /** Something else is. */
  unsaid(): void {
    this.#times = 0;
  }
}
