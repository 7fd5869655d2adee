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

  /** Takes of what was read or published as much as is on this disk, which ends at `end`. An owner
   * at work is always a few batches ahead of it. */
  note(ownership: Pick<Ownership, 'placeAt' | 'segments'>, end: Position): void {
    const place = ownership.placeAt(end);
    if (place === undefined) return;
    this.#place = place;
    // What begins behind it may never be; and what is known grows and shrinks as time goes on.
    this.#segments = ownership.segments.filter(({ sequence }) => sequence <= place.sequence);
  }

  /** The log was begun anew. */
  begin(place: Place | undefined): void {
    this.#place = place;
    this.#segments = [];
  }
}
