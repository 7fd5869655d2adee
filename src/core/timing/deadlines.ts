// When each of many connections has to be looked at: slots of time (a timer wheel), so that a tick
// touches those that are due and no others.

import { TICK_MS } from './alarm.ts';

/** Whoever has deadlines keeps its slot here; -1: none. */
export interface Timed {
  slot: number;
}

// Deadlines are met up to so much late, and never early.
const SLOT_MS = TICK_MS;
// Looked at in one tick: of many that are due at once a tenth, so that the last wait for ten ticks
// and nobody's messages for all of them.
const LOOKS_MIN = 1024;
const LOOKS_SHARE = 0.1;

export class Deadlines<T> {
  readonly #slots = new Map<number, Set<T>>();
  readonly #slotOf: (item: T) => Timed;
  #first = Number.POSITIVE_INFINITY;
  #past = -1; // slots up to here have been looked at
  #count = 0;

  constructor(slotOf: (item: T) => Timed) {
    this.#slotOf = slotOf;
  }

  /** When the next ones are due, in ms; Infinity: never. */
  get nextMs(): number {
    return this.#first * SLOT_MS;
  }

  /** Is to be looked at when it is `dueMs`. Once: if that is to be earlier already, so it stays. */
  set(item: T, dueMs: number): void {
    const timed = this.#slotOf(item);
    if (timed.slot >= 0 && timed.slot * SLOT_MS <= dueMs) return;
    const slot = Math.max(Math.ceil(dueMs / SLOT_MS), this.#past + 1);
    if (slot === timed.slot) return;
    this.delete(item);
    timed.slot = slot;
    this.#count++;
    const there = this.#slots.get(slot);
    if (there !== undefined) {
      there.add(item);
      return;
    }
    this.#slots.set(slot, new Set([item]));
    if (slot < this.#first) this.#first = slot;
  }

  /** Need not be looked at any more. */
  delete(item: T): void {
    const timed = this.#slotOf(item);
    const { slot } = timed;
    if (slot < 0) return;
    timed.slot = -1;
    this.#count--;
    const there = this.#slots.get(slot)!;
    there.delete(item);
    if (there.size === 0) this.#drop(slot);
  }

  #drop(slot: number): void {
    this.#slots.delete(slot);
    if (slot !== this.#first) return;
    this.#first = Number.POSITIVE_INFINITY;
    for (const each of this.#slots.keys()) if (each < this.#first) this.#first = each;
  }

  /** Time passes: looks at those that are due, a bounded number of them; each may be set anew. */
  advance(nowMs: number, look: (item: T) => void): void {
    const last = Math.floor(nowMs / SLOT_MS);
    this.#past = last;
    let left = Math.max(LOOKS_MIN, Math.ceil(this.#count * LOOKS_SHARE));
    while (this.#first <= last && left > 0) {
      for (const item of this.#slots.get(this.#first)!) {
        if (left-- === 0) return;
        this.delete(item);
        look(item);
      }
    }
  }
}
