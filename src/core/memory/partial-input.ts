// Memory for the bytes of a message that is not complete yet. Few bytes have one array whose size
// is a power of two; more have blocks. Both are used again and again. New arrays would be tens to
// hundreds of megabytes a second outside of the JavaScript heap, and each few of them make the
// garbage collector go through all of it, for 8 ms at a time: peers that only begin messages took
// half of the processor that way, and with it the time of everybody else.

import type { Budget } from './budget.ts';

const BLOCK_BYTES = 65536;
const SMALL_BITS_MIN = 8;
/** More bytes than these have blocks. */
export const SMALL_BYTES_MAX = BLOCK_BYTES / 2;
// Small arrays that nobody has, of each size.
const KEPT_SMALL_MOST = 16;
// Blocks that nobody has: enough for messages that come and go, and a small part of the buffers.
const KEPT_MOST = 64;
const KEPT_SHARE = 0.25;

/** Blocks of one size, and smaller arrays of some sizes, used again and again. */
export class BufferPool {
  readonly #kept: Uint8Array[] = [];
  readonly #small: Uint8Array[][] = []; // by the bits of their size
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

  /** An array of at least so many bytes: the next power of two. */
  takeSmall(bytes: number): Uint8Array {
    const bits = Math.max(SMALL_BITS_MIN, 32 - Math.clz32(bytes - 1));
    return this.#small[bits]?.pop() ?? new Uint8Array(2 ** bits);
  }

  giveSmall(array: Uint8Array): void {
    const bits = 31 - Math.clz32(array.length);
    this.#small[bits] ??= [];
    if (this.#small[bits].length < KEPT_SMALL_MOST) this.#small[bits].push(array);
  }
}

/** Memory that so many bytes of one connection take at most. */
export function memoryFor(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** What one connection carries over from one read to the next; what it takes is in the budget. */
export class PartialInput {
  readonly #budget: Budget;
  readonly #pool: BufferPool;
  #small: Uint8Array | undefined; // either this one, or blocks
  #blocks: Uint8Array[] = [];
  #bytes = 0;

  constructor(budget: Budget, pool: BufferPool) {
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

  // Whoever sends byte by byte gets twice the memory each time.
  #appendSmall(bytes: Uint8Array): void {
    const small = this.#small;
    const need = this.#bytes + bytes.length;
    if (small === undefined || need > small.length) {
      const grown = this.#pool.takeSmall(need);
      this.#budget.bytes += grown.length;
      if (small !== undefined) {
        grown.set(small.subarray(0, this.#bytes));
        this.#dropSmall(small);
      }
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
      this.#dropSmall(small);
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

  #dropSmall(small: Uint8Array): void {
    this.#budget.bytes -= small.length;
    this.#pool.giveSmall(small);
    this.#small = undefined;
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
    this.#budget.bytes -= this.#blocks.length * BLOCK_BYTES;
    for (const block of this.#blocks) this.#pool.give(block);
    if (this.#blocks.length > 0) this.#blocks = [];
    if (this.#small !== undefined) this.#dropSmall(this.#small);
    this.#bytes = 0;
  }
}
