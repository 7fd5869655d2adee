// Due times of complete segments for tests of the core: in memory, and each call ends when the test
// says so.

import type { Failure, Position } from '../../src/core/ports/basics.ts';
import {
  type DueEntries,
  type DueEntry,
  type DueLog,
  type DuePlace,
  emptyDueEntry,
} from '../../src/core/records/due.ts';

export class FakeDueLog implements DueLog {
  /** Segments that may have any. */
  readonly expected = new Set<Position>();
  /** What was written, in order of time and sequence. */
  readonly written = new Map<Position, DueEntry[]>();
  readonly calls: (() => void)[] = [];
  /** How further writes and seeks end. */
  failure: Failure;

  step(): void {
    this.calls.shift()!();
  }

  expects(base: Position): boolean {
    return this.expected.has(base);
  }

  write(base: Position, entries: DueEntries, done: (failure: Failure) => void): void {
    this.calls.push(() => {
      if (this.failure !== undefined) return done(this.failure);
      const all = Array.from({ length: entries.count }, (_, i) => {
        const entry = emptyDueEntry();
        entries.read(i, entry);
        return entry;
      });
      this.put(base, all);
      done(undefined);
    });
  }

  put(base: Position, entries: DueEntry[]): void {
    this.expected.add(base);
    this.written.set(
      base,
      entries.sort((a, b) => a.when - b.when || a.sequence - b.sequence),
    );
  }

  seek(
    base: number,
    when: number,
    sequence: number,
    done: (failure: Failure, place: DuePlace, end: DuePlace) => void,
  ): void {
    this.calls.push(() => {
      const all = this.written.get(base);
      if (all === undefined || this.failure !== undefined)
        return done(this.failure ?? new Error('there is none'), 0, 0);
      const isBefore = (entry: DueEntry) =>
        entry.when < when || (entry.when === when && entry.sequence < sequence);
      done(undefined, all.filter(isBefore).length, all.length);
    });
  }

  read(base: number, place: DuePlace, into: DueEntry): boolean {
    const entry = this.written.get(base)?.[place];
    if (entry !== undefined) Object.assign(into, entry);
    return entry !== undefined;
  }

  load(_base: number, _place: DuePlace, done: (failure: Failure) => void): void {
    this.calls.push(() => done(new Error('there is none')));
  }
}
