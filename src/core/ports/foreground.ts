// What the broker serves right now, for work that goes on beside it. Written by
// fairness/foreground.ts, once a tick; whoever is given it only reads.

export interface Foreground {
  /**
   * Whether somebody waits for acks who publishes little, now or a moment ago: judged producer by
   * producer, by what each puts into one batch. Work beside goes in small pieces with breaks.
   */
  readonly latencySensitive: boolean;
  /** Whether others publish messages larger than a portion meanwhile: then the pieces are smaller
   * still. */
  readonly largeWrites: boolean;
  /**
   * Whether something was published between the last two ticks, and little by all together. Not the
   * same as `latencySensitive`: reading a backlog gives way to a trickle, but not to a stream, even
   * if some in it publish little, as whoever is behind has to catch up with that; and it need not
   * give way a moment longer than the trickle lasts.
   */
  readonly lightTraffic: boolean;
}
