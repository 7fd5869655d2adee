// A small seeded generator for tests; the seed is printed first, so a failure can be run again:
// THRUSTMQ_TEST_SEED=... npm test -- <file>

/** Integers from a seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number in 0 … 2^32 - 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A whole number in 0 … bound - 1. */
  below(bound: number): number {
    return this.next() % bound;
  }

  chance(share: number): boolean {
    return this.next() < share * 2 ** 32;
  }
}

/** Seed of this run, printed for `name`. */
export function seedOf(name: string): number {
  const given = process.env.THRUSTMQ_TEST_SEED;
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
  console.log(`${name}: THRUSTMQ_TEST_SEED=${seed}`);
  return seed;
}
