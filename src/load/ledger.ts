// What became of every stamped message of a run: stored, delivered, how often, in which order.
// Knows no sockets; one byte of memory for each message.

export interface Verdict {
  ok: boolean;
  /** Acked with 1 to the producer and never delivered. */
  lost: number;
  /** Deliveries beyond the first of a message. Allowed by the contract after a failure only. */
  duplicates: number;
  /** Deliveries behind a later message of the same producer and bucket on one connection. */
  disordered: number;
  /** Messages whose bytes had changed. */
  damaged: number;
  /** Delivered although the producer was told that they were not stored. */
  unexpected: number;
  /** Messages that another run or program published; no fault. */
  foreign: number;
}

/** Sequences that a run can have; a larger one is a changed byte. */
const SEQUENCES_MAX = 2 ** 30;

const STORED = 1;
const DELIVERED = 2;

export class Ledger {
  readonly #marks: Uint8Array[];
  #lost = 0; // stored, and not delivered yet
  #duplicates = 0;
  #disordered = 0;
  damaged = 0;
  foreign = 0;

  constructor(producers: number) {
    this.#marks = Array.from({ length: producers }, () => new Uint8Array(1024));
  }

  /** Messages that are stored and still to be delivered. */
  get waiting(): number {
    return this.#lost;
  }

  /** The producer was told that this message is stored. */
  stored(producer: number, sequence: number): void {
    if ((this.#mark(producer, sequence, STORED) & DELIVERED) === 0) this.#lost += 1;
  }

  /** A consumer got this message. `last`: sequence it saw before from this producer, or -1. */
  delivered(producer: number, sequence: number, last: number): void {
    if (sequence >= SEQUENCES_MAX) {
      this.damaged += 1;
      return;
    }
    const before = this.#mark(producer, sequence, DELIVERED);
    if ((before & DELIVERED) !== 0) this.#duplicates += 1;
    else {
      if ((before & STORED) !== 0) this.#lost -= 1;
      if (sequence < last) this.#disordered += 1;
    }
  }

  verdict(): Verdict {
    let unexpected = 0;
    for (const marks of this.#marks)
      for (const mark of marks) if (mark === DELIVERED) unexpected += 1;
    const faults = {
      lost: this.#lost,
      duplicates: this.#duplicates,
      disordered: this.#disordered,
      damaged: this.damaged,
      unexpected,
    };
    const ok = Object.values(faults).every((count) => count === 0);
    return { ok, ...faults, foreign: this.foreign };
  }

  /** Sets a mark; returns the marks from before. */
  #mark(producer: number, sequence: number, mark: number): number {
    let marks = this.#marks[producer];
    if (sequence >= marks.length) {
      marks = new Uint8Array(2 ** Math.ceil(Math.log2(sequence + 1)));
      marks.set(this.#marks[producer]);
      this.#marks[producer] = marks;
    }
    const before = marks[sequence];
    marks[sequence] = before | mark;
    return before;
  }
}
