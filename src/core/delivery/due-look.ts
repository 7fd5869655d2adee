// What is due next, looked at and left where it is: the entries of all segments in the order of
// their times, as far as they are in memory. It ends where an entry is only on disk, because what
// would come behind it is not known to be next; that entry is asked for, so that the next look goes
// further.

import { Heap } from '../collections/heap.ts';
import { type DueEntry, type DueStore, emptyDueEntry } from '../records/due.ts';
import type { DueSegment, Unfired } from './due-segments.ts';

/** Numbers of a heap's places, by what stands there: the heap in its order, without a change. */
class Places extends Heap<number> {
  readonly #of: Unfired;

  constructor(of: Unfired) {
    super();
    this.#of = of;
    if (of.size > 0) this.push(0);
  }

  protected override before(a: number, b: number): boolean {
    const { entries, items } = this.#of;
    const [first, second] = [items[a]!, items[b]!];
    const [when, other] = [entries.when(first), entries.when(second)];
    if (when !== other) return when < other;
    return entries.sequence(first) < entries.sequence(second);
  }

  /** The entry that is next; undefined: there is none. */
  get entry(): number | undefined {
    const place = this.peek();
    return place === undefined ? undefined : this.#of.items[place];
  }

  next(): void {
    const place = this.peek()!;
    this.pop();
    for (const below of [place * 2 + 1, place * 2 + 2]) if (below < this.#of.size) this.push(below);
  }
}

/** Where a look has come to in a segment. */
interface Cursor {
  readonly segment: DueSegment;
  readonly places: Places | undefined;
  place: number;
  when: number;
  sequence: number;
  /** Its next entry is not in memory, and not before `when`. */
  isUnknown: boolean;
}

class Cursors extends Heap<Cursor> {
  protected override before(a: Cursor, b: Cursor): boolean {
    return a.when === b.when ? a.sequence < b.sequence : a.when < b.when;
  }
}

export class DueLook {
  readonly #store: Pick<DueStore, 'read' | 'load'>;
  readonly #cursors = new Cursors();
  readonly #entry = emptyDueEntry();

  /** `segments`: all that have something to hand out, or wait for the disk to say what. */
  constructor(store: Pick<DueStore, 'read' | 'load'>, segments: Iterable<DueSegment>) {
    this.#store = store;
    for (const segment of segments) {
      const { memory, place, when, sequence, isBlocked } = segment;
      const places = memory === undefined ? undefined : new Places(memory);
      const isUnknown = places === undefined && isBlocked;
      const cursor = { segment, places, place, when, sequence, isUnknown };
      if (places === undefined || this.#follow(cursor, places)) this.#cursors.push(cursor);
    }
  }

  /**
   * Hands out what is next, at most `most` entries, until `take` says that it is enough. An entry is
   * the taker's until it returns.
   */
  run(most: number, take: (entry: DueEntry) => boolean): void {
    for (let looked = 0; looked < most; looked++) {
      const cursor = this.#cursors.peek();
      if (cursor === undefined || cursor.isUnknown) return;
      const { segment, places, place } = cursor;
      if (places !== undefined) segment.memory!.entries.read(places.entry!, this.#entry);
      else if (!this.#store.read(segment.base, place, this.#entry)) {
        this.#store.load(segment.base, place, () => {});
        return;
      }
      if (take(this.#entry)) return;
      this.#advance(cursor);
    }
  }

  #advance(cursor: Cursor): void {
    const { segment, places } = cursor;
    if (places !== undefined) {
      places.next();
      if (this.#follow(cursor, places)) this.#cursors.replace(cursor);
      else this.#cursors.pop();
      return;
    }
    cursor.place++;
    if (cursor.place === segment.end) {
      this.#cursors.pop();
      return;
    }
    // If it is not in memory, it is not before the one that was: that is where the look ends.
    if (this.#store.read(segment.base, cursor.place, this.#entry)) {
      cursor.when = this.#entry.when;
      cursor.sequence = this.#entry.sequence;
    }
    this.#cursors.replace(cursor);
  }

  // Takes over the next entry of a segment in memory; false: there is none.
  #follow(cursor: Cursor, places: Places): boolean {
    const { entry } = places;
    if (entry === undefined) return false;
    const { entries } = cursor.segment.memory!;
    cursor.when = entries.when(entry);
    cursor.sequence = entries.sequence(entry);
    return true;
  }
}
