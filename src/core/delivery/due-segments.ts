// What is held in memory of the due times of segments, and which segment is the next one.

import { Heap } from '../collections/heap.ts';
import { DueEntries, type DuePlace } from '../records/due.ts';

/** Entries of one segment in memory that were not handed out, the next one first. */
export class Unfired extends Heap<number> {
  readonly entries = new DueEntries();

  protected override before(a: number, b: number): boolean {
    const { entries } = this;
    const [when, other] = [entries.when(a), entries.when(b)];
    return when === other ? entries.sequence(a) < entries.sequence(b) : when < other;
  }
}

/** What is held of the due times of one segment. */
export class DueSegment {
  readonly base: number;
  /** Its entries, until they are found on disk. */
  memory: Unfired | undefined;
  /** Of its next entry; while that is not known, it is not before. */
  when: number;
  sequence: number;
  /** Of its next entry on disk. */
  place: DuePlace = 0;
  end: DuePlace = 0;
  /** Its next entry is being found or read: nothing behind it may be handed out. */
  isBlocked = false;
  isGone = false;
  /** Where it stands among the segments that have a next entry; -1: not there. */
  at = -1;
  /** When it is tried again, while it cannot be read. */
  retryMs = 0;

  constructor(base: number, when: number, sequence: number) {
    this.base = base;
    this.when = when;
    this.sequence = sequence;
  }
}

/** Segments that have a next entry, by its time. */
export class DueSegments extends Heap<DueSegment> {
  protected override before(a: DueSegment, b: DueSegment): boolean {
    return a.when === b.when ? a.sequence < b.sequence : a.when < b.when;
  }

  protected override placed(segment: DueSegment, at: number): void {
    segment.at = at;
  }
}
