// A histogram of positive numbers in fixed memory: eight buckets for each doubling, so percentiles
// are exact to about 9 %. Cheap enough to record every commit.

import type { Distribution as Summary } from './snapshot.ts';

const PER_DOUBLING = 8;
const LOWEST = 2 ** -10;
const BUCKETS = PER_DOUBLING * 48;

export class Distribution {
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;
  #max = 0;

  record(value: number): void {
    const at = Math.floor(Math.log2(Math.max(value, LOWEST) / LOWEST) * PER_DOUBLING);
    this.#buckets[Math.min(at, BUCKETS - 1)]!++;
    this.#count++;
    this.#sum += value;
    if (value > this.#max) this.#max = value;
  }

  /** The value that `share` (0 … 1) of the records do not exceed, to about 9 %. */
  percentile(share: number): number {
    let left = Math.ceil(this.#count * share);
    if (left === 0) return 0;
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.#buckets[i]!;
      if (left <= 0) return Math.min(LOWEST * 2 ** ((i + 1) / PER_DOUBLING), this.#max);
    }
    return this.#max;
  }

  summary(): Summary {
    return {
      count: this.#count,
      mean: this.#count === 0 ? 0 : round(this.#sum / this.#count),
      p50: round(this.percentile(0.5)),
      p99: round(this.percentile(0.99)),
      max: round(this.#max),
    };
  }
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
