// The index of lines: u64 id of a bucket and kind of its line -> slot, an extendible hash table by
// open addressing in typed arrays, because a bucket exists by first use and there may be millions.
// The hash is seeded, so that a client cannot choose ids that all collide. Slots are dense numbers
// from 1; ids and kinds are with them, in `bucket-table.ts`.
//
// In tables of one size: one that is full is split in two by one more bit of the hash, and two that
// hold little become one again, so that no bucket that comes or goes pays for moving all others.
//
//   hash   31 ........ 16 15 ........ 0        of `table`, the last bits say which one it is: as many
//          table          cell in it           as its depth; one with few stands at many places

import { assert } from '../assert.ts';
import { lineHashOf } from '../collections/hash.ts';
import { type BucketTable, isOf } from './bucket-table.ts';

// Of a table.
const CELLS = 4096;
const MASK = CELLS - 1;
const FULL = Math.floor((CELLS * 2) / 3);
// Two that hold less together become one.
const FEW = CELLS / 4;
// Of a cell: hash, slot (0: the cell is free).
const WORDS = 2;
// Tables whose memory is one piece: with many small ones to find, finding them would take longer
// than what is done in them.
const TOGETHER_BITS = 2;
const TOGETHER = 1 << TOGETHER_BITS;
// Beyond so many bits nothing is split. A table that is full all the same holds ids whose hashes
// are alike, which nobody can choose: what does not fit is kept elsewhere.
const DEPTH_MAX = 16;
const NO_CELLS = new Int32Array(0);

export class BucketIndex {
  readonly #pages: BucketTable['pages'];
  readonly #seed: number;
  // Numbers of tables, by as many of the last bits of `table` as the deepest one needed so far.
  #tables = new Uint32Array(1);
  #tablesMask = 0;
  // By number of table: how many buckets it holds, and the bits that they share.
  readonly #counts: number[] = [];
  readonly #depths: number[] = [];
  readonly #freeTables: number[] = [];
  // The memory of tables, by number / TOGETHER, and how many of them are in use there.
  readonly #cells: Int32Array[] = [];
  readonly #inUse: number[] = [];
  // Copy of a table while it is split.
  readonly #copy = new Int32Array(CELLS * WORDS);
  readonly #elsewhere = new Map<bigint, number>();
  #count = 0;
  /** Cells that were gone through to split and join tables. */
  visited = 0;

  /** `columns` says which line a slot stands for. */
  constructor(seed: number, columns: BucketTable) {
    this.#seed = seed;
    this.#pages = columns.pages;
    this.#newTable(0);
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of its tables. */
  get bytes(): number {
    const cells = this.#cells.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return cells + this.#tables.byteLength + this.#copy.byteLength;
  }

  #tableOf(hash: number): number {
    return this.#tables[(hash >>> 16) & this.#tablesMask]!;
  }

