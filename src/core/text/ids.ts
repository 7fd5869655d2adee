// Ids of buckets as decimal digits, and as the two words that rows and tables hold.

/** The halves of an id, unsigned 32 bits. */
export function wordsOf(id: string): [low: number, high: number] {
  const bucket = BigInt(id);
  return [Number(bucket & 0xffff_ffffn), Number(bucket >> 32n)];
}
