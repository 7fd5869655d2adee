// What waits for a time: one entry says that the messages of one record, or of one mark about some,
// are ready, or expire, at a time. Here are its shape, the typed columns in which the entries of
// the newest segments stand in memory, and the port to those of the others, which are on disk.

import type { EntrySource, Failure, Position } from '../ports/basics.ts';

/** At its time, messages become ready. */
export const DUE_READY = 1;
/** At its time, messages expire. */
export const DUE_EXPIRES = 2;

export interface DueEntry {
  /** Not before this time, in ms since 1970; below 2^48. */
  when: number;
  /** The bucket's id. */
  low: number;
  high: number;
  /** Of the first message; below 2^48. */
  sequence: number;
  /** Where the record may stand: a hint, 0 if it is not known; below 2^48. */
  position: number;
  /** How often the messages had been deferred with it; an entry of another turn is stale. */
  turn: number;
  /** Messages, neighbours of each other. */
  count: number;
  /** Bytes of the record's body. */
  bodyBytes: number;
  /** Of the line that they stand in; below 256. */
  kind: number;
  /** DUE_READY or DUE_EXPIRES. */
  what: number;
}

export function emptyDueEntry(): DueEntry {
  return {
    when: 0,
    low: 0,
    high: 0,
    sequence: 0,
    position: 0,
    turn: 0,
    count: 0,
    bodyBytes: 0,
    kind: 0,
    what: 0,
  };
}

/** Entries of one segment in the order of the log; `i` counts from 0. */
export interface DueSource {
  readonly count: number;
  when(i: number): number;
  sequence(i: number): number;
  /** Copies an entry out. */
  read(i: number, into: DueEntry): void;
}

/** The records of a segment, for its index; and what it says of times, where that goes with it. */
export interface SegmentEntries extends EntrySource {
  readonly due?: DueSource | undefined;
}

/** A number of an entry in a file; good for the file that gave it, and never for another one. */
export type DuePlace = number;

/**
 * Entries of complete segments, which are on disk, by WHEN and then SEQUENCE. No completion comes
 * before its call returned. After a failure the same may be asked for again, later.
 */
export interface DueStore {
  /**
   * Finds the first entry of a segment that is not before this time and sequence: `place`; `end`
   * is behind the last one. An entry that a `place` and those behind it name may be in memory then.
   */
  seek(
    base: number,
    when: number,
    sequence: number,
    done: (failure: Error | undefined, place: DuePlace, end: DuePlace) => void,
  ): void;
  /** Copies the entry at a place; false if it is not in memory. */
  read(base: number, place: DuePlace, into: DueEntry): boolean;
  /**
   * Brings an entry into memory, where it stays for now. Fails, too, if the place is of a file that
   * was replaced meanwhile: `seek` finds it in the new one.
   */
  load(base: number, place: DuePlace, done: (failure: Error | undefined) => void): void;
}

export interface DueLog extends DueStore {
  /**
   * Whether the complete segment based there has due times on disk, maybe none at all, or they can
   * be made from it: it may hold records that say a time. Of another one nothing is ever asked.
   */
  expects(base: Position): boolean;
  /**
   * Writes what the complete segment based at `base` says of times, so that `seek` knows it; `done`
   * comes later. `entries` must not change before that. After a failure it may be tried again.
   */
  write(base: Position, entries: DueSource, done: (failure: Failure) => void): void;
}

const PAGE_BITS = 10;
const PAGE = 1 << PAGE_BITS;
const MASK = PAGE - 1;

const WHEN = 0;
const SEQUENCE = 1;
const POSITION = 2;
const TIMES = 3;
const LOW = 0;
const HIGH = 1;
const TURN = 2;
const COUNT = 3;
const BODY_BYTES = 4;
const KIND = 5; // in the low byte; WHAT in the one above
const WORDS = 6;

interface Page {
  times: Float64Array;
  words: Uint32Array;
}

/** Entries of one segment in the order in which its log has them; 48 bytes of memory each. */
export class DueEntries implements DueSource {
  readonly #pages: Page[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Copies an entry in; gives its number. */
  add(entry: DueEntry): number {
    const i = this.#count++;
    if ((i & MASK) === 0)
      this.#pages.push({
        times: new Float64Array(PAGE * TIMES),
        words: new Uint32Array(PAGE * WORDS),
      });
    const { times, words } = this.#pages[i >> PAGE_BITS]!;
    const time = (i & MASK) * TIMES;
    times[time + WHEN] = entry.when;
    times[time + SEQUENCE] = entry.sequence;
    times[time + POSITION] = entry.position;
    const at = (i & MASK) * WORDS;
    words[at + LOW] = entry.low;
    words[at + HIGH] = entry.high;
    words[at + TURN] = entry.turn;
    words[at + COUNT] = entry.count;
    words[at + BODY_BYTES] = entry.bodyBytes;
    words[at + KIND] = entry.kind | (entry.what << 8);
    return i;
  }

  when(i: number): number {
    return this.#pages[i >> PAGE_BITS]!.times[(i & MASK) * TIMES + WHEN]!;
  }

  sequence(i: number): number {
    return this.#pages[i >> PAGE_BITS]!.times[(i & MASK) * TIMES + SEQUENCE]!;
  }

  /** Copies an entry out. */
  read(i: number, into: DueEntry): void {
    const { times, words } = this.#pages[i >> PAGE_BITS]!;
    const time = (i & MASK) * TIMES;
    into.when = times[time + WHEN]!;
    into.sequence = times[time + SEQUENCE]!;
    into.position = times[time + POSITION]!;
    const at = (i & MASK) * WORDS;
    into.low = words[at + LOW]!;
    into.high = words[at + HIGH]!;
    into.turn = words[at + TURN]!;
    into.count = words[at + COUNT]!;
    into.bodyBytes = words[at + BODY_BYTES]!;
    into.kind = words[at + KIND]! & 0xff;
    into.what = words[at + KIND]! >>> 8;
  }
}
