// Time of a world of nodes: what happens next, and nothing in between. One seed for all chances.

import { Random } from '../../support/random.ts';

interface Event {
  atMs: number;
  order: number;
  what: () => void;
}

export class Clock {
  readonly random: Random;
  readonly counts: Record<string, number> = {};
  #now = 0;
  #order = 0;
  readonly #heap: Event[] = [];

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** True time, in ms. */
  get nowMs(): number {
    return this.#now;
  }

  count(what: string, times = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + times;
  }

  chance(share: number): boolean {
    return this.random.chance(share);
  }

  /** Between the two, in ms. */
  between(least: number, most: number): number {
    return least + (this.random.next() / 2 ** 32) * (most - least);
  }

  after(ms: number, what: () => void): void {
    const heap = this.#heap;
    heap.push({ atMs: this.#now + ms, order: this.#order++, what });
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!isBefore(heap[i]!, heap[parent]!)) break;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  /** Lets everything happen up to so much later. */
  run(ms: number): void {
    const end = this.#now + ms;
    while (this.#heap.length > 0 && this.#heap[0]!.atMs <= end) {
      const event = this.#take();
      this.#now = event.atMs;
      event.what();
    }
    this.#now = end;
  }

  /** The same where what happens makes promises: each is kept before anything else happens, and
   * `kept` called then. */
  async runAll(ms: number, kept: () => void): Promise<void> {
    const end = this.#now + ms;
    while (this.#heap.length > 0 && this.#heap[0]!.atMs <= end) {
      const event = this.#take();
      this.#now = event.atMs;
      event.what();
      await new Promise((resolve) => setImmediate(resolve));
      kept();
    }
    this.#now = end;
  }

  #take(): Event {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child;
      if (least === i) return first;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
