// Delivers only to consumers that are still there. Whoever gave a connection up while it waited in
// the system's queue, or while the broker stood still, has seen nothing of what is sent to it then,
// and a delivery that nobody saw must not count as a failed one. The end of such a connection is
// here already and only has to be read: so a newcomer, and after a standstill everybody, is served
// when all that had arrived by then was read.
//
//   header ──► arriving ──turn: all that is here is read──► arrived ──turn──► served

/** A consumer whose header is complete. */
export interface Newcomer {
  /** It is there: it may be served. */
  begin(): void;
}

export interface PresenceOptions {
  /** Asks for a `turn`. */
  soon: () => void;
  /** Serves who waits for a bucket. */
  dispatch: (slot: number) => void;
  /** Whether the process has stood still just now. */
  isLate: () => boolean;
}

// A turn of the event loop reads what was here before it began; the first one has begun already.
const TURNS = 2;
// Who stands still again in every turn, for want of a processor, delivers all the same: seldom.
const TURNS_MAX = 8;

export class Presence {
  readonly #options: PresenceOptions;
  #arriving: Newcomer[] = [];
  #arrived: Newcomer[] = [];
  #turns = 0; // after a standstill, until deliveries go on
  #waited = 0; // turns since they went on
  readonly #held = new Set<number>();

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** A consumer has said what it wants. */
  arrives(newcomer: Newcomer): void {
    this.#arriving.push(newcomer);
    this.#options.soon();
  }

  /** Finds out about a standstill: after it disk and clock may be heard before peers are. */
  check(): void {
    if (this.#options.isLate()) this.stoodStill();
  }

  /** The process stood still for longer than the patience of peers lasts. */
  stoodStill(): void {
    this.#turns = TURNS;
    this.#options.soon();
  }

  /** Whether nothing is delivered from the bucket for now; then it is dispatched later. */
  holds(slot: number): boolean {
    if (this.#turns === 0) return false;
    this.#held.add(slot);
    return true;
  }

  /** What was here when it was asked for has been read. */
  turn(): void {
    if (this.#turns > 0) this.#turns = ++this.#waited < TURNS_MAX ? this.#turns - 1 : 0;
    if (this.#turns === 0) this.#waited = 0;
    if (this.#turns === 0 && this.#held.size > 0) {
      const slots = [...this.#held];
      this.#held.clear();
      for (const slot of slots) this.#options.dispatch(slot);
    }
    const there = this.#arrived;
    this.#arrived = this.#arriving;
    this.#arriving = [];
    for (const newcomer of there) newcomer.begin();
    if (this.#turns > 0 || this.#arrived.length > 0) this.#options.soon();
  }
}
