// Deliveries, out: what is next in a bucket's line becomes one frame on the wire, packed from the
// ring or from what was read back from disk, into memory that is used again.
//
//   line ──peek──► record in memory ──pack──► outbox ──close──► frame, queued for the peer

import {
  BATCH_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  RESULT_BYTES_OUT,
  RESULT_PAYLOAD,
} from '../../../assembly/layout.ts';
import { assert } from '../assert.ts';
import type { Buckets } from '../buckets/buckets.ts';
import { mostOf } from '../buckets/suspects.ts';
import type { Dying } from '../delivery/dying.ts';
import type { InFlight } from '../delivery/in-flight.ts';
import type { Settlement } from '../delivery/settlement.ts';
import { READING, type SourceTurns } from '../delivery/source-turns.ts';
import type { FramePool } from '../memory/frame-pool.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Position } from '../ports/basics.ts';
import type { Codec } from '../ports/codec.ts';

// Runs of messages in one batch, so that a large batch of scattered messages stays small in memory.
const PARTS_MAX = 4096;

export interface DeliveryFramesParts {
  readonly codec: Pick<Codec, 'deliver' | 'result' | 'takeFrame'>;
  readonly buckets: Buckets<unknown>;
  readonly settlement: Settlement;
  readonly counters: Counters;
  /** Who is not delivered any more. */
  readonly dying: Pick<Dying, 'aliveIn' | 'mayExpire'>;
  readonly dispatcher: {
    /** Where a record stands in memory, or -1 while it is being fetched for the bucket. */
    readonly records: { fetch(slot: number, position: Position, recordBytes: number): number };
    /** What is next for a virtual bucket. */
    readonly virtual: { readonly turns: Pick<SourceTurns, 'next' | 'fetch' | 'took'> };
  };
}

export class DeliveryFrames {
  readonly #parts: DeliveryFramesParts;
  readonly #pool: FramePool;
  #isPacking = false;

  constructor(parts: DeliveryFramesParts, pool: FramePool) {
    this.#parts = parts;
    this.#pool = pool;
  }

  /**
   * Packs what is next in a bucket's line, or in those of its sources, into the outbox, and moves it
   * into `held`: as much as is in memory, at most `most` messages, all of one level and not more than that allows, and at most
   * `bytesMax` bytes unless one message has more. `wire`: bytes of each length. Gives the bytes of
   * the frame, which is to be closed next; 0: the first message is on disk.
   */
  pack(slot: number, most: number, wire: number, bytesMax: number, held: InFlight): number {
    const { buckets, codec, counters, dispatcher, dying, settlement } = this.#parts;
    const { records, virtual } = dispatcher;
    const { turns } = virtual;
    const ring = held.shared;
    // There is one outbox: a delivery within another would write over the messages of that one.
    assert(!this.#isPacking, 'a frame was begun before the last one was taken');
    this.#isPacking = true;
    const { mayExpire } = dying;
    let bytes = BATCH_HEADER_BYTES;
    let limit = most;
    while (held.count < limit && held.parts < PARTS_MAX) {
      const part = ring === undefined ? buckets.peek(slot) : turns.next(ring, held);
      if (part === undefined) break;
      const { position, first, bodyBytes, level } = part;
      if (level > 0 || held.level > 0) {
        if (held.count > 0 && level !== held.level) break;
        limit = Math.min(limit, mostOf(level));
      }
      const place =
        ring === undefined
          ? records.fetch(slot, position, RECORD_HEADER_BYTES + bodyBytes)
          : turns.fetch(ring, part.slot, position, RECORD_HEADER_BYTES + bodyBytes);
      if (place === READING) continue;
      if (place < 0) break;
      // Nobody dies before the first attempt, but of age.
      const alive = mayExpire || part.attempts > 0 ? dying.aliveIn(part) : part.count;
      const room =
        ring === undefined ? limit - held.count : Math.min(ring.room, limit - held.count);
      const wanted = Math.min(alive, room);
      if (wanted === 0) break;
      const packed = codec.deliver(
        place + RECORD_HEADER_BYTES,
        bodyBytes,
        first,
        wanted,
        wire,
        bytes,
        bytesMax,
      );
      if (packed === 0) break;
      bytes = codec.result[RESULT_BYTES_OUT]!;
      counters.deliveredBytes += codec.result[RESULT_PAYLOAD]!;
      held.add(settlement.deliver(part, packed, held.holder));
      if (ring !== undefined) turns.took(ring, part.slot, packed);
      if (packed < wanted) break;
    }
    if (held.count === 0) {
      this.#isPacking = false;
      return 0;
    }
    counters.deliveredMessages += held.count;
    counters.deliveries++;
    return bytes;
  }

  /** Memory for a frame of so many bytes, to be given back; undefined: it gets its own array. */
  take(bytes: number): Uint8Array | undefined {
    return this.#pool.take(bytes);
  }

  give(memory: Uint8Array): void {
    this.#pool.give(memory);
  }

  /** Copies the frame of `count` messages in `bytes` bytes out of the outbox, into `memory`. */
  close(count: number, bytes: number, memory: Uint8Array | undefined): Uint8Array {
    this.#isPacking = false;
    return this.#parts.codec.takeFrame(count, bytes, memory);
  }
}
