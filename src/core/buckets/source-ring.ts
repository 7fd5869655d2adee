// The sources of one virtual bucket that have something to give, each in its turn: a ring through
// the slots of known buckets (slot-links.ts), the next one first, or, in strict order, a ring for
// each priority, of which the highest goes first. Whoever joins stands behind all others. Beside it
// stand those that are out of the ring for a while, because they are read from disk, and those that
// have suspects, which are given out apart.

import type { RuleValues } from '../rules/keys.ts';
import type { SlotLinks } from './slot-links.ts';

/** Priorities are below this. */
const PRIORITIES = 64;

/** A virtual bucket, and what its consumers share. */
export class SourceRing {
  readonly low: number;
  readonly high: number;
  /** Of the virtual bucket itself, which is one of its sources; 0: it is not known now. */
  slot = 0;
  order: RuleValues['order'] = 'fair';
  readonly #links: SlotLinks;
  // The next one of each priority; 0: none has it. Those that somebody has, as two times 32 bits.
  readonly #next = new Uint32Array(PRIORITIES);
  readonly #has = new Uint32Array(2);
  /** Sources in the ring. */
  count = 0;
  /** Messages that the next source may give until its turn is over; 0: it is yet to begin. */
  left = 0;
  /** How many messages may be taken of what was found next. */
  room = 0;
  /** Sources of which what comes next is on its way from disk. */
  readonly reading = new Set<number>();
  /** Sources that could not be looked into just now. */
  readonly stalled = new Set<number>();
  /** Sources that have suspects. */
  readonly apart = new Set<number>();
  /** Whether the next delivery is of suspects, and whether the last one was. */
  isApart = false;
  wasApart = false;
  /** Messages that consumers of the virtual bucket hold, and how many of them hold suspects. */
  held = 0;
  holders = 0;

  constructor(low: number, high: number, links: SlotLinks) {
    this.low = low;
    this.high = high;
    this.#links = links;
  }

  /** The source that is next; 0: none. */
  get first(): number {
    return this.count === 0 ? 0 : this.#next[this.#top]!;
  }

  /** The highest priority of a source in the ring. */
  get #top(): number {
    const above = this.#has[1]!;
    return above === 0 ? 31 - Math.clz32(this.#has[0]!) : 63 - Math.clz32(above);
  }

  /** Whether one with a higher priority is in the ring. */
  hasAbove(priority: number): boolean {
    return this.count > 0 && this.#top > priority;
  }

  /** A source joins behind all others; `isFirst`: before them, as its turn had come already. */
  add(slot: number, priority: number, isFirst: boolean): void {
    const next = this.#next[priority]!;
    this.#links.insert(slot, next);
    if (next === 0) this.#has[priority >>> 5]! |= 1 << (priority & 31);
    if (next === 0 || isFirst) this.#next[priority] = slot;
    if (isFirst || this.order === 'strict') this.left = 0;
    this.count++;
  }

  /** A source leaves. */
  remove(slot: number, priority: number): void {
    const behind = this.#links.next(slot);
    if (slot === this.first) this.left = 0;
    if (this.#next[priority] === slot) this.#next[priority] = behind === slot ? 0 : behind;
    if (behind === slot) this.#has[priority >>> 5]! &= ~(1 << (priority & 31));
    this.#links.remove(slot);
    this.count--;
  }

  /** The turn of the next one is over: it stands behind all others. */
  rotate(): void {
    const top = this.#top;
    this.#next[top] = this.#links.next(this.#next[top]!);
    this.left = 0;
  }

  /** Whether consumers may hold more suspects: at most half of them do, and at least one. */
  mayBeApart(consumers: number): boolean {
    return this.holders < Math.max(1, consumers >>> 1);
  }

  /** A delivery was sent, of messages of a level. */
  delivered(level: number): void {
    this.wasApart = level > 0;
    if (level > 0) this.holders++;
  }

  /** A consumer holds nothing of a delivery any more that was of suspects. */
  returned(): void {
    this.holders = Math.max(0, this.holders - 1);
  }

  /** Nobody stands in it any more: their links are gone. */
  clear(): void {
    this.#next.fill(0);
    this.#has.fill(0);
    this.count = 0;
    this.left = 0;
    for (const set of [this.reading, this.stalled, this.apart]) set.clear();
  }
}
