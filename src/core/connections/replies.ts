// The answers that a producer is owed: its wire batches in the order in which they came. One leaves
// when it and all before it are complete, and in one piece. Batches without a refusal are answered
// with ones alone, and those that are released together share a piece.
//
//   begin ──refuse──► owe ──done, so often as it is awaited──► released ──► sent
//
// The only place that knows the bytes by which dialect 1 answers.

import { ACK_REFUSED, ACK_STORED, BATCH_MESSAGES_MAX } from '../../../assembly/layout.ts';
import type { Replyable } from '../commit/batch.ts';

const ONES = new Uint8Array(BATCH_MESSAGES_MAX).fill(ACK_STORED);
// Statuses of a batch with refusals, when the first is noted.
const STATUSES_MIN = 64;
// Places in the queue: at first, and what is kept of it when nothing is owed.
const PLACES_MIN = 8;
const PLACES_KEPT = 256;
// Tokens go round: they are to stay small numbers. A multiple of every size of the queue.
const TOKENS = 2 ** 30;

// The queue of who is owed nothing, which is most who are connected: nobody writes to these.
const NO_NUMBERS: number[] = [];
const NO_ANSWERS: (Uint8Array | undefined)[] = [];

/** Where the bytes go. */
export interface ReplyOutput {
  send(bytes: Uint8Array): void;
}

/** The connection whose replies they are. */
export interface ReplyOwner {
  /** Something was released: `flush` is to be called when the current input is done. */
  replyLater(): void;
}

export class Replies implements Replyable {
  readonly #output: ReplyOutput;
  readonly #owner: ReplyOwner;
  #count = 0; // messages of the batch that is coming in
  #statuses: Uint8Array | undefined; // its answer, once that is not only ones
  // The queue: a ring, a token modulo its size is a place in it.
  #places = 0;
  #counts = NO_NUMBERS;
  #pendings = NO_NUMBERS;
  #answers = NO_ANSWERS;
  #head = 0; // token of the oldest batch
  #tail = 0; // token of the next one
  #ones = 0; // stored messages whose answers are released but not sent yet
  #isDue = false;

  constructor(output: ReplyOutput, owner: ReplyOwner) {
    this.#output = output;
    this.#owner = owner;
  }

  /** Wire batches that are complete and not answered yet. */
  get owed(): number {
    return (this.#tail - this.#head) & (TOKENS - 1);
  }

  /** A wire batch of so many messages begins. */
  begin(count: number): void {
    this.#count = count;
  }

  /** So many of its messages are refused, from the one at `at` on. */
  refuse(at: number, messages: number): void {
    // Grows with what was seen, not with what was announced.
    if (this.#statuses === undefined || this.#statuses.length < at + messages)
      this.#grow(Math.max(STATUSES_MIN, 2 * (at + messages)));
    this.#statuses!.fill(ACK_REFUSED, at, at + messages);
  }

  #grow(size: number): void {
    const grown = ONES.slice(0, Math.min(size, this.#count));
    if (this.#statuses !== undefined) grown.set(this.#statuses);
    this.#statuses = grown;
  }

  /** The wire batch is complete: it is owed an answer once `done` was called `pending` times. */
  owe(pending = 1): number {
    if (this.#statuses !== undefined) this.#grow(this.#count);
    if (this.owed === this.#places) this.#makePlaces();
    const token = this.#tail;
    const place = token & (this.#places - 1);
    this.#counts[place] = this.#count;
    this.#pendings[place] = pending;
    this.#answers[place] = this.#statuses;
    this.#statuses = undefined;
    this.#tail = (token + 1) & (TOKENS - 1);
    return token;
  }

  // The places of tokens in the ring change with its size.
  #makePlaces(): void {
    const places = Math.max(PLACES_MIN, 2 * this.#places);
    const counts = new Array<number>(places).fill(0);
    const pendings = new Array<number>(places).fill(0);
    const answers = new Array<Uint8Array | undefined>(places).fill(undefined);
    for (let i = 0; i < this.#places; i++) {
      const from = (this.#head + i) & (this.#places - 1);
      const to = (this.#head + i) & (places - 1);
      counts[to] = this.#counts[from]!;
      pendings[to] = this.#pendings[from]!;
      answers[to] = this.#answers[from];
    }
    this.#places = places;
    this.#counts = counts;
    this.#pendings = pendings;
    this.#answers = answers;
  }

  /** A part of what the batch waits for is there. */
  done(token: number): void {
    this.#pendings[token & (this.#places - 1)]!--;
    while (this.#head !== this.#tail) {
      const place = this.#head & (this.#places - 1);
      if (this.#pendings[place]! > 0) break;
      this.#release(place);
      this.#head = (this.#head + 1) & (TOKENS - 1);
    }
    if (this.#head === this.#tail && this.#places > PLACES_KEPT) this.#dropPlaces();
  }

  // Ones gather, but the answer of one batch is never split over two pieces.
  #release(place: number): void {
    const count = this.#counts[place]!;
    const answer = this.#answers[place];
    if (answer !== undefined || this.#ones + count > ONES.length) this.#sendOnes();
    if (answer !== undefined) {
      this.#answers[place] = undefined;
      this.#output.send(answer);
    } else this.#ones += count;
    if (this.#isDue) return;
    this.#isDue = true;
    this.#owner.replyLater();
  }

  #dropPlaces(): void {
    this.#places = 0;
    this.#counts = NO_NUMBERS;
    this.#pendings = NO_NUMBERS;
    this.#answers = NO_ANSWERS;
  }

  /** Sends what was released. */
  flush(): void {
    this.#isDue = false;
    this.#sendOnes();
  }

  #sendOnes(): void {
    if (this.#ones > 0) this.#output.send(ONES.subarray(0, this.#ones));
    this.#ones = 0;
  }
}
