// What waits to be moved, run by run, in the order in which it came.

import { REASON_DELIVERIES, REASON_REJECTED } from '../../../assembly/layout-placed.ts';
import type { Slice } from '../buckets/slice.ts';
import type { MoveOrder } from './destination.ts';

/** Messages of one record that go the same way. */
export interface Move {
  /** The queue's own: what is left of them. */
  part: Slice;
  order: MoveOrder;
}

/** Whether messages that are moved for a REASON failed: others are only too old, or too many. */
export function isCharged(reason: number): boolean {
  return reason === REASON_DELIVERIES || reason === REASON_REJECTED;
}

// What is before the first is given back to memory when it is that much.
const PASSED_MAX = 1024;

export class MoveQueue {
  #moves: Move[] = [];
  #at = 0; // of the first
  readonly #bySlot = new Map<number, number>();

  get runs(): number {
    return this.#moves.length - this.#at;
  }

  /** The first run; there is one. */
  get first(): Move {
    return this.#moves[this.#at]!;
  }

  /** Whether messages of a bucket are in it. */
  has(slot: number): boolean {
    return this.#bySlot.has(slot);
  }

  push(move: Move): void {
    const { slot } = move.part;
    this.#moves.push(move);
    this.#bySlot.set(slot, (this.#bySlot.get(slot) ?? 0) + 1);
  }

  /** Takes the first run out of it. */
  shift(): Move {
    const move = this.first;
    const { slot } = move.part;
    const left = this.#bySlot.get(slot)! - 1;
    if (left > 0) this.#bySlot.set(slot, left);
    else this.#bySlot.delete(slot);
    this.#at++;
    if (this.#at >= PASSED_MAX && this.#at * 2 >= this.#moves.length) {
      this.#moves = this.#moves.slice(this.#at);
      this.#at = 0;
    }
    return move;
  }

  /** Shows what is left in it. */
  each(look: (part: Slice) => void): void {
    for (let at = this.#at; at < this.#moves.length; at++) look(this.#moves[at]!.part);
  }
}
