// Vectors of small numbers, each kept once and known by a number from 0 up; and pairs of numbers
// that lead to a third. Typed arrays: there may be tens of thousands, and a look allocates nothing.

const FIRST_CELLS = 64;

export class Interned {
  readonly width: number;
  #vectors: Uint16Array;
  // Number of a vector + 1, by hash; 0: free. At most half full.
  #cells = new Int32Array(FIRST_CELLS);
  #count = 0;

  constructor(width: number) {
    this.width = width;
    this.#vectors = new Uint16Array(width * (FIRST_CELLS / 2));
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#vectors.byteLength + this.#cells.byteLength;
  }

  /** Number of a vector; a new one gets the next. */
  numberOf(vector: Uint16Array): number {
    const mask = this.#cells.length - 1;
    let cell = hashOfVector(vector) & mask;
    for (; this.#cells[cell] !== 0; cell = (cell + 1) & mask) {
      const number = this.#cells[cell]! - 1;
      if (this.#isAt(number, vector)) return number;
    }
    if (this.#count * 2 >= this.#cells.length) {
      this.#grow();
      return this.numberOf(vector);
    }
    this.#vectors.set(vector, this.#count * this.width);
    this.#cells[cell] = ++this.#count;
    return this.#count - 1;
  }

  at(number: number, column: number): number {
    return this.#vectors[number * this.width + column]!;
  }

  /** Copies a vector into `target`. */
  read(number: number, target: Uint16Array): void {
    const first = number * this.width;
    for (let i = 0; i < this.width; i++) target[i] = this.#vectors[first + i]!;
  }

  /** Forgets all from `count` on. */
  truncate(count: number): void {
    this.#count = count;
    this.#fill();
  }

  #isAt(number: number, vector: Uint16Array): boolean {
    const first = number * this.width;
    for (let i = 0; i < this.width; i++) if (this.#vectors[first + i] !== vector[i]) return false;
    return true;
  }

  #grow(): void {
    const vectors = new Uint16Array(this.#vectors.length * 2);
    vectors.set(this.#vectors);
    this.#vectors = vectors;
    this.#cells = new Int32Array(this.#cells.length * 2);
    this.#fill();
  }

  #fill(): void {
    const mask = this.#cells.length - 1;
    this.#cells.fill(0);
    for (let number = 0; number < this.#count; number++) {
      const first = number * this.width;
      let cell = hashOfVector(this.#vectors.subarray(first, first + this.width)) & mask;
      while (this.#cells[cell] !== 0) cell = (cell + 1) & mask;
      this.#cells[cell] = number + 1;
    }
  }
}

function hashOfVector(vector: Uint16Array): number {
  let h = 0;
  for (let i = 0; i < vector.length; i++) h = mixed(h, vector[i]!);
  return h;
}

function mixed(h: number, word: number): number {
  const next = Math.imul(h ^ word, 0x9e3779b1);
  return next ^ (next >>> 15);
}

export class PairTable {
  // Of a cell: first, second, result + 1; 0: free. At most half full.
  #cells = new Int32Array(FIRST_CELLS * 3);
  #mask = FIRST_CELLS - 1;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#cells.byteLength;
  }

  /** What the pair leads to, or -1. */
  get(first: number, second: number): number {
    return this.#cells[this.#find(first, second) + 2]! - 1;
  }

  /** Notes what a pair leads to that led to nothing. */
  add(first: number, second: number, result: number): void {
    if ((this.#count + 1) * 6 > this.#cells.length) this.#grow();
    const at = this.#find(first, second);
    this.#cells[at] = first;
    this.#cells[at + 1] = second;
    this.#cells[at + 2] = result + 1;
    this.#count += 1;
  }

  clear(): void {
    this.#cells = new Int32Array(FIRST_CELLS * 3);
    this.#mask = FIRST_CELLS - 1;
    this.#count = 0;
  }

  #find(first: number, second: number): number {
    const cells = this.#cells;
    const mask = this.#mask;
    for (let cell = mixed(mixed(0, first), second) & mask; ; cell = (cell + 1) & mask) {
      const at = cell * 3;
      if (cells[at + 2] === 0 || (cells[at] === first && cells[at + 1] === second)) return at;
    }
  }

  #grow(): void {
    const old = this.#cells;
    this.#cells = new Int32Array(old.length * 2);
    this.#mask = this.#mask * 2 + 1;
    this.#count = 0;
    for (let at = 0; at < old.length; at += 3)
      if (old[at + 2] !== 0) this.add(old[at]!, old[at + 1]!, old[at + 2]! - 1);
  }
}
