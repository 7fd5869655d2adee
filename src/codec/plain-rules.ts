// RULES of layout.ts as the plain twin reads them: every slot and every range is looked at. It has
// no hash, so an entry that the module would not find where it stands shows. Must not share code
// with assembly/ beyond layout.ts.

import * as L from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';

/** Whether there are any rules; stops if the table is none. */
export function hasRules(rules: DataView): boolean {
  const { masks, slots, ranges } = countsOf(rules);
  assert(masks <= L.RULES_MASKS_MAX && ranges <= L.RULES_RANGES_MAX, 'there are too many rules');
  if (masks === 0) return ranges > 0;
  assert(
    slots >= L.RULES_SLOTS_MIN && slots <= L.RULES_SLOTS_MAX && Number.isInteger(Math.log2(slots)),
    'a table of rules has an odd number of slots',
  );
  return true;
}

/** The rule for a bucket, or 0. */
export function ruleOf(rules: DataView, bucket: bigint): number {
  const { masks, ranges } = countsOf(rules);
  for (let mask = 0; mask < masks; mask++) {
    const rule = ruleByMask(rules, bucket, mask);
    if (rule !== 0) return rule;
  }
  for (let i = 0; i < ranges; i++) {
    const at = L.RULES_RANGES_AT + i * L.RULE_RANGE_BYTES;
    const first = rules.getBigUint64(at + L.RULE_RANGE_FIRST_AT, true);
    const last = rules.getBigUint64(at + L.RULE_RANGE_LAST_AT, true);
    if (first <= bucket && bucket <= last) return rules.getUint32(at + L.RULE_RANGE_RULE_AT, true);
  }
  return 0;
}

function ruleByMask(rules: DataView, bucket: bigint, mask: number): number {
  const value = bucket & rules.getBigUint64(L.RULES_MASKS_AT + mask * 8, true);
  const { slots } = countsOf(rules);
  let empty = 0;
  for (let i = 0; i < slots; i++) {
    const at = L.RULES_SLOTS_AT + i * L.RULE_SLOT_BYTES;
    const rule = rules.getUint32(at + L.RULE_SLOT_RULE_AT, true);
    if (rule === 0) empty++;
    else if (
      rules.getBigUint64(at + L.RULE_SLOT_VALUE_AT, true) === value &&
      rules.getUint32(at + L.RULE_SLOT_MASK_AT, true) === mask
    )
      return rule;
  }
  assert(empty > 0, 'a table of rules has no empty slot');
  return 0;
}

function countsOf(rules: DataView): { masks: number; slots: number; ranges: number } {
  return {
    masks: rules.getUint32(L.RULES_MASKS_COUNT_AT, true),
    slots: rules.getUint32(L.RULES_SLOTS_COUNT_AT, true),
    ranges: rules.getUint32(L.RULES_RANGES_COUNT_AT, true),
  };
}
