// Who is being served right now, as the log is told: so that work beside gives way to it. Looks at
// what was published once a tick; in between nothing of it changes.

import type { Foreground } from '../ports/foreground.ts';

// Published in one tick: about 20 MB a second. Whoever reads gently has at least twice as much.
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
