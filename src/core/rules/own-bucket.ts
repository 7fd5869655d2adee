// What a rule may not say of the bucket that it is about, whatever other rules there are.

import type { RuleValues } from './keys.ts';
import { type Match, printMatch } from './match.ts';
import { RuleError } from './rule-error.ts';

/** @throws RuleError when a rule for one bucket names that bucket, or makes several virtual. */
export function checkOwnBucket(name: string, match: Match, values: Partial<RuleValues>): void {
  const { dead_letter, copy_to = [], sources = [] } = values;
  const refuse = (what: string) => new RuleError(`rule "${name}": ${what}`, [name]);
  if (match.kind !== 'id') {
    if (sources.length === 0) return;
    throw refuse(
      `sources make one bucket virtual, but ${printMatch(match)} matches several; match one id`,
    );
  }
  const own = match.first;
  if (dead_letter === own)
    throw refuse(`the dead letters of bucket ${own} would go to itself; write dead_letter=keep`);
  if (copy_to.includes(own))
    throw refuse(`bucket ${own} would get copies of its own messages; leave it out of copy_to`);
  if (sources.some(({ kind, first }) => kind === 'id' && first === own))
    throw refuse(
      `bucket ${own} would be its own source, which it is without being named; leave it out of sources`,
    );
}
