// A rule while it is edited: as text of a form, as the order that the API is given, and what to
// show where a word of it is wrong or somebody else has changed the rule meanwhile. Pure.

import type { RuleRow } from '../contract/commands.ts';
import type { Problem } from './types.ts';

/** A rule as the text of a form. `version`: of the one that it replaces. */
export interface Draft {
  name: string;
  match: string;
  /** A line for each key: `batch=10`. */
  keys: string;
  /** Undefined: there is no rule of that name yet. */
  version: string | undefined;
}

export const NEW_RULE: Draft = { name: '', match: '', keys: '', version: undefined };

export function draftOf({ name, match, keys, version }: RuleRow): Draft {
  return { name, match, keys: keysText(keys), version };
}

export function keysText(keys: RuleRow['keys']): string {
  return Object.entries(keys)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');
}

/** What is asked of the API, below /api/v1, and the version that the change is meant for. */
export function orderOf(
  method: 'PUT' | 'DELETE',
  { name, match, keys, version }: Draft,
  isPreview: boolean,
): { path: string; headers: Record<string, string> } {
  const query = new URLSearchParams();
  if (method === 'PUT') {
    query.set('match', match.trim());
    for (const word of keys.split(/\s+/).filter((each) => each !== '')) {
      const at = word.indexOf('=');
      query.append(at < 0 ? word : word.slice(0, at), at < 0 ? '' : word.slice(at + 1));
    }
  }
  if (isPreview) query.set('preview', '1');
  const headers: Record<string, string> =
    version === undefined ? { 'If-None-Match': '*' } : { 'If-Match': `"${version}"` };
  return { path: `/rules/${encodeURIComponent(name.trim())}?${query}`, headers };
}

/** The field of the form that a problem is about; undefined: none alone. */
export function fieldOf({ at }: Problem): 'name' | 'match' | 'keys' | undefined {
  if (at === undefined || at === 'name' || at === 'match') return at;
  return 'keys';
}

/** What two versions of a rule say differently: the match and each key; `–` where one says nothing. */
export function differences(
  mine: Pick<Draft, 'match' | 'keys'>,
  theirs: Pick<Draft, 'match' | 'keys'>,
): { what: string; mine: string; theirs: string }[] {
  const [left, right] = [partsOf(mine), partsOf(theirs)];
  const names = new Set([...left.keys(), ...right.keys()]);
  return [...names]
    .map((what) => ({ what, mine: left.get(what) ?? '–', theirs: right.get(what) ?? '–' }))
    .filter((row) => row.mine !== row.theirs);
}

function partsOf({ match, keys }: Pick<Draft, 'match' | 'keys'>): Map<string, string> {
  const parts = new Map([['match', match.trim()]]);
  for (const word of keys.split(/\s+/).filter((each) => each !== '')) {
    const [key = '', ...value] = word.split('=');
    parts.set(key, value.join('='));
  }
  return parts;
}
