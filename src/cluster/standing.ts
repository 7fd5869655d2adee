// Where the log here certainly stands in the stream, and where each of its segments begins there:
// what a node goes on from when it reads again, and remembers for its next start.

import type { Place } from '../core/cluster/counting.ts';
import type { Ownership } from '../core/cluster/ownership.ts';
import type { SegmentPlace } from '../core/cluster/segment-places.ts';
import type { Position } from '../core/ports/basics.ts';

type Stood = Pick<Ownership, 'place' | 'segments'>;

export class Standing {
  #place: Place | undefined;
  #segments: readonly SegmentPlace[];
  // What is on its way to this disk: an owner publishes ahead of that.
  #next: { place: Place; segments: readonly SegmentPlace[] } | undefined;

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

  /** Takes what was read or published, once it is on this disk, which ends at `end` now. */
  note({ place, segments }: Stood, end: Position): void {
    const told = place && {
      place,
      segments: segments.filter(({ sequence }) => sequence <= place.sequence),
    };
    const reached = [told, this.#next].find((each) => each !== undefined && each.place.end <= end);
    if (reached !== undefined) {
      this.#place = reached.place;
      this.#segments = reached.segments;
      this.#next = undefined;
    }
    if (reached !== told) this.#next ??= told;
  }

  /** The log was begun anew. */
  begin(place: Place | undefined): void {
    this.#place = place;
    this.#segments = [];
    this.#next = undefined;
  }
}
