// Virtual buckets of a simulated world, drawn by chances of their own, and what the model knows of
// them: whose messages their consumers may be given, and how many these hold together.

import { type Rule, ruleOfWords } from '../../src/core/rules/rule.ts';
import { Random } from '../support/random.ts';
import { isKeptOfAge } from './ages.ts';
import type { Checker } from './checker.ts';

/** Most messages in a delivery, unless a rule says otherwise. */
export const VIRTUAL_BATCH = 32;
const SEED = 0x5eed_51de;
const ORDERS = ['fair', 'fair', 'weighted', 'strict'] as const;

export class SimVirtual {
  readonly #random: Random;
  /** The virtual bucket of each source; it is one of its own. */
  readonly #parents = new Map<number, number>();
  readonly #held = new Map<number, number>();
  readonly rules: Rule[] = [];

  /** In half of the worlds that have rules, and more than one bucket. */
  static draw(seed: number, buckets: readonly number[]): SimVirtual | undefined {
    const random = new Random(seed ^ SEED);
    return random.chance(0.5) && buckets.length > 1 ? new SimVirtual(random, buckets) : undefined;
  }

  constructor(random: Random, buckets: readonly number[]) {
    this.#random = random;
    const free = [...buckets];
    for (let i = 0; i < 2 && free.length > 1; i++) {
      const [virtual] = free.splice(random.below(Math.min(free.length, 6)), 1);
      const sources = free.filter(() => random.chance(0.7));
      if (sources.length === 0) sources.push(free[0]!);
      this.#add(virtual!, sources);
      for (const source of sources) free.splice(free.indexOf(source), 1);
      if (random.chance(0.6)) break;
    }
  }

  #add(virtual: number, sources: readonly number[]): void {
    const random = this.#random;
    const order = ORDERS[random.below(ORDERS.length)]!;
    const words = [`sources=${sources.join(',')}`, `order=${order}`];
    this.rules.push(ruleOfWords(`v${virtual}`, `${virtual}`, words));
    for (const bucket of [virtual, ...sources]) {
      this.#parents.set(bucket, virtual);
      if (order === 'fair' || random.chance(0.5)) continue;
      const turn = [`weight=${1 + random.below(5)}`, `priority=${random.below(64)}`];
      this.rules.push(ruleOfWords(`w${bucket}`, `${bucket}`, turn));
    }
  }

  /** The bucket whose consumers are given what waits in one. */
  parentOf(bucket: number): number | undefined {
    return this.#parents.get(bucket);
  }

  isVirtual(bucket: number): boolean {
    return this.#parents.get(bucket) === bucket;
  }

  /** The buckets whose messages consumers of a bucket are given. */
  givenTo(bucket: number): number[] {
    if (!this.isVirtual(bucket)) return [bucket];
    return [...this.#parents].filter(([, parent]) => parent === bucket).map(([each]) => each);
  }

  /** Whom a consumer that means to take from a bucket asks for: rather its virtual one. */
  asked(bucket: number): number {
    return this.#random.chance(0.7) ? (this.parentOf(bucket) ?? bucket) : bucket;
  }

  /** So many more messages are with consumers of a bucket, or fewer; gives how many are. */
  holds(bucket: number, count: number): number {
    const held = (this.#held.get(bucket) ?? 0) + count;
    this.#held.set(bucket, held);
    return held;
  }

  /** Another life. */
  died(): void {
    this.#held.clear();
  }
}

/**
 * Messages of a bucket that a consumer of another one, or of the same, is to be given; `isLimited`:
 * the disk may be full, and what is dead waits in its line.
 */
export function givable(
  checker: Checker,
  bucket: number,
  consumed: number,
  isLimited: boolean,
): number {
  const { deaths, lines, rules } = checker;
  const line = lines.of(bucket);
  if (isLimited && line.some((each) => deaths.isDoomed(each) || isKeptOfAge(each, checker)))
    return 0;
  if (bucket !== consumed && rules?.isFull(bucket)) return 0;
  return checker.isHeldInOrder(bucket) ? 0 : line.filter((each) => !each.doubtful).length;
}
