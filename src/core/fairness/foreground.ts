// What the broker serves right now, for background work that gives way to it. Measures once a tick
// what was published; between two ticks its answers do not change.

import type { Foreground } from '../ports/foreground.ts';

// Published in one tick: about 20 MB a second. Reading with breaks brings at least twice as much.
const LIGHT_BYTES = 512 * 1024;

export class ForegroundTraffic implements Foreground {
  latencySensitive = false;
  largeWrites = false;
  lightTraffic = false;
  /** Whether something was published between the last two ticks. */
  busy = false;
  #publishedBefore = 0;

  /** Time passes; called for each tick. `publishedBytes`: since the start, durably. */
  tick(
    fairShare: { readonly shared: boolean; readonly large: boolean },
    publishedBytes: number,
  ): void {
    this.latencySensitive = fairShare.shared;
    this.largeWrites = fairShare.large;
    const bytes = publishedBytes - this.#publishedBefore;
    this.busy = bytes > 0;
    this.lightTraffic = bytes > 0 && bytes < LIGHT_BYTES;
    this.#publishedBefore = publishedBytes;
  }
}
