// What becomes ready, or expires, at a time: which entry is the next one over all segments, and
// when. The newest segments have their entries in memory; of each other one only the time and place
// of its next entry are held, the entries are on disk. So memory does not grow with the messages
// that wait, and while nothing is due, nothing is read.
//
//   add ──► entries in memory ──┐                         ┌─► the next time: one timer
//                               ├─► segments by the time ─┤
//   indexed ──► seek, load ─────┘   of their next entry   └─► fire: entries that are due, in order
//
// Firing writes nothing. An entry is handed out at least once, never before its time; again only if
// its segment was indexed, replaced or hard to read meanwhile, or after a start: whoever takes it
// compares its turn. Times are those of the wall clock, which may jump: what was handed out stays
// so, what was not waits for its time.

import { assert } from '../assert.ts';
import { type DueEntries, type DueEntry, type DueStore, emptyDueEntry } from '../records/due.ts';
import { DueLook } from './due-look.ts';
import { DueSegment, DueSegments, Unfired } from './due-segments.ts';

export interface DueTimesOptions {
  /** Entries of the segments that are not in memory. */
  store: DueStore;
  /** What firing waited for is there: `fire` is to be called, later, and `nextMs` has changed. */
  wake: () => void;
  /** Due times of a segment cannot be read. They are tried again; meanwhile they are late. */
  failed: (base: number, failure: Error) => void;
}

/** Entries handed out in one turn at most. */
export const FIRE_MAX = 4096;
/** How long it is waited before due times that cannot be read are tried again. */
export const RETRY_MS = 1000;

export class DueTimes {
  readonly #options: DueTimesOptions;
  readonly #store: DueStore;
  readonly #segments = new Map<number, DueSegment>();
  readonly #line = new DueSegments();
  readonly #aside = new Set<DueSegment>(); // cannot be read for now
  readonly #entry = emptyDueEntry();
  readonly #next = emptyDueEntry();
  #nowMs = 0;
  #memoryEntries = 0;

