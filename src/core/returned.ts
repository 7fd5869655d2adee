// The messages of one bucket that were delivered and came back: a heap of entries by sequence.
// Whatever is in here is older than everything that still waits in line, because the line is only
// ever taken from its head; so the heap goes first and order is kept.

import type { Entries } from './entries.ts';

export class Returned {
  readonly #entries: Entries;
  readonly #heap: number[] = [];

  constructor(entries: Entries) {
    this.#entries = entries;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** The oldest entry, or 0. */
  peek(): number {
    return this.#heap[0] ?? 0;
  }

  push(entry: number): void {
    const heap = this.#heap;
    const sequence = this.#entries.sequence(entry);
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (this.#entries.sequence(heap[above]!) <= sequence) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = entry;
  }

  /** Removes the oldest entry. */
  pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    const sequence = this.#entries.sequence(last);
    let at = 0;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= heap.length) break;
      const right = below + 1;
      if (
        right < heap.length &&
        this.#entries.sequence(heap[right]!) < this.#entries.sequence(heap[below]!)
      )
        below = right;
      if (this.#entries.sequence(heap[below]!) >= sequence) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}