  /** Slot of a bucket's line, or 0. */
  find(low: number, high: number, kind: number): number {
    const hash = lineHashOf(low, high, kind, this.#seed);
    const table = this.#tableOf(hash);
    const cells = this.#cells[table >>> TOGETHER_BITS]!;
    const first = firstOf(table);
    for (let cell = hash & MASK; ; cell = (cell + 1) & MASK) {
      const at = first + cell * WORDS;
      const slot = cells[at + 1]!;
      if (slot === 0) break;
      if (cells[at] === hash && isOf(this.#pages, slot, low, high, kind)) return slot;
    }
    return this.#elsewhere.size === 0 ? 0 : (this.#elsewhere.get(keyOf(low, high, kind)) ?? 0);
  }

  /** Enters a bucket that is not there yet. */
  add(low: number, high: number, kind: number, slot: number): void {
    const hash = lineHashOf(low, high, kind, this.#seed);
    const table = this.#tableOf(hash);
    const count = this.#counts[table]!;
    if (count >= FULL && this.#depths[table]! < DEPTH_MAX) this.#split(table, hash);
    if (count < MASK) this.#place(this.#tableOf(hash), hash, slot);
    else this.#elsewhere.set(keyOf(low, high, kind), slot);
    this.#count++;
  }

  /** Removes a bucket and closes the gap, so that no search ever passes a grave. */
  remove(low: number, high: number, kind: number): void {
    const hash = lineHashOf(low, high, kind, this.#seed);
    const table = this.#tableOf(hash);
    const cells = this.#cells[table >>> TOGETHER_BITS]!;
    const first = firstOf(table);
    let gap = hash & MASK;
    for (; ; gap = (gap + 1) & MASK) {
      const at = first + gap * WORDS;
      const slot = cells[at + 1]!;
      if (slot === 0) {
        const removed = this.#elsewhere.delete(keyOf(low, high, kind));
        assert(removed, 'a bucket was removed that is not there');
        this.#count--;
        return;
      }
      if (cells[at] === hash && isOf(this.#pages, slot, low, high, kind)) break;
    }
    for (let cell = (gap + 1) & MASK; ; cell = (cell + 1) & MASK) {
      const at = first + cell * WORDS;
      if (cells[at + 1] === 0) break;
      const home = cells[at]! & MASK;
      if (((cell - home) & MASK) < ((cell - gap) & MASK)) continue;
      cells[first + gap * WORDS] = cells[at]!;
      cells[first + gap * WORDS + 1] = cells[at + 1]!;
      gap = cell;
    }
    cells[first + gap * WORDS + 1] = 0;
    this.#count--;
    if (--this.#counts[table]! < FEW) this.#join(hash);
  }

  #place(table: number, hash: number, slot: number): void {
    const cells = this.#cells[table >>> TOGETHER_BITS]!;
    const first = firstOf(table);
    let cell = hash & MASK;
    while (cells[first + cell * WORDS + 1] !== 0) cell = (cell + 1) & MASK;
    cells[first + cell * WORDS] = hash;
    cells[first + cell * WORDS + 1] = slot;
    this.#counts[table]!++;
  }

  #newTable(depth: number): number {
    const table = this.#freeTables.pop() ?? this.#counts.length;
    const piece = table >>> TOGETHER_BITS;
    this.#counts[table] = 0;
    this.#depths[table] = depth;
    const inUse = this.#inUse[piece] ?? 0;
    if (inUse === 0) this.#cells[piece] = new Int32Array(TOGETHER * CELLS * WORDS);
    this.#inUse[piece] = inUse + 1;
    return table;
  }

  // Copies a table and empties it.
  #takeOut(table: number): Int32Array {
    const cells = this.#cells[table >>> TOGETHER_BITS]!;
    const first = firstOf(table);
    this.#copy.set(cells.subarray(first, first + CELLS * WORDS));
    cells.fill(0, first, first + CELLS * WORDS);
    this.#counts[table] = 0;
    this.visited += CELLS;
    return this.#copy;
  }

  // Half of what is in the table, about, goes into a new one.
  #split(table: number, hash: number): void {
    const depth = this.#depths[table]!;
    const bit = 1 << depth;
    if (bit === this.#tables.length) {
      const tables = new Uint32Array(this.#tables.length * 2);
      tables.set(this.#tables);
      tables.set(this.#tables, this.#tables.length);
      this.#tables = tables;
      this.#tablesMask = tables.length - 1;
    }
    const other = this.#newTable(depth + 1);
    this.#depths[table] = depth + 1;
    const copy = this.#takeOut(table);
    for (let at = 0; at < copy.length; at += WORDS) {
      if (copy[at + 1] === 0) continue;
      const goes = ((copy[at]! >>> 16) & bit) !== 0;
      this.#place(goes ? other : table, copy[at]!, copy[at + 1]!);
    }
    for (let i = ((hash >>> 16) & (bit - 1)) + bit; i < this.#tables.length; i += 2 * bit)
      this.#tables[i] = other;
  }

  // Joins the hash's table with the other half of what was split, while both hold little. The one
  // that was there first stays, so that the memory of the later ones can be given back.
  #join(hash: number): void {
    for (;;) {
      const table = this.#tableOf(hash);
      const depth = this.#depths[table]!;
      if (depth === 0) return;
      const bit = 1 << (depth - 1);
      const half = this.#tables[((hash >>> 16) ^ bit) & this.#tablesMask]!;
      if (this.#depths[half] !== depth || this.#counts[table]! + this.#counts[half]! >= FEW) return;
      const into = Math.min(table, half);
      const from = Math.max(table, half);
      const copy = this.#takeOut(from);
      for (let at = 0; at < copy.length; at += WORDS)
        if (copy[at + 1] !== 0) this.#place(into, copy[at]!, copy[at + 1]!);
      this.#depths[into] = depth - 1;
      for (let i = (hash >>> 16) & (bit - 1); i < this.#tables.length; i += bit)
        this.#tables[i] = into;
      this.#freeTables.push(from);
      const piece = from >>> TOGETHER_BITS;
      if (--this.#inUse[piece]! === 0) this.#cells[piece] = NO_CELLS;
    }
  }
}

// Where the cells of a table begin in their piece of memory.
function firstOf(table: number): number {
  return (table & (TOGETHER - 1)) * CELLS * WORDS;
}

function keyOf(low: number, high: number, kind: number): bigint {
  return (BigInt(kind) << 64n) | (BigInt(high) << 32n) | BigInt(low);
}
