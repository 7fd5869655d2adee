// A consumer, as those know it who give it messages.

import type { SourceRing } from '../buckets/source-ring.ts';
import type { ByteStream } from '../ports/link.ts';

/** A consumer, as far as it is served. */
export interface Receiver {
  /** Of its bucket. */
  readonly slot: number;
  readonly link: Pick<ByteStream, 'destroyed'>;
  /** What it holds, how far apart from others that is given out, and, where it is from the sources
   * of a virtual bucket, what the consumers of that share. */
  readonly inFlight: {
    readonly count: number;
    readonly level: number;
    shared: SourceRing | undefined;
  };
  /** Sends the next batch, of `most` messages at most; false: the first is still on disk. */
  deliver(most: number): boolean;
}
