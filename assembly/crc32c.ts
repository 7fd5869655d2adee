// CRC32C (Castagnoli, reflected polynomial 0x82F63B78); check value of "123456789" is 0xE3069283.
//
// Short input goes through slicing-by-16: sixteen 1 KiB tables let one step take 16 bytes with
// independent loads. Tables are built once by `init`. Source: Kounavis & Berry, "A Systematic
// Approach to Building High Performance Software-Based CRC Generators".
//
// Long input is folded first, without tables, to one of FOLD_BYTES with the same checksum. Source:
// Russell, "Chorba: A novel CRC32 implementation" (arXiv 2412.16398), which reduces by a multiple of
// the polynomial with few terms, by xor alone. With y = x^128 the polynomial divides
//
//   y^209 + y^144 + y^54 + y^39 + y^14 + 1
//
// so a block of 16 bytes may be taken out if it is xored to the blocks 65, 155, 170, 195 and 209
// further on. No multiple with six terms is shorter with its steps at least 8 apart; there are none
// with an odd number of terms, because x + 1 divides the polynomial.

import { FOLD_AT, FOLD_BYTES, TABLES_AT, TABLES_BYTES } from './layout';

const POLYNOMIAL: u32 = 0x82f63b78;
const SLICES: u32 = TABLES_BYTES / 1024;
const SPAN: u32 = FOLD_BYTES / 16;
// Blocks taken out between two moves of the last SPAN; all of it stays in the first-level cache.
const STEP: u32 = 512;
// Below it, slicing alone is faster.
const FOLD_MIN_BYTES: u32 = 2 * FOLD_BYTES;

/** Fills the slicing tables. Must run once before any checksum. */
export function initCrc32c(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let crc = i;
    for (let bit: u32 = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    store<u32>(TABLES_AT + i * 4, crc);
  }
  for (let slice: u32 = 1; slice < SLICES; slice++) {
    for (let i: u32 = 0; i < 256; i++) {
      const below = load<u32>(TABLES_AT + (slice - 1) * 1024 + i * 4);
      const crc = (below >>> 8) ^ load<u32>(TABLES_AT + (below & 0xff) * 4);
      store<u32>(TABLES_AT + slice * 1024 + i * 4, crc);
    }
  }
}

// @ts-ignore: decorator
@inline
function fold(slice: u32, byte: u32): u32 {
  return load<u32>(TABLES_AT + slice * 1024 + byte * 4);
}

// Folds the four bytes of `word` through tables `top` … `top - 3`.
// @ts-ignore: decorator
@inline
function foldWord(top: u32, word: u32): u32 {
  return (
    fold(top, word & 0xff) ^
    fold(top - 1, (word >>> 8) & 0xff) ^
    fold(top - 2, (word >>> 16) & 0xff) ^
    fold(top - 3, word >>> 24)
  );
}

// Takes `bytes` bytes at `at` into a checksum whose state so far is `crc`.
function slice(crc: u32, at: u32, bytes: u32): u32 {
  let left = bytes;
  while (left >= 16) {
    crc =
      foldWord(15, load<u32>(at) ^ crc) ^
      foldWord(11, load<u32>(at, 4)) ^
      foldWord(7, load<u32>(at, 8)) ^
      foldWord(3, load<u32>(at, 12));
    at += 16;
    left -= 16;
  }
  while (left > 0) {
    crc = (crc >>> 8) ^ fold(0, (crc ^ load<u8>(at)) & 0xff);
    at++;
    left--;
  }
  return crc;
}

// What the block at `at` is when every block before it has been taken out; `past` holds the
// SPAN blocks before it, as they were when they were taken out.
// @ts-ignore: decorator
@inline
function folded(at: u32, past: u32): v128 {
  const far = v128.xor(v128.load(past), v128.load(past, 14 * 16));
  const near = v128.xor(v128.load(past, 39 * 16), v128.load(past, 54 * 16));
  return v128.xor(v128.xor(far, near), v128.xor(v128.load(past, 144 * 16), v128.load(at)));
}

// Folds `blocks` blocks of 16 bytes, more than SPAN, to the SPAN blocks at FOLD_AT.
function foldBlocks(crc: u32, at: u32, blocks: u32): void {
  memory.fill(FOLD_AT, 0, FOLD_BYTES);
  let left = blocks - SPAN;
  // The state so far is xored to the first block: as if it had come from the block before all.
  store<u32>(FOLD_AT, crc);
  while (left > 0) {
    const step = min(left, STEP);
    const end = FOLD_AT + step * 16;
    for (let past = FOLD_AT; past < end; past += 16) {
      v128.store(past, folded(at, past), FOLD_BYTES);
      at += 16;
    }
    memory.copy(FOLD_AT, end, FOLD_BYTES);
    left -= step;
  }
  // The last ones stay: what is xored to them are only the blocks that were taken out.
  memory.fill(FOLD_AT + FOLD_BYTES, 0, FOLD_BYTES);
  for (let past = FOLD_AT; past < FOLD_AT + FOLD_BYTES; past += 16) {
    v128.store(past, folded(at, past));
    at += 16;
  }
}

/** CRC32C of `bytes` bytes at `at`. */
export function crc32c(at: u32, bytes: u32): u32 {
  if (bytes < FOLD_MIN_BYTES) return ~slice(0xffffffff, at, bytes);
  const blocks = bytes / 16;
  foldBlocks(0xffffffff, at, blocks);
  return ~slice(slice(0, FOLD_AT, FOLD_BYTES), at + blocks * 16, bytes % 16);
}
