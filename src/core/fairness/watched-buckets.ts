// Buckets that an intake stops at, and their table in the codec's RULES (layout.ts): it is written
// as a whole, between two calls.

import * as L from '../../../assembly/layout.ts';
import { assert } from '../assert.ts';

/**
 * Ids that match: those of which `mask` leaves `value`, and those in a range. Of several that match
 * an id the mask that comes first is named, then the range. `rule` is a number of the caller's, in
 * 1 … 2^32 - 1.
 */
export interface WatchedBuckets {
  /** With 16 different masks at most, 8192 in all; no two alike. */
  masked: readonly { mask: bigint; value: bigint; rule: number }[];
  /** In order, without overlap, 8192 at most; `last` is in the range. */
  ranges: readonly { first: bigint; last: bigint; rule: number }[];
}

const HASH = (BigInt(L.RULES_HASH_HIGH) << 32n) | BigInt(L.RULES_HASH_LOW);
const GROUP = (BigInt(L.RULES_GROUP_HIGH) << 32n) | BigInt(L.RULES_GROUP_LOW);

/** Writes the table; throws, and leaves it as it was, if that is not possible. */
export function writeWatched(rules: DataView, watched: WatchedBuckets): void {
  const { masked, ranges } = watched;
  const masks = [...new Set(masked.map(({ mask }) => mask))];
  const slots = slotsFor(masked.length);
  assert(masks.length <= L.RULES_MASKS_MAX, 'buckets are watched by too many masks');
  assert(slots <= L.RULES_SLOTS_MAX, 'too many buckets are watched');
  assert(ranges.length <= L.RULES_RANGES_MAX, 'too many ranges of buckets are watched');
  for (const { rule } of [...masked, ...ranges])
    assert(rule > 0 && rule < 2 ** 32, 'what is watched has no number');
  ranges.forEach(({ first, last }, i) => {
    const before = i === 0 ? -1n : ranges[i - 1]!.last;
    assert(before < first && first <= last, 'ranges of buckets overlap or are out of order');
  });
  const { table, filter } = tableOf(masked, masks, slots);
  new Uint8Array(rules.buffer, rules.byteOffset + L.RULES_SLOTS_AT).set(bytesOf(table));
  new Uint8Array(rules.buffer, rules.byteOffset + L.RULES_FILTER_AT).set(bytesOf(filter));
  rules.setUint32(L.RULES_MASKS_COUNT_AT, masks.length, true);
  rules.setUint32(L.RULES_SLOTS_COUNT_AT, slots, true);
  rules.setUint32(L.RULES_RANGES_COUNT_AT, ranges.length, true);
  masks.forEach((mask, i) => {
    rules.setBigUint64(L.RULES_MASKS_AT + i * 8, mask, true);
  });
  ranges.forEach(({ first, last, rule }, i) => {
    const at = L.RULES_RANGES_AT + i * L.RULE_RANGE_BYTES;
    rules.setBigUint64(at + L.RULE_RANGE_FIRST_AT, first, true);
    rules.setBigUint64(at + L.RULE_RANGE_LAST_AT, last, true);
    rules.setUint32(at + L.RULE_RANGE_RULE_AT, rule, true);
  });
}

// At most half of the slots are used, so that what is not there is known after a look or two.
function slotsFor(values: number): number {
  let slots = L.RULES_SLOTS_MIN;
  while (slots < 2 * values) slots *= 2;
  return slots;
}

function tableOf(
  masked: WatchedBuckets['masked'],
  masks: readonly bigint[],
  slots: number,
): { table: DataView; filter: DataView } {
  const table = new DataView(new ArrayBuffer(slots * L.RULE_SLOT_BYTES));
  const filter = new DataView(new ArrayBuffer(slots * 2));
  for (const { mask, value, rule } of masked) {
    assert((value & mask) === value, 'a value has bits that its mask has not');
    const number = masks.indexOf(mask);
    const bit = filterBitOf(value, number, slots);
    const place = Math.floor(bit / 16);
    filter.setUint16(place * 2, filter.getUint16(place * 2, true) | (1 << (bit % 16)), true);
    let at = place * L.RULE_SLOT_BYTES;
    while (table.getUint32(at + L.RULE_SLOT_RULE_AT, true) !== 0) {
      const same =
        table.getBigUint64(at + L.RULE_SLOT_VALUE_AT, true) === value &&
        table.getUint32(at + L.RULE_SLOT_MASK_AT, true) === number;
      assert(!same, 'buckets are watched twice by the same mask and value');
      at = (at + L.RULE_SLOT_BYTES) % table.byteLength;
    }
    table.setBigUint64(at + L.RULE_SLOT_VALUE_AT, value, true);
    table.setUint32(at + L.RULE_SLOT_RULE_AT, rule, true);
    table.setUint32(at + L.RULE_SLOT_MASK_AT, number, true);
  }
  return { table, filter };
}

// Which bit of the filter, of 16 for each slot.
function filterBitOf(value: bigint, mask: number, slots: number): number {
  const product = (value ^ BigInt.asUintN(64, BigInt(mask + 1) * GROUP)) * HASH;
  return Number(BigInt.asUintN(64, product) >> BigInt(60 - Math.log2(slots)));
}

const bytesOf = ({ buffer }: DataView): Uint8Array => new Uint8Array(buffer);
