// How much the stream holds, and whether messages may still go there: kept by whoever owns the log,
// from what it appends and what the servers say. Messages stop long before the stream is full: what
// is full takes nothing at all, and only a mark, a trim or another owner's start makes room.

import { STREAM_ENVELOPE_BYTES } from '../../../assembly/layout-cluster.ts';
import type { Failure } from '../ports/basics.ts';
import type { Appended, ReplicatedStream, StreamMessage, StreamState } from '../ports/stream.ts';
import { formatSize } from '../text/units.ts';

const RESERVE_BYTES = 64 * 1024 * 1024;
/** Of a small stream an eighth is kept. */
const RESERVE_SHARE = 8;
/** A segment may be so much of a stream, or there would be none with messages and reserve. */
const SEGMENT_SHARE = 4;
/** What servers store beside each message, about: its subject, header and checksum. */
const MESSAGE_BYTES = 160;

/** Bytes of a stream of `maxBytes` that are for marks, trims and starts alone. */
export function reserveOf(maxBytes: number): number {
  return Math.min(RESERVE_BYTES, Math.floor(maxBytes / RESERVE_SHARE));
}

/** Why a stream of `maxBytes` cannot take a log with segments of this size, or undefined. */
export function whyNoRoom(maxBytes: number, segmentBytes: number): string | undefined {
  const least = SEGMENT_SHARE * segmentBytes;
  if (maxBytes >= least) return undefined;
  return `a stream of ${formatSize(maxBytes)} is too small for segments of ${formatSize(segmentBytes)}: it takes ${formatSize(least)} or more`;
}

/** The stream as the owner sees it: everything goes on to it, and is counted on the way. */
export class StreamRoom implements ReplicatedStream {
  readonly #stream: ReplicatedStream;
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  // What was stored, as far as is known; what is on its way; what was stored since the beginning.
  #held = 0;
  #sent = 0;
  #stored = 0;
  #isFull = false;

  /** `maxBytes`: what the stream may hold; `segmentBytes`: of the log. */
  constructor(stream: ReplicatedStream, maxBytes: number, segmentBytes: number) {
    this.#stream = stream;
    this.#maxBytes = maxBytes;
    this.#segmentBytes = segmentBytes;
  }

  /** What the stream holds, with what is on its way there; 0 until `state` was asked. */
  get bytes(): number {
    return this.#held + this.#sent;
  }

  /** From how many bytes on no further segment is begun for messages: all of it may follow. */
  get blockedFrom(): number {
    return this.#maxBytes - reserveOf(this.#maxBytes) - this.#segmentBytes;
  }

  /** Why messages find no room in the stream, or undefined. */
  blocked(): string | undefined {
    if (this.#isFull) return 'the servers of the stream have no room for it';
    if (this.bytes <= this.blockedFrom) return undefined;
    return `the stream holds ${formatSize(this.bytes)} of ${formatSize(this.#maxBytes)}, and the rest is kept for acks`;
  }

  append(
    envelope: Uint8Array,
    body: Uint8Array | undefined,
    expect: number,
    done: (appended: Appended) => void,
  ): void {
    const bytes = STREAM_ENVELOPE_BYTES + (body?.length ?? 0) + MESSAGE_BYTES;
    this.#sent += bytes;
    this.#stream.append(envelope, body, expect, (appended) => {
      this.#sent -= bytes;
      // What is in doubt may be there; the next look at the stream tells.
      if (appended.ok || appended.why === 'unknown') {
        this.#held += bytes;
        this.#stored += bytes;
      }
      if (appended.ok) this.#isFull = false;
      else if (appended.why === 'full') this.#isFull = true;
      done(appended);
    });
  }

  state(done: (failure: Failure, state?: StreamState) => void): void {
    const stored = this.#stored;
    this.#stream.state((failure, state) => {
      // What was stored since it was asked may be in the answer, or not.
      if (state !== undefined) this.#held = state.bytes + this.#stored - stored;
      done(failure, state);
    });
  }

  follow(
    from: number,
    hear: (message: StreamMessage) => boolean,
    lost: (why: string) => void,
  ): { stop(): void; resume(): void } {
    return this.#stream.follow(from, hear, lost);
  }

  read(sequence: number, done: (failure: Failure, message?: StreamMessage) => void): void {
    this.#stream.read(sequence, done);
  }

  purge(before: number, done: (failure: Failure) => void): void {
    this.#stream.purge(before, (failure) => {
      // What it holds now is known before anybody takes it for full still.
      if (failure === undefined) this.state(() => {});
      done(failure);
    });
  }

  connected(): boolean {
    return this.#stream.connected();
  }
}
