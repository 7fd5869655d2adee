// CRC32C (Castagnoli, reflected polynomial 0x82F63B78) by slicing-by-16: sixteen 1 KiB tables let
// one step fold 16 bytes with independent loads. Tables are built once by `init`.
// Source: Kounavis & Berry, "A Systematic Approach to Building High Performance Software-Based CRC
// Generators"; check value of "123456789" is 0xE3069283.

import { TABLES_AT, TABLES_BYTES } from './layout';

const POLYNOMIAL: u32 = 0x82f63b78;
const SLICES: u32 = TABLES_BYTES / 1024;

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

/** CRC32C of `bytes` bytes at `at`. */
export function crc32c(at: u32, bytes: u32): u32 {
  let crc: u32 = 0xffffffff;
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
  return ~crc;
}
