// Rings of slots: of each slot the next and the one before it, beside the slots, in pages that are
// made when one of their slots is in a ring. A slot is in one ring at most.

import { assert } from '../assert.ts';
import { PAGE_BITS } from './bucket-table.ts';

const PAGE = 1 << PAGE_BITS;
const MASK = PAGE - 1;
// Instead of the next one: it is in no ring, and is to stay out of it for now.
const RESTS = 0xffff_ffff;

export class SlotLinks {
  // Of each slot: next, before. 0: none.
  #pages: (Uint32Array | undefined)[] = [];

  /** Bytes of the pages that there are. */
  get bytes(): number {
    return this.#pages.filter((page) => page !== undefined).length * PAGE * 8;
  }

  /** The slot behind one; 0: it is in no ring. */
  next(slot: number): number {
    return this.#pages[slot >>> PAGE_BITS]?.[(slot & MASK) * 2] ?? 0;
  }

  /** Whether a slot is in a ring, or is to stay out of it. */
  has(slot: number): boolean {
    return this.next(slot) !== 0;
  }

  /** Whether a slot is to stay out of a ring. */
  rests(slot: number): boolean {
    return this.next(slot) === RESTS;
  }

  /** Puts a slot before `behind`, which is in a ring; 0: alone in one. */
  insert(slot: number, behind: number): void {
    assert(!this.has(slot), 'a slot joined a ring while it was in one');
    if (behind === 0) {
      this.#set(slot, slot, slot);
      return;
    }
    const before = this.#before(behind);
    this.#set(slot, behind, before);
    this.#pages[before >>> PAGE_BITS]![(before & MASK) * 2] = slot;
    this.#pages[behind >>> PAGE_BITS]![(behind & MASK) * 2 + 1] = slot;
  }

  /** Takes a slot out of its ring. */
  remove(slot: number): void {
    const [next, before] = [this.next(slot), this.#before(slot)];
    assert(next !== 0 && next !== RESTS, 'a slot left a ring that it was not in');
    this.#pages[before >>> PAGE_BITS]![(before & MASK) * 2] = next;
    this.#pages[next >>> PAGE_BITS]![(next & MASK) * 2 + 1] = before;
    this.#set(slot, 0, 0);
  }

  /** A slot that is in no ring is to stay so, or not any more. */
  rest(slot: number, rests: boolean): void {
    this.#set(slot, rests ? RESTS : 0, 0);
  }

  /** No slot is in any ring. */
  clear(): void {
    this.#pages = [];
  }

  #before(slot: number): number {
    return this.#pages[slot >>> PAGE_BITS]![(slot & MASK) * 2 + 1]!;
  }

  #set(slot: number, next: number, before: number): void {
    const number = slot >>> PAGE_BITS;
    this.#pages[number] ??= new Uint32Array(PAGE * 2);
    this.#pages[number]![(slot & MASK) * 2] = next;
    this.#pages[number]![(slot & MASK) * 2 + 1] = before;
  }
}
