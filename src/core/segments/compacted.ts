// What is known of complete segments whose records a start reads, or that followed: where their
// messages end, which of them were compacted before, so that sequences are missing in them, and of
// which of those it is in doubt how much is left, as marks spoke of what may not be there.

import type { Position } from '../ports/basics.ts';

export class CompactedSegments {
  readonly #sparse = new Set<Position>();
  readonly #doubtful = new Set<Position>();
  readonly #ends = new Map<Position, number>();

  /** A compacted segment begins whose records follow. */
  begun(base: Position): void {
    this.#sparse.add(base);
  }

  /** `end`: sequence behind the last message of a segment, if that is not known yet. */
  ended(base: Position, end: number): void {
    if (!this.#ends.has(base)) this.#ends.set(base, end);
  }

  /** Sequence behind the last message of a segment; infinite while it goes on. */
  endOf(base: Position): number {
    return this.#ends.get(base) ?? Number.POSITIVE_INFINITY;
  }

  /** Marks speak of a segment: whether of what may not be in it, which must be counted then. */
  doubts(base: Position): boolean {
    if (!this.#sparse.has(base)) return false;
    this.#doubtful.add(base);
    return true;
  }

  /** Segments that must be counted again. */
  get doubtful(): Iterable<Position> {
    return this.#doubtful;
  }

  /** What a segment holds was counted; with `isKnown`, all that is missing in it is settled now. */
  counted(base: Position, isKnown: boolean): void {
    this.#doubtful.delete(base);
    if (isKnown) this.#sparse.delete(base);
  }

  /** The segments from `base` to before `end` are one now; `isThere`: it was not given back. */
  merged(base: Position, end: Position, isThere: boolean): void {
    const within = (each: Position) => each >= base && each < end;
    const ends = [...this.#ends].filter(([each]) => within(each));
    for (const [each] of ends) this.#ends.delete(each);
    if (ends.length > 0 && isThere) this.#ends.set(base, Math.max(...ends.map(([, last]) => last)));
    for (const bases of [this.#sparse, this.#doubtful]) {
      const some = [...bases].filter(within);
      for (const each of some) bases.delete(each);
      if (some.length > 0 && isThere) bases.add(base);
    }
  }

  /** Those before `oldest` are not in the log any more. */
  trimmed(oldest: Position): void {
    for (const bases of [this.#ends, this.#sparse, this.#doubtful])
      for (const base of bases.keys()) if (base < oldest) bases.delete(base);
  }
}
