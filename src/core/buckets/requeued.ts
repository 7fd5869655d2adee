// The messages of one bucket that were delivered and came back: a heap of slices by sequence.
// Whatever is in here is older than everything that still waits in line, because the line is only
// ever taken from its head; so the heap goes first and order is kept.

import { Heap } from '../collections/heap.ts';
import type { Slice } from './slice.ts';

export class Requeued extends Heap<Slice> {
  protected override before(a: Slice, b: Slice): boolean {
    return a.sequence < b.sequence;
  }

  /** Takes out what stands at or behind a sequence. */
  dropFrom(sequence: number): Slice[] {
    const all = [...this.items];
    const dropped = all.filter((slice) => slice.sequence >= sequence);
    if (dropped.length > 0) {
      this.clear();
      for (const slice of all) if (slice.sequence < sequence) this.push(slice);
    }
    return dropped;
  }

  /** All parts, in no particular order. */
  get slices(): readonly Slice[] {
    return this.items;
  }
}
