// The net under due times, once after each start: whether all messages that wait have an entry that
// says until when. One without would wait for ever, as if it were gone; it becomes ready instead,
// early, and the operator is told. It takes a defect of this program, or a hand in the files, to
// get there. Reads all due times beside the traffic, a piece each tick, and holds a bit a message.

import type { Outcomes } from '../collections/outcomes.ts';
import { SequenceSet } from '../collections/sequence-set.ts';
import type { Failure, Position } from '../ports/basics.ts';
import {
  DUE_READY,
  type DueEntries,
  type DueEntry,
  type DuePlace,
  type DueStore,
  emptyDueEntry,
} from '../records/due.ts';

export interface DueAuditOptions {
  store: DueStore;
  outcomes: Pick<Outcomes, 'settled' | 'waiting' | 'turns'>;
  /** Segments of the log, oldest first, and the sequence that each begins with. */
  segments: () => readonly { base: Position; first: number }[];
  /** Hands on the records of buckets' own lines of a segment; `done` may come at once. */
  visit: (
    base: Position,
    record: (low: number, high: number, sequence: number, count: number) => void,
    done: (failure: Failure) => void,
  ) => void;
  /** Neighbours that wait, unsettled, become ready. */
  ready: (low: number, high: number, sequence: number, count: number) => void;
  /** It has ended: so many messages had waited without an end. */
  ended: (freed: number) => void;
  /** Something was read: `advance` has work. */
  stir: () => void;
}

/** Entries looked at in one go. */
export const AUDIT_MAX = 4096;
// Times that a segment is begun again because it cannot be read to its end.
const TRIES_MAX = 3;
const END = Number.MAX_SAFE_INTEGER;

interface Reading {
  base: number;
  place: DuePlace;
  end: DuePlace;
}

export class DueAudit {
  readonly #options: DueAuditOptions;
  readonly #suspects = new SequenceSet();
  readonly #entry = emptyDueEntry();
  #left: number[];
  #reading: Reading | undefined;
  #tries = 0;
  #isBlocked = false;
  #isOver = false;
  #freed = 0;

  /** Of the messages that wait now, before sequence `end`; `bases`: segments to be read. */
  constructor(options: DueAuditOptions, bases: readonly number[], end: number) {
    this.#options = options;
    this.#left = [...bases];
    for (const [first, count] of options.outcomes.waiting.runs(0, end))
      this.#suspects.add(first, count);
  }

  /** Whether `advance` has something to do. */
  get isBusy(): boolean {
    return !this.#isOver && !this.#isBlocked;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Takes entries of a segment whose due times are in memory. */
  seeAll(entries: DueEntries): void {
    for (let i = 0; i < entries.count; i++) {
      entries.read(i, this.#entry);
      this.see(this.#entry);
    }
  }

  /** An entry says until when messages wait, if it is of their turn. */
  see({ what, sequence, count, turn }: DueEntry): void {
    if (what !== DUE_READY || this.#suspects.within(sequence, count) === 0) return;
    const { turns } = this.#options.outcomes;
    for (let at = sequence; at < sequence + count; at++)
      if (turns.get(at) === turn) this.#suspects.remove(at, 1);
  }

  /** The segments from `base` to before `end` are one now. */
  merged(base: number, end: number): void {
    const isOf = (each: number) => each >= base && each < end;
    const current = this.#reading !== undefined && isOf(this.#reading.base);
    if (!current && !this.#left.some(isOf)) return;
    this.#left = this.#left.filter((each) => !isOf(each));
    this.#left.push(base);
    if (current) this.#turnTo(undefined);
  }

  /** Nothing before `base` is in the log any more. */
  trimmed(base: number): void {
    this.#left = this.#left.filter((each) => each >= base);
    if (this.#reading !== undefined && this.#reading.base < base) this.#turnTo(undefined);
  }

  #turnTo(reading: Reading | undefined): void {
    this.#reading = reading;
    this.#isBlocked = false;
  }

  /** Goes on with a piece of it. */
  advance(): void {
    for (let looked = 0; this.isBusy && looked < AUDIT_MAX; looked++) this.#step();
  }

  #step(): void {
    const reading = this.#reading;
    if (reading === undefined) {
      const base = this.#left.shift();
      this.#tries = 0;
      if (base === undefined) this.#judge();
      else this.#seek(base);
    } else if (reading.place === reading.end) this.#turnTo(undefined);
    else if (this.#options.store.read(reading.base, reading.place, this.#entry)) {
      this.see(this.#entry);
      reading.place++;
    } else this.#load(reading);
  }

  #seek(base: number): void {
    const reading = { base, place: 0, end: 0 };
    this.#reading = reading;
    this.#isBlocked = true;
    this.#options.store.seek(base, 0, 0, (failure, place, end) => {
      if (this.#reading !== reading) return;
      // What cannot be read says nothing of messages that seem to have no entry.
      if (failure !== undefined) return this.#end();
      this.#turnTo({ base, place, end });
      this.#options.stir();
    });
  }

  #load(reading: Reading): void {
    const { base, place } = reading;
    this.#isBlocked = true;
    this.#options.store.load(base, place, (failure) => {
      if (this.#reading !== reading) return;
      this.#isBlocked = false;
      // It is in another file by now, or in one that is made anew.
      if (failure !== undefined && ++this.#tries > TRIES_MAX) this.#end();
      else if (failure !== undefined) this.#seek(base);
      this.#options.stir();
    });
  }

  // All was read: who is left has no entry, unless it is settled or ready by now.
  #judge(): void {
    const { outcomes, segments } = this.#options;
    const { waiting, settled } = outcomes;
    for (const [first, count] of [...this.#suspects.runs(0, END)])
      for (let at = first; at < first + count; at++)
        if (!waiting.has(at) || settled.has(at)) this.#suspects.remove(at, 1);
    this.#isBlocked = true;
    const all = segments();
    const holds = (from: number, to = END) => this.#suspects.runs(from, to).next().done !== true;
    const concerned = all.filter(({ first }, i) => holds(first, all[i + 1]?.first));
    this.#free(concerned.map(({ base }) => base));
  }

  // Their records say which buckets they are of. Those that have none are not in the log any more:
  // compaction knew that they were settled, and that was lost. And where records cannot be read, a
  // bucket comes to them when it is opened again.
  #free(bases: number[]): void {
    const base = bases.shift();
    const { outcomes, visit, stir } = this.#options;
    if (base === undefined) {
      for (const [first, count] of [...this.#suspects.runs(0, END)])
        outcomes.waiting.remove(first, count);
      this.#end();
      return;
    }
    const record = (low: number, high: number, sequence: number, count: number) =>
      this.#freeOf(low, high, sequence, count);
    visit(base, record, () => {
      stir();
      this.#free(bases);
    });
  }

  #freeOf(low: number, high: number, sequence: number, count: number): void {
    const { outcomes, ready } = this.#options;
    const { waiting, settled } = outcomes;
    for (const [first, found] of [...this.#suspects.runs(sequence, sequence + count)]) {
      for (let at = first; at < first + found; at++) {
        if (!waiting.has(at) || settled.has(at)) continue;
        ready(low, high, at, 1);
        this.#freed++;
      }
      this.#suspects.remove(first, found);
    }
  }

  #end(): void {
    this.#isOver = true;
    this.#left = [];
    this.#reading = undefined;
    this.#options.ended(this.#freed);
  }
}
