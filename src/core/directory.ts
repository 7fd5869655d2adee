// The directory of buckets: u64 id -> slot, by open addressing in typed arrays, because a bucket
// exists by first use and there may be millions. The hash is seeded, so that a client cannot choose
// ids that all collide. Slots are dense numbers from 1; what a bucket holds is in `buckets.ts`.

const CAPACITY_MIN = 1024;

/**
 * 32 bits of hash of an id. `low` goes through a mix of its own before `high` joins: were both only
 * multiplied and joined, n ids chosen in their top bits would share the square root of n hashes,
 * whatever the seed.
 */
export function hashOf(low: number, high: number, seed: number): number {
  let h = Math.imul(low ^ seed, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 13) ^ high, 0x297a2d39);
  h = Math.imul(h ^ (h >>> 12) ^ seed, 0x85ebca77);
  return h ^ (h >>> 15);
}

export class Directory {
  #low = new Uint32Array(CAPACITY_MIN);
  #high = new Uint32Array(CAPACITY_MIN);
  #slots = new Uint32Array(CAPACITY_MIN); // 0 = free cell
  #mask = CAPACITY_MIN - 1;
  #count = 0;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  get count(): number {
    return this.#count;
  }

  #hash(low: number, high: number): number {
    return hashOf(low, high, this.#seed) & this.#mask;
  }

  /** Slot of a bucket, or 0. */
  find(low: number, high: number): number {
    let cell = this.#hash(low, high);
    for (;;) {
      const slot = this.#slots[cell]!;
      if (slot === 0) return 0;
      if (this.#low[cell] === low && this.#high[cell] === high) return slot;
      cell = (cell + 1) & this.#mask;
    }
  }

  /** Enters a bucket that is not there yet. */
  add(low: number, high: number, slot: number): void {
    if ((this.#count + 1) * 3 > (this.#mask + 1) * 2) this.#resize((this.#mask + 1) * 2);
    this.#place(low, high, slot);
    this.#count++;
  }

  /** Removes a bucket and closes the gap, so that no search ever passes a grave. */
  remove(low: number, high: number): void {
    let gap = this.#hash(low, high);
    while (this.#low[gap] !== low || this.#high[gap] !== high || this.#slots[gap] === 0)
      gap = (gap + 1) & this.#mask;
    let cell = gap;
    for (;;) {
      cell = (cell + 1) & this.#mask;
      if (this.#slots[cell] === 0) break;
      const home = this.#hash(this.#low[cell]!, this.#high[cell]!);
      if (((cell - home) & this.#mask) < ((cell - gap) & this.#mask)) continue;
      this.#low[gap] = this.#low[cell]!;
      this.#high[gap] = this.#high[cell]!;
      this.#slots[gap] = this.#slots[cell]!;
      gap = cell;
    }
    this.#slots[gap] = 0;
    this.#count--;
    if (this.#mask + 1 > CAPACITY_MIN && this.#count * 8 < this.#mask + 1)
      this.#resize((this.#mask + 1) / 2);
  }

  #place(low: number, high: number, slot: number): void {
    let cell = this.#hash(low, high);
    while (this.#slots[cell] !== 0) cell = (cell + 1) & this.#mask;
    this.#low[cell] = low;
    this.#high[cell] = high;
    this.#slots[cell] = slot;
  }

  #resize(capacity: number): void {
    const [low, high, slots] = [this.#low, this.#high, this.#slots];
    this.#low = new Uint32Array(capacity);
    this.#high = new Uint32Array(capacity);
    this.#slots = new Uint32Array(capacity);
    this.#mask = capacity - 1;
    for (let i = 0; i < slots.length; i++) {
      if (slots[i] !== 0) this.#place(low[i]!, high[i]!, slots[i]!);
    }
  }
}
