// What of the keys this version carries out. A rule with any other key or value is refused at the
// start: a promise that nobody keeps would be worse than none.

import { printValue, type RuleKeyName } from './keys.ts';
import type { Rule } from './rule.ts';
import { RuleError } from './rule-error.ts';

/** Keys that are carried out; `true`: whatever value they have, else these values only. */
export const BUILT: { readonly [K in RuleKeyName]?: true | readonly string[] } = {
  retry: true,
  retry_jitter: true,
  max_deliveries: true,
  dead_letter: true,
  isolate: true,
  lease: true,
  delay: true,
  max_messages: true,
  max_bytes: true,
  overflow: ['refuse', 'drop-oldest'],
  max_in_flight: true,
  batch: true,
  rate: true,
  dedup: true,
  copy_to: true,
};

const KNOWN = Object.entries(BUILT)
  .map(([key, values]) => (values === true ? key : `${key} (${values.join(', ')})`))
  .join(', ');

/** @throws RuleError when a rule sets what this version does not carry out. */
export function checkBuilt({ name, values }: Rule): void {
  for (const key of Object.keys(values) as RuleKeyName[]) {
    const built = BUILT[key];
    if (built === undefined)
      throw new RuleError(
        `rule "${name}" sets ${key}, which this version does not carry out; take it out of the rule. This version knows ${KNOWN}`,
        [name],
        key,
      );
    const value = printValue(key, values[key] as never);
    if (built !== true && !built.includes(value))
      throw new RuleError(
        `rule "${name}" sets ${key}=${value}, which this version does not carry out; it knows ${key}=${built.join(', ')}`,
        [name],
        key,
      );
  }
}
