// Appends in whole blocks of the disk, so that they can go past the system's cache: a commit is
// synced at once and read back from the ring, so a copy of it in the cache costs time and memory
// for nothing. The first block is written again from the ring, where the batches before still
// stand; the last one from a copy padded with zeros, because its place in the ring goes on being
// filled.

import { BLOCK_BYTES } from '../../../assembly/layout.ts';

/** Start of the block that holds offset `at`. */
export function blockStart(at: number): number {
  return at - (at % BLOCK_BYTES);
}

/**
 * The blocks of a segment's image from `start`, which begins one, to `end`, which may lie within
 * one. `last` receives the last block if it is not full; it is free again when the write is done.
 */
export function blocksOf(
  image: Uint8Array,
  start: number,
  end: number,
  last: Uint8Array,
): Uint8Array[] {
  const whole = blockStart(end);
  const parts = whole > start ? [image.subarray(start, whole)] : [];
  if (whole === end) return parts;
  last.set(image.subarray(whole, end));
  last.fill(0, end - whole);
  parts.push(last);
  return parts;
}
