// Connections whose time is up, so many of which are closed at a time: what a network that fails
// does to thousands of them must not keep all others waiting in one long turn. Those that are
// overdue for longest go first; a peer that turns out to be there before its turn stays.

interface Closing {
  sinceMs: number;
  close: () => void;
}

/** Closed in each ms that passes: 10,000 within five seconds. */
const PER_MS = 2;

export class Overdue {
  // In the order in which they are closed; and those that came since the last tick.
  readonly #line = new Map<object, Closing>();
  #added: [session: object, closing: Closing][] = [];
  readonly #stir: () => void;

  /** `stir` sees to it that `advance` is called again and again from now on. */
  constructor(stir: () => void = () => {}) {
    this.#stir = stir;
  }

  /** Connections that wait to be closed. */
  get size(): number {
    return this.#line.size;
  }

  /**
   * A connection is overdue since `sinceMs`. `close` is called once, in this tick or a later one,
   * and closes it if that is still so.
   */
  add(session: object, sinceMs: number, close: () => void): void {
    if (this.#line.has(session)) return;
    const closing = { sinceMs, close };
    this.#line.set(session, closing);
    this.#added.push([session, closing]);
    this.#stir();
  }

  /** The connection is gone. */
  forget(session: object): void {
    this.#line.delete(session);
  }

  /** So many ms have passed. */
  advance(ms: number): void {
    if (this.#line.size === 0) return;
    this.#sort();
    let left = Math.max(1, Math.floor(ms * PER_MS));
    for (const [session, { close }] of this.#line) {
      if (left-- === 0) return;
      this.#line.delete(session);
      close();
    }
  }

  // What came in earlier ticks is overdue for longer.
  #sort(): void {
    const added = this.#added;
    this.#added = [];
    added.sort(([, a], [, b]) => a.sinceMs - b.sinceMs);
    for (const [session, closing] of added) {
      if (this.#line.get(session) !== closing) continue;
      this.#line.delete(session);
      this.#line.set(session, closing);
    }
  }
}