  constructor(options: DueTimesOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  /** Entries in memory, handed out or not. */
  get memoryEntries(): number {
    return this.#memoryEntries;
  }

  /** Segments that have something left to hand out, or have it in memory. */
  get segments(): number {
    return this.#segments.size;
  }

  /** Takes an entry of a segment whose due times are not on disk. */
  add(base: number, entry: DueEntry): void {
    let segment = this.#segments.get(base);
    if (segment === undefined) {
      segment = new DueSegment(base, Number.POSITIVE_INFINITY, 0);
      segment.memory = new Unfired();
      this.#segments.set(base, segment);
    }
    assert(segment.memory !== undefined && !segment.isBlocked, 'a due time came too late');
    segment.memory.push(segment.memory.entries.add(entry));
    this.#memoryEntries++;
    this.#follow(segment, segment.memory);
  }

  /** The entries of a segment that are in memory, for its file; they stay until `indexed`. */
  entriesOf(base: number): DueEntries | undefined {
    return this.#segments.get(base)?.memory?.entries;
  }

  /**
   * The due times of a segment are on disk, or can be made from it: it goes on there with what was
   * not handed out. After a start there is nothing in memory, and it begins at `from`.
   */
  indexed(base: number, from = 0): void {
    let segment = this.#segments.get(base);
    if (segment === undefined) {
      segment = new DueSegment(base, from, 0);
      this.#segments.set(base, segment);
    }
    if (segment.memory?.size === 0) this.drop(base);
    else if (!segment.isBlocked) this.#seek(segment);
  }

  /** Segments have become one, whose due times are on disk or can be made from it. */
  replaced(bases: readonly number[], base: number): void {
    const joined = new DueSegment(base, Number.POSITIVE_INFINITY, 0);
    for (const each of bases) {
      const segment = this.#segments.get(each);
      if (segment === undefined) continue; // all of it was handed out
      const { when, sequence } = segment;
      if (when < joined.when || (when === joined.when && sequence < joined.sequence)) {
        joined.when = when;
        joined.sequence = sequence;
      }
      this.drop(each);
    }
    if (joined.when === Number.POSITIVE_INFINITY) return;
    this.#segments.set(base, joined);
    this.#seek(joined);
  }

  /** The segments from `base` to before `end` are one now: `replaced`. */
  merged(base: number, end: number): void {
    const within = [...this.#segments.keys()].filter((each) => each >= base && each < end);
    if (within.length > 0) this.replaced(within, base);
  }

  /** Nothing before `base` is in the log any more. */
  trimmed(base: number): void {
    for (const each of this.#segments.keys()) if (each < base) this.drop(each);
  }

  /** A segment is not needed any more; no harm if it has no due times. */
  drop(base: number): void {
    const segment = this.#segments.get(base);
    if (segment === undefined) return;
    this.#memoryEntries -= segment.memory?.entries.count ?? 0;
    segment.isGone = true;
    this.#segments.delete(base);
    this.#aside.delete(segment);
    this.#leave(segment);
  }

  /** When `fire` has something to do next; infinite if it has not, or waits for the disk. */
  nextMs(): number {
    const first = this.#line.peek();
    let next = first === undefined || first.isBlocked ? Number.POSITIVE_INFINITY : first.when;
    for (const { retryMs } of this.#aside) next = Math.min(next, retryMs);
    return next;
  }

  /**
   * Looks at what is to be handed out next, by time and then sequence, at most `most` entries, until
   * `take` says that it is enough; less where entries are only on disk. Nothing is handed out.
   */
  look(most: number, take: (entry: DueEntry) => boolean): void {
    // Of a segment that cannot be read nobody knows whether it would come first.
    for (const { memory } of this.#aside) if (memory === undefined) return;
    new DueLook(this.#store, this.#line.items).run(most, take);
  }

  /**
   * Hands out what is due, by time and then sequence, at most `most` entries; gives how many. If
   * `nextMs` has come afterwards, there is more. An entry is the taker's until it returns.
   */
  fire(nowMs: number, most: number, take: (entry: DueEntry) => void): number {
    this.#nowMs = nowMs;
    if (this.#aside.size > 0) this.#retry(nowMs);
    let fired = 0;
    while (fired < most) {
      const segment = this.#line.peek();
      if (segment === undefined || segment.when > nowMs || segment.isBlocked) break;
      const { memory } = segment;
      if (memory !== undefined) {
        memory.entries.read(memory.peek()!, this.#entry);
        memory.pop();
        this.#follow(segment, memory);
      } else if (this.#store.read(segment.base, segment.place, this.#entry)) {
        this.#advance(segment);
      } else {
        this.#load(segment);
        break;
      }
      fired++;
      take(this.#entry);
    }
    return fired;
  }

  // A segment in memory has another next entry, or none.
  #follow(segment: DueSegment, memory: Unfired): void {
    const next = memory.peek();
    if (next === undefined) {
      segment.when = Number.POSITIVE_INFINITY;
      this.#leave(segment);
      return;
    }
    segment.when = memory.entries.when(next);
    segment.sequence = memory.entries.sequence(next);
    this.#enter(segment);
  }

  // The first segment's next entry is handed out: on to the one behind it.
  #advance(segment: DueSegment): void {
    segment.place++;
    if (segment.place === segment.end) this.drop(segment.base);
    else if (this.#isRead(segment)) this.#line.update(segment.at);
    else this.#load(segment);
  }

  // Takes over time and sequence of the next entry; false: it is not in memory.
  #isRead(segment: DueSegment): boolean {
    if (!this.#store.read(segment.base, segment.place, this.#next)) return false;
    segment.when = this.#next.when;
    segment.sequence = this.#next.sequence;
    return true;
  }

  #enter(segment: DueSegment): void {
    if (segment.at < 0) this.#line.push(segment);
    else this.#line.update(segment.at);
  }

  #leave(segment: DueSegment): void {
    if (segment.at < 0) return;
    this.#line.remove(segment.at);
    segment.at = -1;
  }

  // --- the disk -------------------------------------------------------------------------------

  // Finds the next entry of a segment by its time and sequence.
  #seek(segment: DueSegment): void {
    const { base, when, sequence } = segment;
    segment.isBlocked = true;
    this.#aside.delete(segment);
    this.#enter(segment);
    this.#store.seek(base, when, sequence, (failure, place, end) => {
      if (segment.isGone) return;
      if (failure !== undefined) return this.#setAside(segment, failure);
      this.#memoryEntries -= segment.memory?.entries.count ?? 0;
      segment.memory = undefined;
      segment.place = place;
      segment.end = end;
      if (place === end) this.drop(base);
      else if (!this.#isRead(segment)) return this.#load(segment);
      this.#unblock(segment);
    });
  }

  // Reads the next entry of a segment, whose place is known.
  #load(segment: DueSegment): void {
    segment.isBlocked = true;
    this.#store.load(segment.base, segment.place, (failure) => {
      if (segment.isGone) return;
      // It may be in another file by now, or in one that is made anew.
      if (failure !== undefined || !this.#isRead(segment)) return this.#seek(segment);
      this.#unblock(segment);
    });
  }

  #unblock(segment: DueSegment): void {
    segment.isBlocked = false;
    if (!segment.isGone) this.#enter(segment);
    this.#options.wake();
  }

  // What cannot be read is not to hold up the others.
  #setAside(segment: DueSegment, failure: Error): void {
    segment.isBlocked = false;
    segment.retryMs = this.#nowMs + RETRY_MS;
    this.#aside.add(segment);
    if (segment.memory === undefined) this.#leave(segment);
    this.#options.failed(segment.base, failure);
    this.#options.wake();
  }

  #retry(nowMs: number): void {
    for (const segment of this.#aside) {
      // The clock may have gone back since.
      if (segment.retryMs > nowMs && segment.retryMs <= nowMs + RETRY_MS) continue;
      if (segment.memory?.size === 0) this.drop(segment.base);
      else this.#seek(segment);
    }
  }
}
