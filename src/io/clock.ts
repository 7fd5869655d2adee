// The wall clock, which people and other programs may set while the broker runs. So points in time
// are remembered as monotonic ms, and ages are differences of those; what is shown as a date is
// what the wall clock says of it now. After it was set, dates of before are shown as if it had
// always been right, and what is between two of them does not change.

// What differs less is the same time: dates shall not flicker when the clock is only adjusted.
const JUMP_MS = 1000;

export class Clock {
  readonly #wall: () => number;
  readonly #monotonic: () => number;
  #offsetMs: number;

  /** `wall`: ms since 1970; `monotonic`: ms, with a fraction. */
  constructor(wall: () => number = Date.now, monotonic: () => number = () => performance.now()) {
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#offsetMs = wall() - monotonic();
  }

  /** Monotonic ms, with a fraction. */
  get nowMs(): number {
    return this.#monotonic();
  }

  /** Ms since 1970 of a point in monotonic ms, or of now; whole. */
  wallMs(atMs = this.#monotonic()): number {
    const offsetMs = this.#wall() - this.#monotonic();
    if (Math.abs(offsetMs - this.#offsetMs) >= JUMP_MS) this.#offsetMs = offsetMs;
    return Math.floor(this.#offsetMs + atMs);
  }

  /** The same as ISO 8601, UTC. */
  date(atMs?: number): string {
    return new Date(this.wallMs(atMs)).toISOString();
  }
}
