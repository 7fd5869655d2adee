// A set of rules, compiled: which values are in force for a bucket, and which rule each is from.
// A table never changes; another set is another table.
//
// A bucket has a state, which matcher decides each column: by the intervals that it lies in, then
// changed by each entry of a mask that it agrees with. Where that leads to is found out when it is
// first met, and remembered. States with the same values share a number of a set. Numbers are given
// as they are asked for; if they ever run out they are given anew, and the generation counts it.

import { type EffectiveRules, effectiveOf, valuesFor, valuesOf } from './effective.ts';
import { Interned, PairTable } from './interned.ts';
import { KEY_NAMES, printValue, type RuleKeyName } from './keys.ts';
import { IntervalIndex, MaskIndex } from './lookup.ts';
import { highOf, lowOf } from './match.ts';
import { COLUMNS, type Matcher, type Matchers, PARENT } from './matchers.ts';
import type { Rule } from './rule.ts';

/** The highest number of a set; 0 is that of no rule at all. */
export const SET_MAX = 16_383;
/** States and steps between them that are remembered beyond those of intervals. */
const REMEMBERED_MAX = 65_536;

export interface Explanation {
  bucket: bigint;
  keys: { key: RuleKeyName; value: string; rule: string | undefined }[];
  /** The virtual bucket whose consumers are given what waits here, and the rule that says so. */
  parent: { bucket: bigint; rule: string } | undefined;
}

export class RuleTable {
  readonly rules: readonly Rule[];
  readonly #matchers: readonly Matcher[];
  readonly #values: Matchers['values'];
  readonly #states = new Interned(COLUMNS);
  readonly #intervals: IntervalIndex;
  readonly #masks: MaskIndex;
  readonly #statesOfIntervals: number;
  readonly #steps = new PairTable();
  readonly #sets = new Interned(COLUMNS);
  #effective: EffectiveRules[] = [];
  // Number of the set of a state, or -1.
  #numbers: Int32Array;
  readonly #vector = new Uint16Array(COLUMNS);
  #generation = 0;

  /** Rules that were checked: see `compileRules`. */
  constructor(rules: readonly Rule[], { list, values }: Matchers) {
    this.rules = rules;
    this.#matchers = list;
    this.#values = values;
    this.#intervals = new IntervalIndex(list, this.#states);
    this.#masks = new MaskIndex(list);
    this.#statesOfIntervals = this.#states.count;
    this.#numbers = new Int32Array(this.#statesOfIntervals).fill(-1);
    this.#takeUnset();
  }

  /** Numbers of sets that were given in another generation mean nothing any more. */
  get generation(): number {
    return this.#generation;
  }

  /** Sets that have a number. */
  get setCount(): number {
    return this.#effective.length;
  }

  /** Bytes of its arrays. */
  get bytes(): number {
    const found = this.#intervals.bytes + this.#masks.bytes + this.#numbers.byteLength;
    return found + this.#states.bytes + this.#sets.bytes + this.#steps.bytes;
  }

  /** Number of the set that is in force for a bucket, 0 … SET_MAX. Words may be signed. */
  resolve(low: number, high: number): number {
    const state = this.#stateOf(low, high);
    const number = this.#numbers[state]!;
    return number >= 0 ? number : this.#number(state, low, high);
  }

  /** The set of a number that `resolve` returned. */
  setOf(number: number): EffectiveRules {
    return this.#effective[number]!;
  }

  /** What is in force for a bucket. */
  effectiveFor(id: bigint): EffectiveRules {
    return this.setOf(this.resolve(lowOf(id), highOf(id)));
  }

  /** The rule that decides a key of a bucket, or undefined: the default does. */
  ruleFor(id: bigint, key: RuleKeyName): Rule | undefined {
    return this.#winner(id, KEY_NAMES.indexOf(key));
  }

