// Bytes in: what was read of a connection and is not whole yet, bytes to be skipped, how long a
// message that was begun may take, and memory for a large one. Lays what was kept and what comes
// next side by side in the inbox, for a reader that takes what is whole; of what the bytes mean it
// knows nothing.
//
//   chunk ──┬──────────────────────────────► inbox ──read──► whole: taken
//           └─ too few to be worth a look ─┐                 rest:  kept
//   kept ◄─────────────────────────────────┘

import { assert } from '../assert.ts';
import type { Budget } from '../memory/budget.ts';
import { type BufferPool, memoryFor, PartialInput } from '../memory/partial-input.ts';
import { LARGE_BYTES, type ReservationHolder, type Reservations } from '../memory/reservations.ts';
import { type Backpressure, MEMORY, ROOM } from './backpressure.ts';
import { PartialDeadline } from './partial-deadline.ts';

const NOTHING = new Uint8Array(0);

/** Memory for what is not whole. */
export interface InboundMemory {
  readonly budget: Budget;
  readonly blocks: BufferPool;
  readonly reservations: Reservations;
  /** The budget is used up: closes the connection that holds the most. */
  relieve(): void;
}

/** Takes messages out of the inbox. */
export interface Reader extends ReservationHolder {
  /**
   * Takes what is whole between two places of the inbox; gives where the first that is not begins.
   * Says by `need` and `skip` what to do about that one.
   */
  read(start: number, end: number): number;
}

/** What it needs of the broker. */
export interface InboundHost {
  readonly codec: { readonly inbox: Uint8Array };
  /** Time that any message may take. */
  readonly limits: { readonly partialMessageMs: number };
  readonly memory: InboundMemory;
}

export class Inbound {
  readonly #host: InboundHost;
  readonly #reader: Reader;
  readonly #backpressure: Backpressure;
  readonly #carry: PartialInput;
  readonly deadline: PartialDeadline;
  /** Bytes that must be there before it is worth reading again. */
  need = 0;
  /** Bytes of a message to be dropped when they come. */
  skip = 0;
  /** Bytes of it that somebody in front of it keeps. */
  ahead = 0;
  #asked = 0;
  #ended = false;

  constructor(host: InboundHost, reader: Reader, backpressure: Backpressure) {
    this.#host = host;
    this.#reader = reader;
    this.#backpressure = backpressure;
    this.#carry = new PartialInput(host.memory.budget, host.memory.blocks);
    this.deadline = new PartialDeadline(host.limits.partialMessageMs);
  }

  /** Memory that is taken by what is kept, in bytes. */
  get heldBytes(): number {
    return this.#carry.heldBytes;
  }

  /** Size of the large message for which memory was asked, or 0. */
  get asked(): number {
    return this.#asked;
  }

  /** Whether nothing that comes is read any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Nothing that comes from now on is read. */
  end(): void {
    this.#ended = true;
  }

  /** Bytes from the peer, split anywhere. The chunk is not kept unless it is incomplete. */
  receive(chunk: Uint8Array): void {
    if (this.#ended) return;
    const waits = this.#backpressure.has(ROOM);
    if (this.skip > 0 && !waits) {
      const skipped = Math.min(this.skip, chunk.length);
      this.skip -= skipped;
      if (skipped === chunk.length) return;
      chunk = chunk.subarray(skipped);
    }
    if (waits || this.#carry.bytes + chunk.length < this.need) this.#keep(chunk);
    else this.#process(chunk);
    this.#reserve();
  }

  /** There is room for what is kept. */
  goOn(): void {
    this.#process(NOTHING);
    this.#reserve();
  }

  // Puts what was carried over and the chunk next to each other in the inbox, and takes what is
  // whole. A socket that reads into the inbox has left room before its bytes: then nothing moves.
  #process(chunk: Uint8Array): void {
    const { inbox } = this.#host.codec;
    const inPlace = chunk.buffer === inbox.buffer;
    const carried = this.#carry.bytes;
    const start = inPlace ? chunk.byteOffset - inbox.byteOffset - carried : 0;
    const end = start + carried + chunk.length;
    assert(start >= 0 && end <= inbox.length, 'a connection holds more than the inbox');
    if (!inPlace) inbox.set(chunk, start + carried);
    this.#carry.moveTo(inbox, start);
    const stopped = this.#reader.read(start, end);
    if (stopped > start) this.#begunAnew();
    if (this.#ended || stopped === end) return;
    if (stopped >= start + carried) this.#keep(chunk.subarray(stopped - start - carried));
    else this.#keep(inbox.subarray(stopped, end));
  }

  // The message that was not complete is: what comes now is another one.
  #begunAnew(): void {
    this.deadline.stop();
    this.#giveBack();
    this.#backpressure.resume();
  }

  // What stands in the inbox is overwritten by the next read: it is copied.
  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#carry.append(bytes);
    const { memory } = this.#host;
    if (memory.budget.over) memory.relieve();
  }

  // A large message needs memory before more of it is read. What waits for room in the log keeps
  // what it has.
  #reserve(): void {
    if (this.#backpressure.has(ROOM) || this.#ended) return;
    const bytes = this.#carry.bytes > 0 && this.need > LARGE_BYTES ? this.need : 0;
    if (bytes === this.#asked) return;
    this.#giveBack();
    if (bytes === 0) return;
    this.#asked = bytes;
    if (this.#host.memory.reservations.ask(this.#reader, memoryFor(bytes))) return;
    this.#backpressure.hold(MEMORY);
  }

  #giveBack(): void {
    if (this.#asked === 0) return;
    this.#asked = 0;
    this.#backpressure.lift(MEMORY);
    this.#host.memory.reservations.release(this.#reader);
  }

  /** Forgets the message that is not complete. */
  drop(): void {
    this.#carry.drop();
    this.#giveBack();
  }

  get #isPartial(): boolean {
    return (this.#carry.bytes > 0 || this.skip > 0 || this.ahead > 0) && !this.#ended;
  }

  /** When a message that was begun must have ended; Infinity while its time stands still. */
  get dueMs(): number | undefined {
    return this.#isPartial ? this.deadline.dueMs : undefined;
  }

  /** Time passes. True: a message that was begun is late, and nobody but the peer is to blame. */
  advance(nowMs: number): boolean {
    if (this.#isPartial && !this.#backpressure.isHeld)
      return this.deadline.advance(nowMs, this.need + this.skip);
    this.deadline.stop();
    return false;
  }
}
