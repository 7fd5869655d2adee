// A histogram of positive numbers in fixed memory: eight buckets for each doubling, so percentiles
// are exact to about 9 %, and counts up to a power of two exact. Cheap enough for every commit.

import type { Distribution as Summary } from '../../contract/snapshot.ts';

const PER_DOUBLING = 8;
const LOWEST_POWER = -10;
const LOWEST = 2 ** LOWEST_POWER;
const BUCKETS = PER_DOUBLING * 48;

export class Histogram {
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;
  #max = 0;

  /** Counts a value, as often as it came. */
  record(value: number, times = 1): void {
    // A bucket holds its upper end, as those of Prometheus do.
    const at = Math.ceil(Math.log2(Math.max(value, LOWEST) / LOWEST) * PER_DOUBLING) - 1;
    this.#buckets[Math.min(Math.max(at, 0), BUCKETS - 1)]! += times;
    this.#count += times;
    this.#sum += value * times;
    if (value > this.#max) this.#max = value;
  }

  /** For each power of two, ascending and from -10 to 37: how many values do not exceed it. */
  upTo(powers: readonly number[]): number[] {
    let bucket = 0;
    let count = 0;
    return powers.map((power) => {
      const end = (power - LOWEST_POWER) * PER_DOUBLING;
      for (; bucket < end; bucket++) count += this.#buckets[bucket]!;
      return count;
    });
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
      sum: this.#sum,
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