  /** Each key of a bucket, and where its value is from. */
  explain(id: bigint): Explanation {
    const effective = this.effectiveFor(id);
    const values = valuesFor(effective, id);
    const keys = KEY_NAMES.map((key, column) => ({
      key,
      value: printValue(key, values[key] as never),
      rule: this.#winner(id, column)?.name,
    }));
    const rule = this.#winner(id, PARENT)?.name;
    if (rule === undefined) return { bucket: id, keys, parent: undefined };
    const bucket = (BigInt(effective.parentHigh) << 32n) | BigInt(effective.parentLow);
    return { bucket: id, keys, parent: { bucket, rule } };
  }

  #winner(id: bigint, column: number): Rule | undefined {
    const number = this.#states.at(this.#stateOf(lowOf(id), highOf(id)), column);
    return number === 0 ? undefined : this.#matchers[number - 1]!.rule;
  }

  #stateOf(low: number, high: number): number {
    let state = this.#intervals.stateOf(low, high);
    for (let group = 0; group < this.#masks.groups; group++) {
      const entry = this.#masks.entryOf(group, low, high);
      if (entry === 0) continue;
      const next = this.#steps.get(state, entry);
      state = next >= 0 ? next : this.#step(state, entry);
      // Too much was remembered: what this state was is forgotten, too.
      if (state < 0) return this.#stateOf(low, high);
    }
    return state;
  }

  // Where an entry leads from a state; -1 when there was no room left and all was forgotten.
  #step(state: number, entry: number): number {
    const remembered = this.#states.count - this.#statesOfIntervals;
    if (remembered >= REMEMBERED_MAX || this.#steps.count >= 2 * REMEMBERED_MAX) {
      this.#forget();
      return -1;
    }
    const vector = this.#vector;
    this.#states.read(state, vector);
    for (const number of this.#masks.entries[entry]!) {
      const { match, columns } = this.#matchers[number]!;
      for (const column of columns) {
        const other = vector[column]!;
        if (other === 0 || match.count < this.#matchers[other - 1]!.match.count)
          vector[column] = number + 1;
      }
    }
    const next = this.#states.numberOf(vector);
    this.#steps.add(state, entry, next);
    this.#makeRoom(next);
    return next;
  }

  #makeRoom(state: number): void {
    if (state < this.#numbers.length) return;
    const numbers = new Int32Array(this.#numbers.length * 2 + 64).fill(-1);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
  }

  // Gives the set of a state its number.
  #number(state: number, low: number, high: number): number {
    const vector = this.#vector;
    for (let column = 0; column < COLUMNS; column++) vector[column] = this.#valueOf(state, column);
    const number = this.#sets.numberOf(vector);
    if (number > SET_MAX) {
      this.#forget();
      return this.resolve(low, high);
    }
    if (number === this.#effective.length) this.#effective.push(this.#effectiveOf(vector));
    this.#numbers[state] = number;
    return number;
  }

  // Number of the value that a column has in a state.
  #valueOf(state: number, column: number): number {
    const winner = this.#states.at(state, column);
    if (winner === 0) return 0;
    const { columns, values } = this.#matchers[winner - 1]!;
    return values[columns.indexOf(column)]!;
  }

  #effectiveOf(vector: Uint16Array): EffectiveRules {
    const values = valuesOf((column) => this.#values[column]![vector[column]!]);
    return effectiveOf(values, this.#values[PARENT]![vector[PARENT]!] as bigint | undefined);
  }

  // States and numbers are given anew from here on.
  #forget(): void {
    this.#generation += 1;
    this.#states.truncate(this.#statesOfIntervals);
    this.#steps.clear();
    this.#sets.truncate(0);
    this.#effective = [];
    this.#numbers = new Int32Array(this.#statesOfIntervals).fill(-1);
    this.#takeUnset();
  }

  // Number 0 is that of no rule at all, whether or not a bucket has none.
  #takeUnset(): void {
    this.#vector.fill(0);
    this.#effective.push(this.#effectiveOf(this.#vector));
    this.#sets.numberOf(this.#vector);
  }
}
