// What Publishing is given, and what it tells.

import type { ReplicatedStream, StreamMessage } from '../ports/stream.ts';
import type { Counting, Verdict } from './counting.ts';
import type { Checksum, Envelope } from './envelope.ts';

/** What is told of them; never within a call from outside, but for `confirmed`. */
export interface PublishingEvents {
  /** A message counts that was sent at `sentMs`, or later. */
  confirmed(verdict: Verdict, sentMs: number): void;
  /** Somebody else's message counts, which begins so: this node owns no more, or never did. */
  lost(why: string, envelope: Envelope, message: StreamMessage): void;
  stop(code: number, why: string): void;
}

export interface PublishingOptions {
  readonly stream: Pick<ReplicatedStream, 'append' | 'read'>;
  readonly counting: Counting;
  readonly crc32c: Checksum;
  readonly logId: bigint;
  readonly node: number;
  readonly epoch: number;
  /** JSON of the owner, which start and beats carry. */
  readonly json: Uint8Array;
  readonly partBytes: number;
  readonly inFlightBytes: number;
  readonly clockMs: () => number;
  readonly events: PublishingEvents;
}

export type Done = (failure: Error | undefined) => void;
