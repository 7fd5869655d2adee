// Ids of messages in their windows, on disk: layout of a file of them, and the filter that tells of
// most ids that they are not in it. `id-runs` knows which files there are, `id-list` keeps that.
//
//   000012.ids   file number 12
//
// Pages of 4096 bytes of up to 170 slots of 24 bytes, by the first word of the id; ids with the
// same one stand in one page. A slot is as in memory (core/collections/id-page.ts): the id, when
// it was published, and for how long that counts. Little-endian; CRC32C.
//
//   at  0   4    CRC      of bytes 4 ... 4095
//       4   4    SLOTS    in this page
//       8   4    PAGE     its number, from 0
//      12   4    NUMBER   of the file
//      16   ...  slots; zeros follow

import { SLOT_WORDS } from '../../core/collections/id-page.ts';
import type { Checksum } from './index-file.ts';

export const ID_PAGE_BYTES = 4096;
const PAGE_WORDS = ID_PAGE_BYTES / 4;
const HEAD_WORDS = 4;
/** Slots of a full page. */
export const PAGE_SLOTS = Math.floor((PAGE_WORDS - HEAD_WORDS) / SLOT_WORDS);
const NAME = /^(\d{6,10})\.ids$/;
const TWO_32 = 2 ** 32;

/** Name of the file of a number. */
export function idRunName(number: number): string {
  return `${String(number).padStart(6, '0')}.ids`;
}

/** The number of a file; undefined: it is none of these. */
export function idRunNumber(name: string): number | undefined {
  const found = NAME.exec(name);
  return found === null ? undefined : Number(found[1]);
}

/** Makes a page of the first `count` slots that were written behind its head. Gives its CRC. */
export function sealIdPage(
  page: Uint8Array,
  count: number,
  at: number,
  number: number,
  crc32c: Checksum,
): number {
  const view = new DataView(page.buffer, page.byteOffset, ID_PAGE_BYTES);
  view.setUint32(4, count, true);
  view.setUint32(8, at, true);
  view.setUint32(12, number, true);
  page.fill(0, (HEAD_WORDS + count * SLOT_WORDS) * 4);
  const crc = crc32c(page.subarray(4)) >>> 0;
  view.setUint32(0, crc, true);
  return crc;
}

/** Where the slot of that number begins in a page, in bytes. */
export function idSlotAt(i: number): number {
  return (HEAD_WORDS + i * SLOT_WORDS) * 4;
}

/** The words of the slots of a page; undefined: it is not the one, or not whole. */
export function idSlots(
  page: Uint8Array,
  at: number,
  number: number,
  crc32c: Checksum,
): Uint32Array | undefined {
  const view = new DataView(page.buffer, page.byteOffset, ID_PAGE_BYTES);
  if (view.getUint32(0, true) !== crc32c(page.subarray(4, ID_PAGE_BYTES)) >>> 0) return undefined;
  const count = view.getUint32(4, true);
  if (view.getUint32(8, true) !== at || view.getUint32(12, true) !== number) return undefined;
  if (count === 0 || count > PAGE_SLOTS) return undefined;
  const from = page.byteOffset + HEAD_WORDS * 4;
  return new Uint32Array(page.buffer.slice(from, from + count * SLOT_WORDS * 4));
}

const BLOCK_WORDS = 16;
/** Bits of a filter for each id: the most that are of use, and the least. */
const BITS_MAX = 24;
const BITS_MIN = 4;
// So many of them are set for it.
const BITS_SET = 8;
// Which of an id's words say where they are, 9 bits of one at a time.
const WORDS = [3, 1, 0];

/**
 * Blocks of 512 bits, and 8 bits in one of them for each id. Of those that were not added it takes
 * about one in 10,000 for one that may have been, if it has 24 bits an id; one in 200 if it has 12,
 * one in 35 if it has 8. Each of these is a read, and whoever publishes waits for it.
 */
export class IdFilter {
  readonly #words: Uint32Array;
  readonly #blocks: number;

  readonly #count: number;

  private constructor(blocks: number, count: number) {
    this.#blocks = blocks;
    this.#count = count;
    this.#words = new Uint32Array(blocks * BLOCK_WORDS);
  }

  /** One for so many ids, in so much memory at most; undefined: that is too little to be of use. */
  static within(bytes: number, count: number): IdFilter | undefined {
    const bits = Math.min(BITS_MAX, (bytes * 8) / Math.max(1, count));
    // They become half as many, and that again.
    const fours = Math.max(1, Math.ceil((count * bits) / (4 * BLOCK_WORDS * 32)));
    return bits < BITS_MIN ? undefined : new IdFilter(4 * fours, count);
  }

  /** The same in half of the memory, with more that was not added; undefined: that is of no use. */
  halved(): IdFilter | undefined {
    const blocks = this.#blocks / 2;
    const isUseful = blocks * BLOCK_WORDS * 32 >= this.#count * BITS_MIN;
    if (!isUseful || !Number.isInteger(blocks)) return undefined;
    const half = new IdFilter(blocks, this.#count);
    // Neighbours become one, since where a block is found is a part of the whole.
    for (let block = 0; block < this.#blocks; block++)
      for (let word = 0; word < BLOCK_WORDS; word++)
        half.#words[(block >> 1) * BLOCK_WORDS + word]! |= this.#words[block * BLOCK_WORDS + word]!;
    return half;
  }

  get bytes(): number {
    return this.#words.byteLength;
  }

  #block(third: number): number {
    return Math.floor(((third >>> 0) / TWO_32) * this.#blocks) * BLOCK_WORDS;
  }

  add(ids: Uint32Array, at: number): void {
    const words = this.#words;
    const block = this.#block(ids[at + 2]!);
    for (let i = 0, bits = 0; i < BITS_SET; i++, bits >>>= 9) {
      if (i % 3 === 0) bits = ids[at + WORDS[i / 3]!]!;
      words[block + ((bits >>> 5) & 15)]! |= 1 << (bits & 31);
    }
  }

  mayHave(ids: Uint32Array, at: number): boolean {
    const words = this.#words;
    const block = this.#block(ids[at + 2]!);
    for (let i = 0, bits = 0; i < BITS_SET; i++, bits >>>= 9) {
      if (i % 3 === 0) bits = ids[at + WORDS[i / 3]!]!;
      if ((words[block + ((bits >>> 5) & 15)]! & (1 << (bits & 31))) === 0) return false;
    }
    return true;
  }
}
