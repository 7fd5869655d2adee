// Memory for the bytes of a message that is not complete yet. Few bytes have an array of their own
// that doubles; more have blocks that are used again and again. New arrays for each large message
// would be hundreds of megabytes a second outside of the JavaScript heap, and each few of them make
// the garbage collector go through all of it: peers that only begin messages took half of the
// processor that way, and with it the time of everybody else.

import type { Budget } from './context.ts';

const BLOCK_BYTES = 65536;
const SMALL_BYTES_MIN = 256;
const SMALL_BYTES_MAX = BLOCK_BYTES / 2;
// Blocks that nobody has: enough for messages that come and go, and a small part of the buffers.
const KEPT_MOST = 64;
const KEPT_SHARE = 0.25;

/** Blocks of one size, used again and again. */
export class Blocks {
  readonly #kept: Uint8Array[] = [];
  readonly #keptMax: number;

  /** `bufferBytesMax`: what all connections together may hold. */
  constructor(bufferBytesMax: number) {
    this.#keptMax = Math.min(KEPT_MOST, Math.floor((bufferBytesMax * KEPT_SHARE) / BLOCK_BYTES));
  }

  take(): Uint8Array {
    return this.#kept.pop() ?? new Uint8Array(BLOCK_BYTES);
  }

  give(block: Uint8Array): void {
    if (this.#kept.length < this.#keptMax) this.#kept.push(block);
  }
}

/** What one connection carries over from one read to the next; what it takes is in the budget. */
export class Carry {
  readonly #budget: Budget;
  readonly #pool: Blocks;
  #small: Uint8Array | undefined; // either this one, or blocks
  #blocks: Uint8Array[] = [];
  #bytes = 0;

  constructor(budget: Budget, pool: Blocks) {
    this.#budget = budget;
    this.#pool = pool;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of memory that they take. */
  get heldBytes(): number {
    return this.#blocks.length * BLOCK_BYTES + (this.#small?.length ?? 0);
  }

  /** Keeps a copy of these bytes behind the others. */
  append(bytes: Uint8Array): void {
    if (this.#bytes + bytes.length <= SMALL_BYTES_MAX) this.#appendSmall(bytes);
    else this.#appendToBlocks(bytes);
  }

  // The first bytes are mostly all there will be; whoever sends byte by byte gets twice the memory
  // each time.
  #appendSmall(bytes: Uint8Array): void {
    const small = this.#small;
    const need = this.#bytes + bytes.length;
    if (small === undefined || need > small.length) {
      const size = small === undefined ? need : Math.min(SMALL_BYTES_MAX, 2 * need);
      const grown = new Uint8Array(Math.max(SMALL_BYTES_MIN, size));
      if (small !== undefined) grown.set(small.subarray(0, this.#bytes));
      this.#budget.bytes += grown.length - (small?.length ?? 0);
      this.#small = grown;
    }
    this.#small!.set(bytes, this.#bytes);
    this.#bytes = need;
  }

  #appendToBlocks(bytes: Uint8Array): void {
    const small = this.#small;
    if (small !== undefined) {
      const block = this.#takeBlock();
      block.set(small.subarray(0, this.#bytes));
      this.#budget.bytes -= small.length;
      this.#small = undefined;
    }
    for (let at = 0; at < bytes.length; ) {
      const used = this.#bytes % BLOCK_BYTES;
      const block = used === 0 ? this.#takeBlock() : this.#blocks.at(-1)!;
      const part = bytes.subarray(at, at + BLOCK_BYTES - used);
      block.set(part, used);
      at += part.length;
      this.#bytes += part.length;
    }
  }

  #takeBlock(): Uint8Array {
    const block = this.#pool.take();
    this.#blocks.push(block);
    this.#budget.bytes += BLOCK_BYTES;
    return block;
  }

  /** Copies everything to `into` from `at` on, and keeps nothing. */
  moveTo(into: Uint8Array, at: number): void {
    if (this.#small !== undefined) into.set(this.#small.subarray(0, this.#bytes), at);
    for (let i = 0; i < this.#blocks.length; i++) {
      const left = this.#bytes - i * BLOCK_BYTES;
      const block = this.#blocks[i]!;
      into.set(left < BLOCK_BYTES ? block.subarray(0, left) : block, at + i * BLOCK_BYTES);
    }
    this.drop();
  }

  /** Keeps nothing. */
  drop(): void {
    this.#budget.bytes -= this.heldBytes;
    for (const block of this.#blocks) this.#pool.give(block);
    if (this.#blocks.length > 0) this.#blocks = [];
    this.#small = undefined;
    this.#bytes = 0;
  }
}
