// The chances of a world, those of each matter by themselves, so that worlds in which it does not
// happen stay as they are.

import { Random } from '../support/random.ts';

const RULES_SEED = 0x5eed;
const CHANGES_SEED = 0xc4a6e;
const LATER_SEED = 0x1a7e;
const LEASES_SEED = 0x1ea5e;
const DEATHS_SEED = 0xdead;
const COPIES_SEED = 0xc0b1;
const DEDUP_SEED = 0xdd0b;
const AGES_SEED = 0xa9e;
const PAUSES_SEED = 0x9a05e;

/** Undefined: that does not happen. */
export interface Chances {
  /** Rules at all. */
  readonly rules: Random | undefined;
  /** Rules that are set while the broker runs. */
  readonly changes: Random | undefined;
  /** Messages that come later, or again. */
  readonly later: Random | undefined;
  readonly leases: Random;
  /** Messages that die, and what is given back. */
  readonly deaths: Random | undefined;
  /** Copies for other buckets. */
  readonly copies: Random | undefined;
  /** Messages that are published again and not stored. */
  readonly dedups: Random | undefined;
  /** How long messages may wait. */
  readonly ages: Random | undefined;
  /** Buckets that are paused and resumed. */
  readonly pauses: Random | undefined;
}

export function chancesOf(seed: number): Chances {
  const maybe = (salt: number, chance: number) => {
    const random = new Random(seed ^ salt);
    return random.chance(chance) ? random : undefined;
  };
  return {
    rules: maybe(RULES_SEED, 0.5),
    changes: maybe(CHANGES_SEED, 0.4),
    later: maybe(LATER_SEED, 0.7),
    leases: new Random(seed ^ LEASES_SEED),
    deaths: maybe(DEATHS_SEED, 0.7),
    copies: maybe(COPIES_SEED, 0.6),
    dedups: maybe(DEDUP_SEED, 0.5),
    ages: maybe(AGES_SEED, 0.6),
    pauses: maybe(PAUSES_SEED, 0.4),
  };
}
