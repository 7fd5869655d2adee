// The messages of one bucket that were delivered and came back: a heap of slices by sequence.
// Whatever is in here is older than everything that still waits in line, because the line is only
// ever taken from its head; so the heap goes first and order is kept.

import type { Slice } from './slice.ts';

export class Requeued {
  readonly #heap: Slice[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The oldest part. */
  peek(): Slice | undefined {
    return this.#heap[0];
  }

  /** All parts, in no particular order. */
  get slices(): readonly Slice[] {
    return this.#heap;
  }

  push(part: Slice): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(part);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (heap[above]!.sequence <= part.sequence) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = part;
  }

  /** Removes the oldest part. */
  pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= heap.length) break;
      const right = below + 1;
      if (right < heap.length && heap[right]!.sequence < heap[below]!.sequence) below = right;
      if (heap[below]!.sequence >= last.sequence) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}
