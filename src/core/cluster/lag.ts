// How far a node is behind in time. How far the stream goes is looked at now and then; a node is as
// late as the oldest of these looks that it has not come up to. Under load it is always a few
// messages behind what was stored just now, and that is no lag.

interface Look {
  /** Number of the last message of the stream. */
  readonly last: number;
  readonly ms: number;
}

/** Older looks than that are thinned out: whoever is so far behind needs no exact figure. */
const LOOKS_MAX = 1000;

export class Lag {
  readonly #looks: Look[] = [];

  /** The stream went as far as `last` at `nowMs`. */
  saw(last: number, nowMs: number): void {
    if (last <= (this.#looks.at(-1)?.last ?? 0)) return;
    this.#looks.push({ last, ms: nowMs });
    if (this.#looks.length > LOOKS_MAX) this.#looks.splice(1, 1);
  }

  /** Of who has come to message `sequence`, in ms; 0: it has all that was seen. */
  ms(sequence: number, nowMs: number): number {
    while ((this.#looks[0]?.last ?? Infinity) <= sequence) this.#looks.shift();
    const [oldest] = this.#looks;
    return oldest === undefined ? 0 : nowMs - oldest.ms;
  }
}
