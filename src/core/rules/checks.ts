// What a set of rules may not say of several buckets together: dead letters that go round, copies
// to the bucket itself, virtual buckets within virtual ones. Each is asked of what would be in
// force, so a ring that closes because a more specific rule went is found like any other.

import { type Match, matches, printMatch } from './match.ts';
import type { Rule } from './rule.ts';
import { RuleError } from './rule-error.ts';
import type { RuleTable } from './rule-table.ts';

/** Buckets of a ring that are named. */
const NAMED = 8;

/** @throws RuleError when a virtual bucket is among the sources of another one. */
export function checkSources(rules: readonly Rule[]): void {
  const virtual = rules.filter(({ values }) => (values.sources?.length ?? 0) > 0);
  const sorted = virtual.toSorted((a, b) => (a.match.first < b.match.first ? -1 : 1));
  for (const rule of virtual)
    for (const source of rule.values.sources!) {
      const inner = virtualWithin(source, rule, sorted);
      if (inner === undefined) continue;
      throw new RuleError(
        `rule "${rule.name}": its sources ${printMatch(source)} have bucket ${inner.match.first} among them, which rule "${inner.name}" makes virtual; virtual buckets are no sources`,
        [rule.name, inner.name],
      );
    }
}

function virtualWithin(source: Match, rule: Rule, sorted: readonly Rule[]): Rule | undefined {
  const other = ({ match }: Rule) => match.first !== rule.match.first;
  if (!source.solid)
    return sorted.find(
      (each) =>
        other(each) && matches(source, each.match.words.firstLow, each.match.words.firstHigh),
    );
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (sorted[middle]!.match.first < source.first) from = middle + 1;
    else to = middle;
  }
  return sorted
    .slice(from, from + 2)
    .find((each) => other(each) && each.match.first <= source.last);
}

/** @throws RuleError when messages that die would come back to where they were. */
export function checkDeadLetters(table: RuleTable): void {
  const targets = table.rules.flatMap(({ values: { dead_letter } }) =>
    typeof dead_letter === 'bigint' ? [dead_letter] : [],
  );
  const ends = new Set<bigint>();
  for (const target of targets) {
    const path = new Map<bigint, Rule>();
    let id: bigint | undefined = target;
    while (id !== undefined && !ends.has(id)) {
      if (path.has(id)) throw ringOf([...path], id);
      const rule = table.ruleFor(id, 'dead_letter');
      const next: unknown = rule?.values.dead_letter;
      // A bucket that is the target of its own rule keeps what dies in it.
      if (rule === undefined || typeof next !== 'bigint' || next === id) break;
      path.set(id, rule);
      id = next;
    }
    for (const each of path.keys()) ends.add(each);
    if (id !== undefined) ends.add(id);
  }
}

function ringOf(path: readonly [bigint, Rule][], start: bigint): RuleError {
  const ring = path.slice(path.findIndex(([id]) => id === start));
  const steps = ring.slice(0, NAMED).map(([id, { name }]) => `${id} (rule "${name}")`);
  const rest = ring.length > NAMED ? `, and ${ring.length - NAMED} more,` : '';
  return new RuleError(
    `dead letters would go round: from bucket ${steps.join(' to ')}${rest} to ${start} again; let one of them keep or drop them`,
    [...new Set(ring.map(([, { name }]) => name))],
  );
}

/** @throws RuleError when a bucket would get copies of its own messages. */
export function checkCopies(table: RuleTable): void {
  const targets = new Set(table.rules.flatMap(({ values: { copy_to } }) => copy_to ?? []));
  for (const id of targets) {
    const rule = table.ruleFor(id, 'copy_to');
    if (rule?.values.copy_to?.includes(id))
      throw new RuleError(
        `rule "${rule.name}" (${printMatch(rule.match)}) would copy messages of bucket ${id} to itself; give bucket ${id} a rule with copy_to=none`,
        [rule.name],
      );
  }
}
