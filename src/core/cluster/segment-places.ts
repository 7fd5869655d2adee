// In which message of the stream each segment of the log begins, so that the stream can be purged
// where the log is trimmed.

import type { Position } from '../ports/basics.ts';
import type { CountedBatch } from './counting.ts';

/** A segment of the log, and the number of the message in which its first batch begins. */
export interface SegmentPlace {
  /** Of that batch, in the log. */
  readonly position: Position;
  readonly sequence: number;
}

export class SegmentPlaces {
  readonly #places: SegmentPlace[];
  #closed = false;

  constructor(places: readonly SegmentPlace[]) {
    this.#places = [...places];
  }

  get all(): readonly SegmentPlace[] {
    return this.#places;
  }

  /** The next batch that counts; `closes`: its segment ends with it. */
  add({ position, sequence }: CountedBatch, closes: boolean): void {
    const last = this.#places.at(-1);
    const begins = last === undefined || (this.#closed && position > last.position);
    if (begins) this.#places.push({ position, sequence });
    this.#closed = closes;
  }

  /** Up to which number the stream can go, as nothing before log position `position` is needed: that
   * of the last known segment at or before it. Undefined if none is known. */
  numberOf(position: Position): number | undefined {
    const at = this.#places.findLastIndex((each) => each.position <= position);
    if (at > 0) this.#places.splice(0, at);
    return at < 0 ? undefined : this.#places[0]!.sequence;
  }
}
