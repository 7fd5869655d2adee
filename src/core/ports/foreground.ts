// What the broker serves right now, for work that goes on beside it. Written by
// fairness/foreground.ts, once a tick; all others only read it.

export interface Foreground {
  /**
   * True while a latency-sensitive publisher waits for acks, and for a moment after: background
   * work must use small pieces and yield between them. Judged producer by producer, by what each
   * puts into one batch.
   */
  readonly latencySensitive: boolean;
  /** Whether others publish large messages meanwhile: then pieces must be smaller still. */
  readonly largeWrites: boolean;
  /**
   * True if something was published between the last two ticks, but little by all producers
   * together. Not the same as `latencySensitive`: reading a backlog gives way to a trickle, but not
   * to a stream, even if some producers in it are light, as consumers that are behind must catch up
   * with the stream; and it gives way not a moment longer than the trickle lasts.
   */
  readonly lightTraffic: boolean;
}
