// Gives back segments that are not needed any more, with their indexes; but none while a compacted
// one takes another one's name, and until that is durable.

import type { Position } from '../core/ports/basics.ts';
import type { IndexedSegments } from './indexed-segments.ts';
import type { Segments } from './segments/segments.ts';

export class GivingBack {
  readonly #segments: Segments;
  readonly #index: IndexedSegments;
  readonly #swapping: () => boolean;
  #later: Position = 0;

  constructor(segments: Segments, index: IndexedSegments, swapping: () => boolean) {
    this.#segments = segments;
    this.#index = index;
    this.#swapping = swapping;
  }

  /** All before `position` goes, now or when nothing takes another name. */
  before(position: Position): void {
    if (this.#swapping()) {
      this.#later = position;
      return;
    }
    for (const { base } of this.#segments.trim(position)) this.#index.drop(base);
  }

  /** Nothing takes another name any more. */
  goOn(): void {
    const position = this.#later;
    this.#later = 0;
    if (position > 0) this.before(position);
  }
}
