// Bits in words of 32, the lowest one first.

/** How many are set in a word. */
export function ones(word: number): number {
  let w = word - ((word >>> 1) & 0x55555555);
  w = (w & 0x33333333) + ((w >>> 2) & 0x33333333);
  return Math.imul((w + (w >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** How many are set from `from` to before `to`. */
export function onesBetween(bits: Uint32Array, from: number, to: number): number {
  let found = 0;
  for (let at = from; at < to; ) {
    const word = at >>> 5;
    const end = Math.min(to, (word + 1) << 5);
    const width = end - at;
    const mask = width === 32 ? 0xffffffff : ((1 << width) - 1) << (at & 31);
    found += ones(bits[word]! & mask);
    at = end;
  }
  return found;
}

/** The first from `from` on that is not set; `end`: none is before that, which ends a word. */
export function firstZero(bits: Uint32Array, from: number, end: number): number {
  for (let at = from; at < end; at = ((at >>> 5) + 1) << 5) {
    const zeros = ~bits[at >>> 5]! & (-1 << (at & 31));
    if (zeros !== 0) return (at & ~31) + 31 - Math.clz32(zeros & -zeros);
  }
  return end;
}
