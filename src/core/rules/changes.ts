// What another table would change: which of the buckets that are known, and in which keys. Buckets
// are given one by one, so that many can be looked at a part at a time.

import { type EffectiveRules, valuesFor } from './effective.ts';
import { KEY_NAMES, printValue, type RuleKeyName } from './keys.ts';
import { idOf } from './match.ts';
import { type RuleTable, SET_MAX } from './rule-table.ts';

export interface Change {
  /** A key, or the virtual bucket whose consumers are given what waits here. */
  key: RuleKeyName | 'virtual_parent';
  before: string;
  after: string;
}

export interface ChangedBucket {
  bucket: bigint;
  changes: readonly Change[];
}

export class Changes {
  readonly #before: RuleTable;
  readonly #after: RuleTable;
  readonly #most: number;
  // By what is in force before, then after. Sets outlive their numbers.
  readonly #found = new Map<EffectiveRules, Map<EffectiveRules, readonly Change[]>>();
  /** The first buckets that change. */
  readonly listed: ChangedBucket[] = [];
  /** How many were looked at, and how many of them change; the latter by key, too. */
  looked = 0;
  changed = 0;
  readonly byKey = new Map<Change['key'], number>();

  /** `most`: how many buckets are listed. */
  constructor(before: RuleTable, after: RuleTable, most: number) {
    this.#before = before;
    this.#after = after;
    this.#most = most;
  }

  /** Looks at a bucket; returns whether it changes. */
  look(low: number, high: number): boolean {
    this.looked += 1;
    const before = this.#before.setOf(this.#before.resolve(low, high));
    const after = this.#after.setOf(this.#after.resolve(low, high));
    const found = this.#between(before, after, low, high);
    if (found.length === 0) return false;
    this.changed += 1;
    for (const { key } of found) this.byKey.set(key, (this.byKey.get(key) ?? 0) + 1);
    if (this.listed.length < this.#most)
      this.listed.push({ bucket: idOf(low, high), changes: found });
    return true;
  }

  #between(
    before: EffectiveRules,
    after: EffectiveRules,
    low: number,
    high: number,
  ): readonly Change[] {
    // A bucket that is its own dead letter differs from others with the same set.
    const isOwn = isTarget(before, low, high) || isTarget(after, low, high);
    if (isOwn) return changesOf(before, after, idOf(low, high));
    const known = this.#found.get(before)?.get(after);
    if (known !== undefined) return known;
    const found = changesOf(before, after, idOf(low, high));
    if (this.#found.size > SET_MAX) this.#found.clear();
    const others = this.#found.get(before) ?? new Map<EffectiveRules, readonly Change[]>();
    this.#found.set(before, others.set(after, found));
    return found;
  }
}

function isTarget({ deadLetter, deadLow, deadHigh }: EffectiveRules, low: number, high: number) {
  return deadLetter === 'move' && deadLow === low >>> 0 && deadHigh === high >>> 0;
}

function changesOf(before: EffectiveRules, after: EffectiveRules, id: bigint): Change[] {
  const [old, next] = [valuesFor(before, id), valuesFor(after, id)];
  const changes = KEY_NAMES.map((key): Change => {
    const print = ({ [key]: value }: typeof old) => printValue(key, value as never);
    return { key, before: print(old), after: print(next) };
  });
  changes.push({ key: 'virtual_parent', before: parentOf(before), after: parentOf(after) });
  return changes.filter((each) => each.before !== each.after);
}

function parentOf({ hasParent, parentLow, parentHigh }: EffectiveRules): string {
  return hasParent ? `${idOf(parentLow, parentHigh)}` : 'none';
}
