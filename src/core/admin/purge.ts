// Settles every message that waits in a bucket's line, own or dead, durably and in slices: takes the
// line as a consumer would, and acks at once. Those that wait for a time are made ready first.
// Messages that consumers hold stay theirs; one that comes back while the purge runs, and is older
// than its beginning, goes with the others, also if it was on its way to wait for a time.
//
//   line ──take, settle──► marks in the open batch ──durable──► counted as purged

import type { PurgeState } from '../../contract/commands.ts';
import type { Broker } from '../broker.ts';
import type { SegmentIndex } from '../ports/segment-index.ts';
import { makeReady } from './make-ready.ts';
import { isPast } from './taking.ts';

/** Parts taken in one turn. */
const PARTS_MAX = 2048;
/** Marks that may wait to be written; beyond them the purge waits for the disk. */
const MARKS_MAX = 65_536;

// Batches from one that is open to the one in which what was on its way is surely durable.
const BATCHES_BETWEEN = 2;

export interface PurgeOptions {
  broker: Broker;
  index: Pick<SegmentIndex, 'find'>;
  slot: number;
  /** Whose line that is. */
  named: Pick<PurgeState, 'bucket' | 'line'>;
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
  // Whether what waits for a time is being made ready; and after how many durable batches it is
  // again, because something was on its way to wait.
  #making = false;
  #againIn = 0;
  #taken = false;
  #asked = false;

  constructor(options: PurgeOptions) {
    const { broker, slot, named, startedAt } = options;
    this.#options = options;
    this.slot = slot;
    this.#end = broker.nextSequence;
    this.state = { ...named, startedAt, purged: 0, done: false };
    broker.dispatcher.occupy(slot, this.#taker);
    // What is packed now is durable with the batch behind the open one at the latest.
    if (broker.buckets.delayed.pending > 0) this.#againIn = BATCHES_BETWEEN;
    this.#makeReady();
    this.#soon();
  }

  #makeReady(): void {
    const { broker, index, slot, soon } = this.#options;
    this.#making = true;
    const done = () => {
      this.#making = false;
      this.#soon();
    };
    makeReady({ broker, index, slot, end: this.#end, soon, done });
  }

  /** A batch is durable with all marks before `settledMarks`. */
  durable(settledMarks: number): void {
    while (this.#unsaved.length > 0 && this.#unsaved[0]!.mark <= settledMarks)
      this.state.purged += this.#unsaved.shift()!.messages;
    const { delayed } = this.#options.broker.buckets;
    if (this.#againIn > 0 && (--this.#againIn === 0 || delayed.pending === 0)) {
      this.#againIn = 0;
      this.#makeReady();
    }
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
    const past = isPast(this.#options.broker, this.slot, this.#end);
    if (past === false) this.#soon();
    return past === true && !this.#making && this.#againIn === 0;
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
