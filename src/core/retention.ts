// Which segments may go: how many unsettled messages each holds. The log is one contiguous range,
// so it is given back from its oldest end; marks only ever point backwards, therefore nothing that
// remains can need them.

import { assert } from './assert.ts';
import type { Position } from './ports.ts';

export class Retention {
  readonly #bases: Position[] = [];
  readonly #live: number[] = [];
  #hint = 0;

  /** A segment begins at `base`. */
  open(base: Position): void {
    assert(base > (this.#bases.at(-1) ?? -1), 'segments were opened out of order');
    this.#bases.push(base);
    this.#live.push(0);
  }

  /** Messages of a record at `position` became live (positive) or settled (negative). */
  count(position: Position, messages: number): void {
    const at = this.#find(position);
    this.#live[at]! += messages;
    assert(this.#live[at]! >= 0, 'a segment has fewer than no live messages');
  }

  /** Forgets the segments before `position`. */
  trimmed(position: Position): void {
    while (this.#bases.length > 1 && this.#bases[1]! <= position) {
      this.#bases.shift();
      this.#live.shift();
    }
    this.#hint = 0;
  }

  /** Base of the oldest segment that is still needed; at most the one that holds `durable`. */
  needed(durable: Position): Position {
    let at = 0;
    while (at + 1 < this.#bases.length && this.#live[at] === 0 && this.#bases[at + 1]! <= durable)
      at++;
    return this.#bases[at] ?? 0;
  }

  #find(position: Position): number {
    const bases = this.#bases;
    let at = this.#hint;
    if (bases[at]! <= position && (at + 1 === bases.length || position < bases[at + 1]!)) return at;
    let low = 0;
    let high = bases.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (bases[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    at = low;
    assert(bases[at]! <= position, `position ${position} is before the start of the log`);
    this.#hint = at;
    return at;
  }
}
