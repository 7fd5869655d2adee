// Rules that would decide the same key for the same bucket, neither being the more specific one.
// Where none are, all rules of a key that match a bucket lie in each other, and the one that
// matches the fewest ids decides.

import { KEY_NAMES } from './keys.ts';
import { printMatch } from './match.ts';
import { COLUMNS, type Matcher, PARENT } from './matchers.ts';
import { commonId, relationOf } from './relation.ts';
import { RuleError } from './rule-error.ts';

/** @throws RuleError naming two rules, the key, and a bucket that both match. */
export function checkConflicts(matchers: readonly Matcher[]): void {
  const solid = matchers.filter(({ match }) => match.solid).sort(outerFirst);
  for (let column = 0; column < COLUMNS; column++)
    checkNested(
      solid.filter(({ bits }) => (bits >>> column) & 1),
      column,
    );
  const loose = matchers.filter(({ match }) => !match.solid);
  loose.forEach((one, i) => {
    for (const other of solid) checkPair(one, other);
    for (let k = i + 1; k < loose.length; k++) checkPair(one, loose[k]!);
  });
}

function outerFirst({ match: a }: Matcher, { match: b }: Matcher): number {
  if (a.first !== b.first) return a.first < b.first ? -1 : 1;
  return a.last === b.last ? 0 : a.last > b.last ? -1 : 1;
}

// Intervals in order: those that are open must each contain the next, or have ended.
function checkNested(ordered: readonly Matcher[], column: number): void {
  const open: Matcher[] = [];
  for (const next of ordered) {
    while (open.length > 0 && open.at(-1)!.match.last < next.match.first) open.pop();
    const outer = open.at(-1);
    if (outer !== undefined && !isWithin(next, outer)) throw conflict(outer, next, column);
    open.push(next);
  }
}

function isWithin({ match: a }: Matcher, { match: b }: Matcher): boolean {
  return a.last <= b.last && a.count < b.count;
}

function checkPair(a: Matcher, b: Matcher): void {
  const shared = a.bits & b.bits;
  // Sources of one rule may overlap: they name the same parent.
  if (shared === 0 || a.rule === b.rule) return;
  const relation = relationOf(a.match, b.match);
  if (relation === 'equal' || relation === 'overlap')
    throw conflict(a, b, 31 - Math.clz32(shared & -shared));
}

function conflict(a: Matcher, b: Matcher, column: number): RuleError {
  const names = [a.rule.name, b.rule.name];
  const id = commonId(a.match, b.match);
  const [first, second] = [a, b].map(({ rule, match }) => `"${rule.name}" (${printMatch(match)})`);
  if (column === PARENT)
    return new RuleError(
      `bucket ${id} would have two virtual parents: rules ${first} and ${second} both have it among their sources, and neither is the more specific one`,
      names,
    );
  const key = KEY_NAMES[column]!;
  if (relationOf(a.match, b.match) === 'equal')
    return new RuleError(
      `rules ${first} and ${second} match the same buckets, ${id} for one, and both set ${key}; set it in one of them`,
      names,
    );
  return new RuleError(
    `rules ${first} and ${second} overlap in part, in bucket ${id} for one, and both set ${key}; let one lie inside the other, or set it in one of them`,
    names,
  );
}
