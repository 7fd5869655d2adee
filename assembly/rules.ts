// Finds the rule for a bucket in RULES: one look at the filter for each mask, then a binary search
// among the ranges. Must not know what a rule is for; the host has written the table.

import {
  RULE_RANGE_BYTES,
  RULE_RANGE_FIRST_AT,
  RULE_RANGE_LAST_AT,
  RULE_RANGE_RULE_AT,
  RULE_SLOT_BYTES,
  RULE_SLOT_MASK_AT,
  RULE_SLOT_RULE_AT,
  RULE_SLOT_VALUE_AT,
  RULES_AT,
  RULES_FILTER_AT,
  RULES_GROUP_HIGH,
  RULES_GROUP_LOW,
  RULES_HASH_HIGH,
  RULES_HASH_LOW,
  RULES_MASKS_AT,
  RULES_MASKS_COUNT_AT,
  RULES_MASKS_MAX,
  RULES_RANGES_AT,
  RULES_RANGES_COUNT_AT,
  RULES_RANGES_MAX,
  RULES_SLOTS_AT,
  RULES_SLOTS_COUNT_AT,
  RULES_SLOTS_MAX,
  RULES_SLOTS_MIN,
} from './layout';
import { check } from './memory';

const HASH: u64 = (u64(RULES_HASH_HIGH) << 32) | u64(RULES_HASH_LOW);
const GROUP: u64 = (u64(RULES_GROUP_HIGH) << 32) | u64(RULES_GROUP_LOW);

/** Whether there are any rules. Traps if the table is none: nothing beyond it is ever read. */
export function hasRules(): bool {
  const masks = load<u32>(RULES_AT + RULES_MASKS_COUNT_AT);
  const ranges = load<u32>(RULES_AT + RULES_RANGES_COUNT_AT);
  if ((masks | ranges) == 0) return false;
  const slots = load<u32>(RULES_AT + RULES_SLOTS_COUNT_AT);
  check(masks <= RULES_MASKS_MAX && ranges <= RULES_RANGES_MAX);
  check(masks == 0 || (slots >= RULES_SLOTS_MIN && slots <= RULES_SLOTS_MAX && popcnt(slots) == 1));
  return true;
}

/** The rule for a bucket, or 0; only while there are rules. */
export function ruleOf(bucket: u64): u32 {
  const masks = load<u32>(RULES_AT + RULES_MASKS_COUNT_AT);
  const slots = load<u32>(RULES_AT + RULES_SLOTS_COUNT_AT);
  const shift = 60 - ctz(u64(slots));
  let group: u64 = 0;
  for (let mask: u32 = 0; mask < masks; mask++) {
    group += GROUP;
    const value = bucket & load<u64>(RULES_AT + RULES_MASKS_AT + mask * 8);
    const bit = u32(((value ^ group) * HASH) >> shift);
    const filter = u32(load<u16>(RULES_AT + RULES_FILTER_AT + (bit >> 4) * 2));
    if (((filter >> (bit & 15)) & 1) != 0) {
      const rule = lookUp(value, mask, slots, bit >> 4);
      if (rule != 0) return rule;
    }
  }
  return search(bucket);
}

function lookUp(value: u64, mask: u32, slots: u32, place: u32): u32 {
  for (let looks: u32 = 0; looks < slots; looks++) {
    const slot = RULES_AT + RULES_SLOTS_AT + place * RULE_SLOT_BYTES;
    const rule = load<u32>(slot + RULE_SLOT_RULE_AT);
    if (rule == 0) return 0;
    if (
      load<u64>(slot + RULE_SLOT_VALUE_AT) == value &&
      load<u32>(slot + RULE_SLOT_MASK_AT) == mask
    )
      return rule;
    place = (place + 1) & (slots - 1);
  }
  check(false); // no slot is empty
  return 0;
}

// The last range that begins at or before the bucket, if it reaches that far.
function search(bucket: u64): u32 {
  let from: u32 = 0;
  let to = load<u32>(RULES_AT + RULES_RANGES_COUNT_AT);
  while (from < to) {
    const middle = (from + to) >> 1;
    const range = RULES_AT + RULES_RANGES_AT + middle * RULE_RANGE_BYTES;
    if (load<u64>(range + RULE_RANGE_FIRST_AT) <= bucket) from = middle + 1;
    else to = middle;
  }
  if (from == 0) return 0;
  const range = RULES_AT + RULES_RANGES_AT + (from - 1) * RULE_RANGE_BYTES;
  return load<u64>(range + RULE_RANGE_LAST_AT) >= bucket
    ? load<u32>(range + RULE_RANGE_RULE_AT)
    : 0;
}
