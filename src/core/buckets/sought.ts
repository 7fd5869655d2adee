// Messages of one bucket that are ready again and stand before the place where its line goes on:
// runs of sequences, the first one first. Each is looked up only when it is the next thing of the
// line, so that what waits for that takes a few bytes and not a slice of a record.

import { Heap } from '../collections/heap.ts';

/** Neighbours of one bucket, maybe of several records. */
export interface Run {
  sequence: number;
  count: number;
}

export class Sought extends Heap<Run> {
  protected override before(a: Run, b: Run): boolean {
    return a.sequence < b.sequence;
  }

  /** Takes out what stands at or behind a sequence. */
  dropFrom(sequence: number): Run[] {
    const all = [...this.items];
    const dropped = all.filter((run) => run.sequence >= sequence);
    if (dropped.length > 0) {
      this.clear();
      for (const run of all) if (run.sequence < sequence) this.push(run);
    }
    return dropped;
  }
}
