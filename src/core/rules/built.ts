// Which keys this version carries out. A rule with any other key is refused at the
// start: a promise that nobody keeps would be worse than none.

import type { RuleKeyName } from './keys.ts';
import type { Rule } from './rule.ts';
import { RuleError } from './rule-error.ts';

/** Keys that are carried out. */
export const BUILT: { readonly [K in RuleKeyName]?: true } = {
  retry: true,
  retry_jitter: true,
  max_deliveries: true,
  dead_letter: true,
  dead_keep: true,
  isolate: true,
  lease: true,
  delay: true,
  ttl: true,
  expired: true,
  max_messages: true,
  max_bytes: true,
  overflow: true,
  max_in_flight: true,
  batch: true,
  rate: true,
  dedup: true,
  copy_to: true,
};

const KNOWN = Object.keys(BUILT).join(', ');

/** @throws RuleError when a rule sets what this version does not carry out. */
export function checkBuilt({ name, values }: Rule): void {
  for (const key of Object.keys(values) as RuleKeyName[])
    if (BUILT[key] === undefined)
      throw new RuleError(
        `rule "${name}" sets ${key}, which this version does not carry out; take it out of the rule. This version knows ${KNOWN}`,
        [name],
        key,
      );
}
