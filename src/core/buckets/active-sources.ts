// Which buckets are sources of virtual buckets, and which of them have something to give. Kept for
// virtual buckets that somebody has consumed; where there are none, nothing of this costs anything.
// Who is told what, and what keeps a source back, is for others to decide.

import { KIND_LIVE } from '../../../assembly/layout-placed.ts';
import type { EffectiveRules } from '../rules/effective.ts';
import { SET_MAX } from '../rules/rule-table.ts';
import type { BucketRules } from './bucket-rules.ts';
import {
  type BucketTable,
  COUNTED,
  countsAt,
  FLAGS,
  KIND_BITS,
  OLDER,
  READY,
  wordsAt,
} from './bucket-table.ts';
import { SlotLinks } from './slot-links.ts';
import { SourceRing } from './source-ring.ts';

/** What happens to known buckets. */
export interface SourceEvents {
  /** A source is about to be forgotten; `isLeft`: it may have messages all the same. */
  forgotten(slot: number, isLeft: boolean): void;
}

export class ActiveSources {
  readonly #table: BucketTable;
  readonly #rules: BucketRules;
  readonly #links = new SlotLinks();
  readonly #rings = new Map<string, SourceRing>();
  // The ring of buckets with the same rules. Sets outlive their numbers.
  readonly #bySet = new Map<EffectiveRules, SourceRing | undefined>();
  /** Sources of which fewer messages are out, or more are ready, than there were. */
  readonly changed: number[] = [];
  /** Whether there is any virtual bucket to be kept. */
  isOn = false;
  events: SourceEvents = { forgotten: () => {} };

  constructor(table: BucketTable, rules: BucketRules) {
    this.#table = table;
    this.#rules = rules;
  }

  get rings(): Iterable<SourceRing> {
    return this.#rings.values();
  }

  /** Sources in the rings of all virtual buckets. */
  get count(): number {
    let count = 0;
    for (const ring of this.#rings.values()) count += ring.count;
    return count;
  }

  get bytes(): number {
    return this.#links.bytes;
  }

  /** The ring in which a bucket stands, or may stand; it is that of its virtual bucket. */
  ringOf(slot: number): SourceRing | undefined {
    return this.#isLive(slot) ? this.#ofSet(this.#rules.of(slot)) : undefined;
  }

  // What is dead is no source, and nobody is given what is in others instead.
  #isLive(slot: number): boolean {
    const { words } = this.#table.page(slot);
    return (words[wordsAt(slot) + FLAGS]! & KIND_BITS) === KIND_LIVE;
  }

  /** The same for a bucket that may not be known. */
  ringFor(low: number, high: number): SourceRing | undefined {
    return this.#ofSet(this.#rules.for(low, high));
  }

  #ofSet(rules: EffectiveRules): SourceRing | undefined {
    if (!rules.hasParent) return undefined;
    const known = this.#bySet.get(rules);
    if (known !== undefined || this.#bySet.has(rules)) return known;
    if (this.#bySet.size > SET_MAX) this.#bySet.clear();
    const ring = this.#rings.get(keyOf(rules.parentLow, rules.parentHigh));
    this.#bySet.set(rules, ring);
    return ring;
  }

  /** The ring of a known virtual bucket, made if it is not there; undefined: it is not virtual. */
  open(slot: number): SourceRing | undefined {
    if (this.#rules.table === undefined || !this.#isLive(slot)) return undefined;
    const { isVirtual, order, parentLow: low, parentHigh: high } = this.#rules.of(slot);
    if (!isVirtual) return undefined;
    const key = keyOf(low, high);
    let ring = this.#rings.get(key);
    if (ring === undefined) {
      ring = new SourceRing(low, high, this.#links);
      this.#rings.set(key, ring);
      this.#bySet.clear();
      this.isOn = true;
    }
    ring.slot = slot;
    ring.order = order;
    return ring;
  }

  /** Other rules are in force: nobody stands in a ring, and only virtual buckets have one. */
  clear(): void {
    this.#links.clear();
    this.#bySet.clear();
    for (const [key, ring] of this.#rings) {
      ring.clear();
      const { isVirtual, order } = this.#rules.for(ring.low, ring.high);
      ring.order = order;
      if (!isVirtual) this.#rings.delete(key);
    }
    this.isOn = this.#rings.size > 0;
  }

  /** Whether a bucket is in its ring, or had its turn and is to stay out of it for now. */
  has(slot: number): boolean {
    return this.#links.has(slot);
  }

  /** Whether messages of a bucket are ready, or may be, in indexes that nobody looked into. */
  mayHave(slot: number): boolean {
    const { counts, words } = this.#table.page(slot);
    if (counts[countsAt(slot) + READY]! > 0) return true;
    return (words[wordsAt(slot) + FLAGS]! & (OLDER | COUNTED)) === OLDER;
  }

  /** A bucket joins its ring, in which it is not. */
  add(ring: SourceRing, slot: number, isFirst = false): void {
    ring.add(slot, this.#priorityOf(ring, slot), isFirst);
  }

  /** A bucket leaves its ring, in which it is. */
  remove(ring: SourceRing, slot: number): void {
    ring.remove(slot, this.#priorityOf(ring, slot));
  }

  /** The next bucket of a ring had its turn: it leaves, and stays out until `wake`. */
  rest(ring: SourceRing, slot: number): void {
    this.remove(ring, slot);
    this.#links.rest(slot, true);
  }

  /** A bucket may join its ring again. */
  wake(slot: number): void {
    if (this.#links.rests(slot)) this.#links.rest(slot, false);
  }

  /** Messages of a bucket in its turn. */
  quantumOf(ring: SourceRing, slot: number): number {
    return ring.order === 'weighted' ? this.#rules.of(slot).weight : 1;
  }

  #priorityOf(ring: SourceRing, slot: number): number {
    return ring.order === 'strict' ? this.#rules.of(slot).priority : 0;
  }

  /** Messages of a bucket are not out any more, or are ready again. */
  change(slot: number): void {
    const { changed } = this;
    if (changed[changed.length - 1] !== slot) changed.push(slot);
  }

  /** A bucket is about to be forgotten. */
  forget(slot: number): void {
    const ring = this.ringOf(slot);
    if (ring === undefined) return;
    this.events.forgotten(slot, this.mayHave(slot));
    this.wake(slot);
    if (this.has(slot)) this.remove(ring, slot);
    for (const set of [ring.reading, ring.stalled, ring.apart]) set.delete(slot);
    if (ring.slot === slot) ring.slot = 0;
  }
}

function keyOf(low: number, high: number): string {
  return `${high >>> 0} ${low >>> 0}`;
}
