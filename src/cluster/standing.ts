// Where the log here certainly stands in the stream, and where each of its segments begins there:
// what a node goes on from when it reads again, and remembers for its next start.

import type { Place } from '../core/cluster/counting.ts';
import type { Ownership } from '../core/cluster/ownership.ts';
import type { SegmentPlace } from '../core/cluster/segment-places.ts';
import type { Position } from '../core/ports/basics.ts';

export class Standing {
  #place: Place | undefined;
  #segments: readonly SegmentPlace[];

  constructor(place: Place | undefined, segments: readonly SegmentPlace[]) {
    this.#place = place;
    this.#segments = segments;
  }

  /** Undefined: the stream is read from its first message. */
  get place(): Place | undefined {
    return this.#place;
  }

  get segments(): readonly SegmentPlace[] {
    return this.#segments;
  }

  /** Takes what was read or published, unless it is not on this disk yet, which ends at `end`. */
  note({ place, segments }: Pick<Ownership, 'place' | 'segments'>, end: Position): void {
    if (place === undefined || place.end > end) return;
    this.#place = place;
    this.#segments = segments;
  }

  /** The log was begun anew. */
  begin(place: Place | undefined): void {
    this.#place = place;
    this.#segments = [];
  }
}
