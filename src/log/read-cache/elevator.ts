// The order in which waiting reads are served: in passes over the log, as an elevator goes from
// floor to floor (SCAN), always on to the next position above the last one.
//
// Where very many wait for records of one stretch, as consumers of thousands of buckets do whose
// messages are interleaved, serving them one by one would bring each a message or two per window.
// So the answers of a crowded pass are held back until the area is full, as far as the stretch is
// dense, and are given then, ANSWERS_MAX in a turn. The next pass begins when half of those who
// were answered wait again, or a moment later. A read far from that stretch has its own pass.

import type { Position } from '../../core/ports/basics.ts';
import type { WaitingRead } from './read-window.ts';

/** Calls back once: after other work had its turn, after some ms, after few ms. */
export interface ReadDelays {
  soon: (call: () => void) => void;
  later: (call: () => void) => void;
  idleDelay: (call: () => void) => void;
}

// A pass is crowded with so many reads; it may fill this share of the area.
const CROWDED = 64;
const PASS_SHARE = 0.75;
// A stretch is dense with so many reads for each MiB of it.
const DENSE_PER_MIB = 8;
// Reads answered in one turn of the event loop.
const ANSWERS_MAX = 64;

export class Elevator {
  readonly #delays: ReadDelays;
  readonly #goOn: () => void;
  readonly #passBytes: number;
  readonly #nearBytes: number;
  #queue: WaitingRead[] = [];
  #position: Position = 0; // where the next read is looked for
  // Reads whose window is being read or whose answers are held back; the stretch that was read for
  // them, and its bytes.
  #begun = 0;
  #bytes = 0;
  #from: Position = Number.POSITIVE_INFINITY;
  #to: Position = 0;
  #heldBack: (() => void)[] = [];
  #answering = false;
  // After a crowded pass the next one begins when so many wait again.
  #gathering = 0;
  #passes = 0;

  /**
   * `goOn`: more may be begun than before. `areaBytes`: room for windows; a read further than
   * `nearBytes` behind the stretch of a pass is none of that pass.
   */
  constructor(delays: ReadDelays, areaBytes: number, nearBytes: number, goOn: () => void) {
    this.#delays = delays;
    this.#passBytes = PASS_SHARE * areaBytes;
    this.#nearBytes = nearBytes;
    this.#goOn = goOn;
  }

  /** Reads that wait to begin. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Whether answers are being given, a few in each turn. */
  get answering(): boolean {
    return this.#answering;
  }

  /** Whether there are answers to give at the end of the pass. */
  get holdsBack(): boolean {
    return this.#heldBack.length > 0;
  }

  /** Whether so many read at once that they are served together. */
  get crowded(): boolean {
    return this.#begun + this.#queue.length >= CROWDED;
  }

  /** Whether a crowded pass is under way. */
  get busy(): boolean {
    return this.#begun > 0 && this.crowded;
  }

  /** Whether a crowded pass has filled its part of the area. */
  get full(): boolean {
    return this.#begun >= CROWDED && this.#bytes >= this.#passBytes;
  }

  /** Whether it is worth it to read on at `end`, where nobody has asked yet. */
  get dense(): boolean {
    if (this.#bytes >= this.#passBytes) return false;
    const mib = Math.max(1, (this.#to - this.#from) / (1024 * 1024));
    return this.#begun >= Math.max(CROWDED, DENSE_PER_MIB * mib);
  }

  /** Where the stretch of this pass ends. */
  get end(): Position {
    return this.#to;
  }

  add(read: WaitingRead): void {
    this.#queue.push(read);
  }

  /** Whether a pass may begin or go on: enough wait again, or enough time has passed. */
  gathered(): boolean {
    if (this.#queue.length < this.#gathering) return false;
    this.#gathering = 0;
    return true;
  }

  /** The next read of the pass; at its end, the first of the next one. One must be waiting. */
  next(): WaitingRead {
    let at = -1;
    let lowest = 0;
    for (let i = 0; i < this.#queue.length; i++) {
      const { position } = this.#queue[i]!;
      if (position < this.#queue[lowest]!.position) lowest = i;
      if (position >= this.#position && (at < 0 || position < this.#queue[at]!.position)) at = i;
    }
    return this.#queue[at < 0 ? lowest : at]!;
  }

  /** Whether a read is ahead of the stretch of this pass, or far behind it. */
  isApart({ position }: WaitingRead): boolean {
    return position < this.#from || position > this.#to + this.#nearBytes;
  }

  /** A read has begun; `joins` tells which others are served by its window. */
  passed(read: WaitingRead, joins: (other: WaitingRead) => boolean): void {
    this.#position = read.position;
    this.#queue = this.#queue.filter((each) => each !== read && !joins(each));
  }

  /** So many reads wait for windows that are being read. */
  begun(reads: number): void {
    this.#begun += reads;
  }

  /** A window from `from` to `to` is being read, of so many bytes. */
  reached(from: Position, to: Position, bytes: number): void {
    this.#bytes += bytes;
    this.#from = Math.min(this.#from, from);
    this.#to = Math.max(this.#to, to);
  }

  /** So many reads were answered, or are about to be. */
  answered(reads: number): void {
    this.#begun -= reads;
    if (this.#begun > 0) return;
    this.#bytes = 0;
    this.#from = Number.POSITIVE_INFINITY;
    this.#to = 0;
  }

  /** Keeps an answer for the end of the pass. */
  holdBack(answer: () => void): void {
    this.#heldBack.push(answer);
  }

  /** Ends the pass: gives the answers that were held back, a few in each turn, and goes on. */
  answerAll(): void {
    this.#answering = true;
    const answers = this.#heldBack;
    this.#heldBack = [];
    this.answered(answers.length);
    const give = (from: number) => {
      for (const answer of answers.slice(from, from + ANSWERS_MAX)) answer();
      if (from + ANSWERS_MAX < answers.length) {
        this.#delays.soon(() => give(from + ANSWERS_MAX));
        return;
      }
      this.#answering = false;
      this.#gather(answers.length);
      this.#goOn();
    };
    give(0);
  }

  // Most of those who were answered find their next records in memory still. Reading on for the
  // first few that do not would push those records out before the others have come for them.
  #gather(answered: number): void {
    const pass = ++this.#passes;
    this.#gathering = Math.max(this.#gathering, Math.floor(answered / 2));
    this.#delays.later(() => {
      if (pass !== this.#passes) return;
      this.#gathering = 0;
      this.#goOn();
    });
  }

  /** Takes out the waiting reads of these positions. */
  withdraw(within: (position: Position) => boolean): WaitingRead[] {
    const withdrawn = this.#queue.filter(({ position }) => within(position));
    if (withdrawn.length > 0) this.#queue = this.#queue.filter(({ position }) => !within(position));
    return withdrawn;
  }
}
