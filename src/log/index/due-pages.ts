// Pages of due times in memory, for all segments together, up to a number of bytes: which page of
// which file stands where, and which one goes when another comes (one that was not asked for since
// the hand came by last). Memory is taken as it is needed, and kept. Knows nothing of files.

import { DUE_PAGE_BYTES } from './due-file.ts';

const CHUNK_BITS = 6;
const CHUNK_PAGES = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK_PAGES - 1;
// A key is the serial number of a file, which is at least 1, times this, plus the page's number.
const FILE = 2 ** 21;
const FREE = 0;

export class DuePages {
  /** Most pages that are held. */
  readonly capacity: number;
  readonly #chunks: DataView[] = [];
  readonly #slots = new Map<number, number>(); // by key
  readonly #keys: Float64Array; // by slot
  readonly #touched: Uint8Array;
  #hand = 0;
  #used = 0; // slots that have had memory

  constructor(bytesMax: number) {
    this.capacity = Math.max(CHUNK_PAGES, Math.floor(bytesMax / DUE_PAGE_BYTES));
    this.#keys = new Float64Array(this.capacity);
    this.#touched = new Uint8Array(this.capacity);
  }

  /** Pages held. */
  get size(): number {
    return this.#slots.size;
  }

  /** Bytes of memory taken. */
  get bytes(): number {
    return this.#chunks.length * CHUNK_PAGES * DUE_PAGE_BYTES;
  }

  /** Where a page of a file stands, or -1. */
  find(serial: number, page: number): number {
    const slot = this.#slots.get(serial * FILE + page);
    if (slot === undefined) return -1;
    this.#touched[slot] = 1;
    return slot;
  }

  /** Whether a page that was found in a slot still stands there. */
  holds(slot: number, serial: number, page: number): boolean {
    return this.#keys[slot] === serial * FILE + page;
  }

  /** Memory of a slot and the slots around it; its page begins at `offset`. */
  view(slot: number): DataView {
    return this.#chunks[slot >> CHUNK_BITS]!;
  }

  offset(slot: number): number {
    return (slot & CHUNK_MASK) * DUE_PAGE_BYTES;
  }

  /** Copies a page in that is not held; gives its slot. */
  put(serial: number, page: number, bytes: Uint8Array): number {
    const slot = this.#take();
    const key = serial * FILE + page;
    this.#keys[slot] = key;
    this.#touched[slot] = 1;
    this.#slots.set(key, slot);
    const { buffer } = this.view(slot);
    new Uint8Array(buffer, this.offset(slot), DUE_PAGE_BYTES).set(bytes);
    return slot;
  }

  // A slot that is free, or has been made so.
  #take(): number {
    if (this.#used < this.capacity) {
      const slot = this.#used++;
      if (slot >> CHUNK_BITS === this.#chunks.length)
        this.#chunks.push(new DataView(new ArrayBuffer(CHUNK_PAGES * DUE_PAGE_BYTES)));
      return slot;
    }
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.capacity;
      const key = this.#keys[slot]!;
      if (key === FREE) return slot;
      if (this.#touched[slot] === 0) {
        this.#slots.delete(key);
        return slot;
      }
      this.#touched[slot] = 0;
    }
  }

  /** Forgets the pages of a file. */
  forget(serial: number): void {
    for (let slot = 0; slot < this.#used; slot++) {
      const key = this.#keys[slot]!;
      if (Math.floor(key / FILE) !== serial || key === FREE) continue;
      this.#slots.delete(key);
      this.#keys[slot] = FREE;
    }
  }
}
