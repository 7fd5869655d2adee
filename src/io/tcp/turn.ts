// How much all sockets together may read before others have their turn of the event loop.

// What all sockets together may read in one turn of the event loop. A commit's write and sync end
// as events too: behind megabytes that one busy producer has sent, the disk would stand idle.
const TURN_BYTES = 128 * 1024;
/** Reads from a socket, and can be told to wait. */
export interface Reader {
  /** Reads nothing more until `takeTurn`. */
  waitTurn(): void;
  takeTurn(): void;
}

/** Shares out the event loop: who reads past the turn's bytes goes on in the next one. */
class Turn {
  #left = TURN_BYTES;
  #begun = false;
  #waiting: Reader[] = [];

  /** Counts what a reader has read; it waits if the turn is used up. */
  spend(reader: Reader, bytes: number): void {
    this.#left -= bytes;
    if (!this.#begun) {
      this.#begun = true;
      setImmediate(() => this.#next());
    }
    if (this.#left > 0) return;
    reader.waitTurn();
    this.#waiting.push(reader);
  }

  #next(): void {
    this.#begun = false;
    this.#left = TURN_BYTES;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const reader of waiting) reader.takeTurn();
  }
}

/** Of this process: it has one event loop. */
export const turn = new Turn();
