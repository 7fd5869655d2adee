// What sets or removes a rule, as commands. A request has no body here: what a rule says stands in
// its query, `match` and one part for each key, and the version it is meant for in a header.

import type { Command, RuleOrder } from '../contract/commands.ts';
import { QueryError, shown } from './queries.ts';

/** Headers that say which version a change is meant for. */
export interface Conditions {
  ifMatch?: string | undefined;
  ifNoneMatch?: string | undefined;
}

/** Parts of a query that are no keys of the rule. */
const OF_ORDER: ReadonlySet<string> = new Set(['match', 'preview']);

/** @throws QueryError */
export function ruleToSet(name: string, query: URLSearchParams, conditions: Conditions): Command {
  const [match, second] = query.getAll('match');
  if (match === undefined) throw new QueryError('a rule needs a match: give match=100-199');
  if (second !== undefined) throw new QueryError('match is given twice');
  const words = [...query].flatMap(([key, value]) =>
    OF_ORDER.has(key) ? [] : [`${key}=${value}`],
  );
  return { kind: 'rule-set', ...orderOf(name, query, conditions), match, words };
}

/** @throws QueryError */
export function ruleToRemove(
  name: string,
  query: URLSearchParams,
  conditions: Conditions,
): Command {
  return { kind: 'rule-remove', ...orderOf(name, query, conditions) };
}

function orderOf(name: string, query: URLSearchParams, conditions: Conditions): RuleOrder {
  const preview = query.get('preview') ?? '0';
  if (preview !== '0' && preview !== '1') throw new QueryError('preview is 1 or 0');
  return { name, expected: expectedOf(conditions), preview: preview === '1' };
}

function expectedOf({ ifMatch, ifNoneMatch }: Conditions): string | undefined {
  if (ifMatch !== undefined && ifNoneMatch !== undefined)
    throw new QueryError('give If-Match or If-None-Match, not both');
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch === '*') return 'none';
    throw new QueryError('If-None-Match can be * only: there is no such rule yet');
  }
  if (ifMatch === undefined) return undefined;
  if (ifMatch === '*') return 'any';
  const version = /^"(\d{1,16})"$/.exec(ifMatch)?.[1];
  if (version !== undefined) return version;
  throw new QueryError(`If-Match is the ETag of the rule, or *, not ${shown(ifMatch)}`);
}
