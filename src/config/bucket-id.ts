// Ids of buckets as people write them.

/**
 * Reads an id in decimal or as `0x…`; gives it in decimal. A number comes from a file, which holds
 * it rounded from 2^53 on: another bucket would be meant.
 * @throws RangeError when it is no id, or may be another one.
 */
export function parseBucketId(raw: string | number): string {
  if (typeof raw === 'number' && raw > Number.MAX_SAFE_INTEGER)
    throw new RangeError('must stand in quotes, as numbers in a file are exact only below 2^53');
  const id = /^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(String(raw)) ? BigInt(raw) : -1n;
  if (id >= 0n && id < 1n << 64n) return id.toString();
  throw new RangeError(`must be a number from 0 to 18446744073709551615, not "${raw}"`);
}
