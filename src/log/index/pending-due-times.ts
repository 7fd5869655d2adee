// Due times that could not be written, most likely for want of space: they are found in memory
// until they can be, so that what waits is ready at its time although the disk is full.

import type { Failure } from '../../core/ports/basics.ts';
import type { DueEntry, DueSource } from '../../core/records/due.ts';
import type { Throttle } from '../files/throttle.ts';
import { DueOrder } from './due-sort.ts';

// Entries that are kept at most; what is beyond is late until it can be written.
const ENTRIES_MAX = 1024 * 1024;
const SLICE_ENTRIES = 16_384;

/** What a file of a segment would hold, in its order. */
export class HeldDueTimes {
  readonly base: number;
  readonly identity: number;
  readonly entries: DueSource;
  /** Tells it from the files that the segment has had. */
  readonly serial: number;
  readonly #order: Uint32Array;

  constructor(
    named: { base: number; identity: number; serial: number },
    entries: DueSource,
    order: Uint32Array,
  ) {
    this.base = named.base;
    this.identity = named.identity;
    this.serial = named.serial;
    this.entries = entries;
    this.#order = order;
  }

  /** The first entry that is not before this time and sequence; their number if there is none. */
  find(when: number, sequence: number): number {
    let low = 0;
    let high = this.entries.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      const entry = this.#order[middle]!;
      const other = this.entries.when(entry);
      const isBefore = other < when || (other === when && this.entries.sequence(entry) < sequence);
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Copies an entry; false if there is none. */
  read(entry: number, into: DueEntry): boolean {
    if (entry >= this.entries.count) return false;
    this.entries.read(this.#order[entry]!, into);
    return true;
  }
}

type Write = (
  base: number,
  identity: number,
  entries: DueSource,
  done: (failure: Failure) => void,
) => void;

export class PendingDueTimes {
  readonly #pace: Throttle;
  readonly #serial: () => number;
  readonly #held = new Map<number, HeldDueTimes>();
  readonly #coming = new Map<number, DueSource>(); // being brought into order
  #entries = 0;
  #retrying = false;

  /** `serial`: gives a number that no file has. */
  constructor(pace: Throttle, serial: () => number) {
    this.#pace = pace;
    this.#serial = serial;
  }

  /** Takes the entries of a segment, which must not change; `done` later: false, if they are too
   * many or not wanted any more. */
  add(base: number, identity: number, entries: DueSource, done: (added: boolean) => void): void {
    this.drop(base);
    if (this.#entries + entries.count > ENTRIES_MAX) {
      this.#pace.next(() => done(false));
      return;
    }
    this.#entries += entries.count;
    this.#coming.set(base, entries);
    const order = new DueOrder(entries);
    const step = () => {
      if (this.#coming.get(base) !== entries) return done(false);
      if (!order.step(SLICE_ENTRIES)) return this.#pace.next(step);
      this.#coming.delete(base);
      const named = { base, identity, serial: this.#serial() };
      this.#held.set(base, new HeldDueTimes(named, entries, order.order));
      done(true);
    };
    this.#pace.next(step);
  }

  /** Those of the segment based there are on disk, or not needed. */
  drop(base: number): void {
    this.#entries -= this.#held.get(base)?.entries.count ?? 0;
    this.#entries -= this.#coming.get(base)?.count ?? 0;
    this.#held.delete(base);
    this.#coming.delete(base);
  }

  /** Those that wait longest. */
  oldest(): HeldDueTimes | undefined {
    const [first] = this.#held.values();
    return first;
  }

  /** Tries to write them, one segment after the other, until that fails. */
  retry(write: Write): void {
    const next = this.oldest();
    if (next === undefined || this.#retrying) return;
    this.#retrying = true;
    write(next.base, next.identity, next.entries, (failure) => {
      this.#retrying = false;
      if (failure !== undefined) return;
      if (this.#held.get(next.base) === next) this.drop(next.base);
      this.retry(write);
    });
  }

  /** Those of the segment based there, if it is in that state. */
  of(base: number, identity: number | undefined): HeldDueTimes | undefined {
    const held = this.#held.get(base);
    return held?.identity === identity ? held : undefined;
  }

  /** The same, by serial number. */
  at(base: number, serial: number): HeldDueTimes | undefined {
    const held = this.#held.get(base);
    return held?.serial === serial ? held : undefined;
  }
}
