// Memory for large messages on their way. A producer that has begun one reserves all of it after a
// first piece, and is read on. When everything is reserved the next ones wait, unread, with the
// little that they hold; none is closed for it as long as the holders get on with their messages.
//
//   begun ──ask──► reserved ──whole, or gone──► given back
//           │         │ slow, while others wait: closed
//           │ all reserved
//           └───► waits, is not read ──there is memory──► reserved
//
// The queue is served alternately from both ends: newest first, so that a newcomer is not stuck
// behind many stalled ones; oldest first, so that nobody starves.

import { assert } from '../assert.ts';
import { SMALL_BYTES_MAX } from './partial-input.ts';

/** A message of more bytes, which has blocks, reserves them before it is read on. */
export const LARGE_BYTES = SMALL_BYTES_MAX;
/**
 * What a holder must manage in a second if others wait for the memory that it has. By default 512
 * can have some: so much each gets who shares a network of 16 Mbit/s with all of them.
 */
export const BYTES_PER_SECOND_MIN = 4 * 1024;
const SECOND_MS = 1000;
// Of the budget for all buffers; the rest is for small messages and for output.
const SHARE = 0.5;

/** A producer, as far as it needs memory for a large message. */
export interface ReservationHolder {
  /** That it has sent so far. */
  readonly bytes: number;
  /** Whether it is the broker that does not read on. */
  readonly heldBack: boolean;
  /** It has what it asked for and waited for. */
  reserved(): void;
  /** It is too slow, and others wait: it must go. */
  tooSlow(): void;
}

interface Reservation {
  readonly holder: ReservationHolder;
  readonly bytes: number;
  /** It is in the line. */
  waits: boolean;
  // When it was last looked at, and what the holder had sent by then.
  seenMs: number;
  seenBytes: number;
}

export class Reservations {
  readonly #bytesMax: number;
  readonly #all = new Map<ReservationHolder, Reservation>();
  // Those who wait, from the first to the last, and some that did.
  #queue: Reservation[] = [];
  #waiting = 0;
  #lastInTurn = true;
  #bytes = 0;
  /** Monotonic ms, as of the last input. */
  nowMs = 0;

  /** `bufferBytesMax`: what all connections may hold. One message of `messageBytesMax` fits. */
  constructor(bufferBytesMax: number, messageBytesMax: number) {
    this.#bytesMax = Math.max(bufferBytesMax * SHARE, messageBytesMax);
  }

  /** Bytes that are reserved. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether somebody has, or waits for, memory: then time passes for them. */
  get busy(): boolean {
    return this.#all.size > 0;
  }

  /** Holders that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Reserves memory for a holder that has asked for none; false: it must wait for `reserved`. */
  ask(holder: ReservationHolder, bytes: number): boolean {
    assert(!this.#all.has(holder), 'memory was asked for twice');
    const waits = this.#waiting > 0 || !this.#fits(bytes);
    const reservation = { holder, bytes, waits, seenMs: this.nowMs, seenBytes: holder.bytes };
    this.#all.set(holder, reservation);
    if (waits) {
      this.#waiting++;
      this.#queue.push(reservation);
    } else this.#bytes += bytes;
    return !waits;
  }

  // A message that is larger than everything has it alone.
  #fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax;
  }

  /** The holder needs no more what it asked for. */
  release(holder: ReservationHolder): void {
    const reservation = this.#all.get(holder);
    assert(reservation !== undefined, 'memory was given back that was never asked for');
    this.#all.delete(holder);
    if (reservation.waits) this.#leaveLine(reservation);
    else this.#bytes -= reservation.bytes;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (!this.#fits(next.bytes)) return;
      this.#leaveLine(next);
      this.#lastInTurn = !this.#lastInTurn;
      this.#bytes += next.bytes;
      next.seenMs = this.nowMs;
      next.seenBytes = next.holder.bytes;
      next.holder.reserved();
    }
  }

  #leaveLine(reservation: Reservation): void {
    reservation.waits = false;
    this.#waiting--;
    if (this.#queue.length > 2 * this.#waiting)
      this.#queue = this.#queue.filter(({ waits }) => waits);
  }

  #next(): Reservation | undefined {
    return this.#lastInTurn
      ? this.#queue.findLast(({ waits }) => waits)
      : this.#queue.find(({ waits }) => waits);
  }

  /**
   * Time passes: who is slow while others wait must go. The slowest first, and one at a time: its
   * memory may be all that is wanted, and what the others have sent is not to be thrown away.
   */
  advance(nowMs: number): void {
    this.nowMs = nowMs;
    let slowest: ReservationHolder | undefined;
    let least = BYTES_PER_SECOND_MIN;
    for (const reservation of this.#all.values()) {
      const { holder, waits, seenMs, seenBytes } = reservation;
      if (waits) continue;
      const elapsedMs = nowMs - seenMs;
      const counts = this.#waiting > 0 && !holder.heldBack;
      if (counts && elapsedMs < SECOND_MS) continue;
      const rate = ((holder.bytes - seenBytes) * SECOND_MS) / elapsedMs;
      if (counts && rate < BYTES_PER_SECOND_MIN) {
        if (slowest !== undefined && rate >= least) continue;
        slowest = holder;
        least = rate;
      } else {
        reservation.seenMs = nowMs;
        reservation.seenBytes = holder.bytes;
      }
    }
    slowest?.tooSlow();
  }
}
