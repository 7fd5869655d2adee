// Settles every message that waits in a bucket, durably and in slices: takes the line as a consumer
// would, and acks at once. Messages that consumers hold stay theirs; one that comes back while the
// purge runs, and is older than its beginning, goes with the others.
//
//   line ──take, settle──► marks in the open batch ──durable──► counted as purged

import type { PurgeState } from '../../contract/commands.ts';
import type { Broker } from '../broker.ts';

/** Parts taken in one turn. */
const PARTS_MAX = 2048;
/** Marks that may wait to be written; beyond them the purge waits for the disk. */
const MARKS_MAX = 65_536;

export interface PurgeOptions {
  broker: Broker;
  slot: number;
  startedAt: string;
  soon: (call: () => void) => void;
  done: (purge: Purge) => void;
}

export class Purge {
  readonly state: PurgeState;
  readonly slot: number;
  readonly #options: PurgeOptions;
  // Messages from here on came after the purge began.
  readonly #end: number;
  // What was taken, until the mark count from which on it is durable.
  readonly #unsaved: { mark: number; messages: number }[] = [];
  readonly #taker = () => this.#soon();
  #taken = false;
  #asked = false;

  constructor(options: PurgeOptions) {
    const { broker, slot } = options;
    this.#options = options;
    this.slot = slot;
    this.#end = broker.nextSequence;
    const bucket = broker.buckets.idOf(slot);
    this.state = { bucket, startedAt: options.startedAt, purged: 0, done: false };
    broker.dispatcher.occupy(slot, this.#taker);
    this.#soon();
  }

  /** A batch is durable with all marks before `settledMarks`. */
  durable(settledMarks: number): void {
    while (this.#unsaved.length > 0 && this.#unsaved[0]!.mark <= settledMarks)
      this.state.purged += this.#unsaved.shift()!.messages;
    if (!this.#taken) this.#soon();
    else if (this.#unsaved.length === 0) this.#finish();
  }

  #soon(): void {
    if (this.#asked || this.#taken) return;
    this.#asked = true;
    this.#options.soon(() => {
      this.#asked = false;
      this.#step();
    });
  }

  #step(): void {
    const { broker } = this.#options;
    const { buckets, commit, settlement } = broker;
    broker.stir();
    // Comes again with the next batch that is durable.
    if (this.#taken || broker.closing || commit.waitingMarks >= MARKS_MAX) return;
    let messages = 0;
    for (let parts = 0; parts < PARTS_MAX; parts++) {
      const part = buckets.peek(this.slot);
      if (part === undefined || part.sequence >= this.#end) break;
      const count = Math.min(part.count, this.#end - part.sequence);
      settlement.purge(part, count);
      messages += count;
    }
    if (messages > 0) this.#unsaved.push({ mark: commit.settledMarks, messages });
    if (!this.#isPast()) return;
    this.#leave();
    if (this.#unsaved.length === 0) this.#finish();
  }

  // Whether nothing older than the purge's beginning is left in the line; if not, it goes on later.
  #isPast(): boolean {
    const { broker } = this.#options;
    const { buckets } = broker;
    if (buckets.peek(this.slot) === undefined) {
      broker.dispatcher.lookup(this.slot);
      // The broker comes back through its taker when something was found, or nothing is left.
      if (buckets.subscription(this.slot)?.loading) return false;
    }
    const next = buckets.peek(this.slot);
    const past =
      next === undefined ? !buckets.headOf(this.slot).isOlder : next.sequence >= this.#end;
    if (!past) this.#soon();
    return past;
  }

  // Gives the line back to the bucket's consumers.
  #leave(): void {
    const { broker } = this.#options;
    this.#taken = true;
    broker.dispatcher.release(this.slot, this.#taker);
  }

  #finish(): void {
    if (this.state.done) return;
    this.state.done = true;
    this.#options.done(this);
  }
}
