// Deferrals that a compaction goes through: of those that speak of one message the one with the
// highest turn stays, of equals the last, as a start would fold them.

import { PagedNumbers } from '../../core/collections/paged-numbers.ts';
import type { Deferral } from '../../core/records/placed.ts';

export class FoldedDeferrals {
  readonly #all: Deferral[] = [];
  // For each message its place in the list, from 1 on.
  readonly #winners = new PagedNumbers();

  /** Adds one that stands behind all before it; about messages from sequence `oldest` on. */
  add(deferral: Deferral, oldest: number): void {
    const first = Math.max(deferral.sequence, oldest);
    const end = deferral.sequence + deferral.count;
    if (first >= end) return;
    this.#all.push(deferral);
    const place = this.#all.length;
    for (let at = first; at < end; at++) {
      const before = this.#all[this.#winners.get(at) - 1];
      if (before === undefined || before.turn <= deferral.turn) this.#winners.set(at, 1, place);
    }
  }

  /** What is left of them, about messages that are to be `kept`; neighbours stay together. */
  *left(kept: (sequence: number) => boolean): Generator<Deferral> {
    for (const [i, deferral] of this.#all.entries()) {
      const end = deferral.sequence + deferral.count;
      const isIts = (sequence: number) =>
        sequence < end && this.#winners.get(sequence) === i + 1 && kept(sequence);
      for (let at = deferral.sequence; at < end; at++) {
        if (!isIts(at)) continue;
        let to = at + 1;
        while (isIts(to)) to++;
        yield { ...deferral, sequence: at, count: to - at };
        at = to;
      }
    }
  }
}
