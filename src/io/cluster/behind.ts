// Whether the server that answers this node is behind for good: time and again it says that a
// message is not there, while the leader of the stream says that it is.

/** So long it may be behind, in ms. */
const PATIENCE_MS = 2000;

export class Behind {
  #first = 0;
  #last = 0;
  // The message that was missed last, and since when.
  #missed = 0;
  #sinceMs = 0;

  /** What the leader says: the first and the last number that are there. */
  told(first: number, last: number): void {
    this.#first = first;
    this.#last = last;
  }

  /** A message is not there, the server says. Gives whether another one should be asked. */
  missing(sequence: number, nowMs: number): boolean {
    if (sequence < this.#first || sequence > this.#last) return false;
    if (sequence !== this.#missed) {
      this.#missed = sequence;
      this.#sinceMs = nowMs;
    }
    if (nowMs - this.#sinceMs < PATIENCE_MS) return false;
    this.#missed = 0;
    return true;
  }
}
