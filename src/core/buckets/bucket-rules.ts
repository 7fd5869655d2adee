// Which rules are in force for a known bucket, by slot. The number of its set stands in the free
// bits of the slot's FLAGS, with the version of the table that it was looked up in, so that asking
// again is reading an array, and no slot grows. When the table changes, or gives its numbers anew,
// the version does, and each bucket is looked up again when it is asked about: no sweep.
//
//   FLAGS:  31 … 22 version, 0: never looked up   21 … 8 number of the set   7 … 0 flags and kind

import type { EffectiveRules } from '../rules/effective.ts';
import type { RuleTable } from '../rules/rule-table.ts';
import {
  type BucketTable,
  FLAGS,
  HIGH,
  LOW,
  PAGE_BITS,
  type Page,
  RULES_SHIFT,
  wordsAt,
} from './bucket-table.ts';

const SET_BITS = 14;
const SET_MASK = (1 << SET_BITS) - 1;
const VERSION_SHIFT = RULES_SHIFT + SET_BITS;
const VERSION_MAX = 2 ** (32 - VERSION_SHIFT) - 1;
const FLAGS_MASK = (1 << RULES_SHIFT) - 1;

export class BucketRules {
  readonly #pages: BucketTable['pages'];
  #table!: RuleTable;
  #generation = 0;
  #version = 0;

  constructor(pages: BucketTable['pages']) {
    this.#pages = pages;
  }

  /** Undefined: there are no rules, and nobody may ask what is in force. */
  get table(): RuleTable | undefined {
    return this.#table;
  }

  /** Goes by a table from now on. */
  use(table: RuleTable): void {
    this.#table = table;
    this.#renew();
  }

  /** What is in force for the bucket of a slot. */
  of(slot: number): EffectiveRules {
    const word = this.#page(slot).words[wordsAt(slot) + FLAGS]!;
    if (word >>> VERSION_SHIFT === this.#version)
      return this.#table.setOf((word >>> RULES_SHIFT) & SET_MASK);
    return this.#lookUp(slot);
  }

  /** The same for a bucket that may not be known. */
  for(low: number, high: number): EffectiveRules {
    return this.#table.setOf(this.#resolve(low, high));
  }

  #page(slot: number): Page {
    return this.#pages[slot >>> PAGE_BITS]!;
  }

  #lookUp(slot: number): EffectiveRules {
    const { words } = this.#page(slot);
    const at = wordsAt(slot);
    const number = this.#resolve(words[at + LOW]!, words[at + HIGH]!);
    const rules = (this.#version << VERSION_SHIFT) | (number << RULES_SHIFT);
    words[at + FLAGS] = (words[at + FLAGS]! & FLAGS_MASK) | rules;
    return this.#table.setOf(number);
  }

  #resolve(low: number, high: number): number {
    const number = this.#table.resolve(low, high);
    if (this.#table.generation !== this.#generation) this.#renew();
    return number;
  }

  // No number that stands in a slot means anything any more.
  #renew(): void {
    this.#generation = this.#table.generation;
    if (this.#version < VERSION_MAX) {
      this.#version++;
      return;
    }
    this.#version = 1;
    for (const page of this.#pages)
      for (let at = FLAGS; page !== undefined && at < page.words.length; at += wordsAt(1))
        page.words[at]! &= FLAGS_MASK;
  }
}
