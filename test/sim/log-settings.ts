// All that operators of a simulated world set while the broker runs, for whoever asks of it: rules
// (settings.ts) and pauses, told apart by what their messages say.

import type { Run } from '../../src/core/ports/observer.ts';
import type { BatchRead } from './batch.ts';
import type { Chances } from './chances.ts';
import type { Checker } from './checker.ts';
import { isPause, type PausingLife, SimPauses } from './pauses.ts';
import type { SimSettings } from './settings.ts';

export class LogSettings {
  readonly #rules: SimSettings | undefined;
  readonly #pauses: SimPauses | undefined;

  private constructor(rules: SimSettings | undefined, pauses: SimPauses | undefined) {
    this.#rules = rules;
    this.#pauses = pauses;
  }

  /** Undefined: nothing is set in such a world. */
  static of(chances: Chances, buckets: readonly number[], checker: Checker) {
    const { tally, rules } = checker;
    const mayRefuse = () => checker.mayRefuse;
    const pauses = chances.pauses && new SimPauses(chances.pauses, buckets, { tally, mayRefuse });
    const set = rules?.settings;
    if (set !== undefined) set.mayRefuse = mayRefuse;
    return set === undefined && pauses === undefined ? undefined : new LogSettings(set, pauses);
  }

  /** Settings that the broker has not let go. */
  get count(): number {
    return (this.#rules?.count ?? 0) + (this.#pauses?.count ?? 0);
  }

  /** Whether a message of that sequence is a setting. */
  has(sequence: number): boolean {
    return this.#rules?.has(sequence) === true || this.#pauses?.has(sequence) === true;
  }

  /** Whether any bucket is paused. */
  get isPausing(): boolean {
    return this.#pauses?.isAny === true;
  }

  written(read: BatchRead): void {
    const [rules, pauses] = apart(read);
    this.#rules?.written(rules);
    this.#pauses?.written(pauses);
  }

  apply(read: BatchRead): void {
    const [rules, pauses] = apart(read);
    this.#rules?.apply(rules);
    this.#pauses?.apply(pauses);
  }

  delivered({ bucketLow, bucketHigh }: Run): void {
    this.#pauses?.delivered(bucketHigh * 2 ** 32 + bucketLow);
  }

  judge(): void {
    this.#rules?.judge();
    this.#pauses?.judge();
  }

  died(): void {
    this.#rules?.died();
    this.#pauses?.died();
  }

  opened(life: PausingLife): void {
    if (this.#rules !== undefined) this.#rules.force = life.broker.rulesInForce;
    this.#pauses?.opened(life);
  }

  /** Now and then somebody changes something; `common`: what is set for all. */
  maybe(common: { max_in_flight: number } | undefined): void {
    if (common !== undefined) this.#rules?.maybe(common);
    this.#pauses?.maybe();
  }

  /** Nothing is held back any more by what is set. */
  calm(): void {
    this.#pauses?.calm();
  }
}

function apart(read: BatchRead): [rules: BatchRead, pauses: BatchRead] {
  const { settings } = read;
  const rules = settings.filter((each) => !isPause(each));
  return [
    { ...read, settings: rules },
    { ...read, settings: settings.filter(isPause) },
  ];
}
