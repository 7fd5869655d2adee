// The hash of bucket ids and lines, in memory and in the indexes on disk.

/**
 * 32 bits of hash of an id. `low` goes through a mix of its own before `high` joins: were both only
 * multiplied and joined, n ids chosen in their top bits would share the square root of n hashes,
 * whatever the seed.
 */
export function hashOf(low: number, high: number, seed: number): number {
  let h = Math.imul(low ^ seed, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 13) ^ high, 0x297a2d39);
  h = Math.imul(h ^ (h >>> 12) ^ seed, 0x85ebca77);
  return h ^ (h >>> 15);
}

/**
 * 32 bits of hash of a bucket's line of a kind (layout.ts). For the live line it is that of the id,
 * so that what was placed by it before there were kinds is where it is looked for.
 */
export function lineHashOf(low: number, high: number, kind: number, seed: number): number {
  return hashOf(low, high, seed ^ Math.imul(kind, 0x9e3779b1));
}
