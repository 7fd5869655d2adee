// Takes messages from one line to another: those that die, and those that are given back. One
// record settles them where they were and stores them where they go: they are in one place after
// any crash. Until it is durable they count as held.
//
//   consumer, line ──take──► queue ──read, packed──► open batch ──durable──► gone here, new there
//                              │
//                              └── not readable: aside     the broker stops: ready again
//
// A bounded part is under way at a time. What the queue has no room for stays in its line.

import { RECORD_HEADER_BYTES, RECORD_PLACED, RECORD_TYPE_AT } from '../../../assembly/layout.ts';
import { KIND_LIVE, REASON_REDRIVEN } from '../../../assembly/layout-placed.ts';
import { assert } from '../assert.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import type { Batch } from '../commit/batch.ts';
import { fitting, lesser, type PlacingCommit, place, type Room } from '../commit/placing.ts';
import type { Quotas } from '../fairness/quotas.ts';
import type { Limits } from '../limits.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Failure, Position } from '../ports/basics.ts';
import type { Codec } from '../ports/codec.ts';
import type { Notices } from '../ports/notices.ts';
import type { RecordReader } from '../ports/reader.ts';
import { type Head, NO_HEAD, readHead } from '../records/placed.ts';
import type { StoringTimes } from '../segments/storing-times.ts';
import {
  type Destination,
  forDead,
  forRedriven,
  headOf,
  type MoveOrder,
  type Takes,
} from './destination.ts';
import { isCharged, type Move, MoveQueue } from './move-queue.ts';
import { MovedRecords } from './moved-records.ts';
import * as notices from './notices.ts';
import type { Settlement } from './settlement.ts';

export interface MoverParts {
  readonly buckets: Buckets<unknown>;
  readonly settlement: Settlement;
  readonly commit: PlacingCommit & {
    hot(position: Position): number;
    readonly endPosition: Position;
    makeRoom(): 'again' | 'wait' | 'refuse';
    readonly refuses: boolean;
  };
  readonly codec: Codec;
  /** As many runs may wait as marks. */
  readonly limits: Pick<Limits, 'segmentBytes' | 'marksMax'>;
  readonly counters: Counters;
  readonly notices: Notices;
  flushSoon(): void;
  stir(): void;
  dispatch(slot: number): void;
  readonly closing: boolean;
}

export interface MoverOptions {
  reader: RecordReader;
  wallMs: () => number;
  times: Pick<StoringTimes, 'of'>;
  /** What buckets take; undefined: anything. `moving`: so many go to one. */
  quotas: Pick<Quotas, 'roomIn' | 'moving'> | undefined;
}

/** What is packed and not durable, at most. */
export const MESSAGES_MAX = 4096;
export const BYTES_MAX = 1024 * 1024;
// One record is to fit well before the end of what an open segment lets in at a time.
const SEGMENT_SHARE = 1 / 4;

interface Packed extends Move {
  bytes: number;
  to: Destination;
}

export class Mover {
  readonly #parts: MoverParts;
  readonly #options: MoverOptions;
  readonly #bytesMax: number;
  readonly #queue = new MoveQueue();
  readonly #records: MovedRecords;
  // What is packed and not durable, in the order of the log.
  readonly #packed: Packed[] = [];
  #messages = 0;
  #bytes = 0;
  // Buckets whose next messages are dead and wait in their lines.
  readonly #waiting = new Set<number>();

  constructor(parts: MoverParts, options: MoverOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#records = new MovedRecords(parts, options.reader, (position, failure) =>
      this.#loaded(position, failure),
    );
    this.#bytesMax = Math.min(BYTES_MAX, parts.limits.segmentBytes * SEGMENT_SHARE);
  }

  /** Whether it takes nothing more for now. */
  get isFull(): boolean {
    return this.#queue.runs >= this.#parts.limits.marksMax || this.#parts.closing;
  }

  /** Whether messages of a bucket wait for it. */
  holds = (slot: number): boolean => this.#waiting.has(slot) || this.#queue.has(slot);

  /**
   * Takes messages that nobody holds any more and that no line has; the part is its own from then
   * on. False: it has as many as it may have.
   */
  take(part: Slice, order: MoveOrder): boolean {
    if (this.isFull) return false;
    this.#parts.buckets.delayed.taken(part.sequence, part.count);
    this.#queue.push({ part, order });
    if (this.#queue.runs === 1) this.#parts.flushSoon();
    return true;
  }

  /** A bucket is to be dispatched when there may be room for what is dead in its line. */
  waits(slot: number): void {
    this.#waiting.add(slot);
    if (!this.isFull) this.#parts.flushSoon();
  }

  /** Goes on, as far as there is room. */
  pump(): void {
    if (this.#waiting.size > 0 && !this.isFull) {
      const slots = [...this.#waiting];
      this.#waiting.clear();
      for (const slot of slots) this.#parts.dispatch(slot);
    }
    const { commit } = this.#parts;
    while (!this.#records.isLoading && this.#queue.runs > 0 && !this.#isBusy) {
      if (commit.refuses || !commit.mayPlace()) return;
      const move = this.#queue.first;
      const found = this.#records.placeOf(move.part);
      if (found < 0 || !this.#pack(move, found)) return;
      if (move.part.count === 0) this.#queue.shift();
    }
  }

  get #isBusy(): boolean {
    return this.#messages >= MESSAGES_MAX || this.#bytes >= this.#bytesMax;
  }

  // --- reading ----------------------------------------------------------------------------------

  #loaded(position: Position, failure: Failure): void {
    this.#parts.stir();
    // It may stand elsewhere by now, or nobody may want it any more.
    const isWanted = this.#queue.runs > 0 && this.#queue.first.part.position === position;
    if (failure !== undefined && isWanted) this.#setAside(this.#queue.shift(), failure);
    this.#parts.flushSoon();
  }

  #setAside({ part, order }: Move, failure: Error): void {
    const { buckets, settlement, notices: operator } = this.#parts;
    const { slot, position, sequence, count } = part;
    settlement.setHeldAside(part);
    const text = notices.unreadable(buckets.idOf(slot), part, failure);
    operator.notice('error', 'log.unreadable', text, { position, sequence, count });
    order.ended?.(count, 'aside');
    this.#after(slot);
  }

  // --- packing ----------------------------------------------------------------------------------

  get #room(): Room {
    const bytes = this.#bytesMax - this.#bytes;
    // One that is larger than all that may be under way goes alone.
    return { messages: MESSAGES_MAX - this.#messages, bytes, alone: this.#packed.length === 0 };
  }

  // Packs the first messages of a part; false: there is no room now.
  #pack(move: Move, found: number): boolean {
    const { commit, codec } = this.#parts;
    const { part, order } = move;
    const { memory } = codec;
    const record = new DataView(memory.buffer, memory.byteOffset + found);
    const isPlaced = record.getUint8(RECORD_TYPE_AT) === RECORD_PLACED;
    const before = isPlaced ? readHead(record, RECORD_HEADER_BYTES) : NO_HEAD;
    let run = fitting(record, part, this.#room);
    if (run[0] === 0) return false;
    const takes = (low: number, high: number) => {
      const room = this.#options.quotas?.roomIn(low, high);
      if (room !== undefined) run = fitting(record, part, lesser(this.#room, room));
      return run[0] > 0;
    };
    const to = this.#destination(part, order, before, takes);
    if (to === undefined) {
      this.#notMoved(move);
      return true;
    }
    if (run[0] === 0) run = fitting(record, part, this.#room);
    const [count, bytes] = run;
    const { low, high, kind } = to;
    const head = this.#headOf(move, to, before);
    const out = { first: part.first, count, low, high, kind, head, settles: true, attempts: 0 };
    // In the next segment it may stand somewhere else in memory.
    if (!place(commit, codec, found + RECORD_HEADER_BYTES, part.bodyBytes, out))
      return commit.makeRoom() === 'again';
    if (kind === KIND_LIVE) this.#options.quotas?.moving(low, high, count, bytes);
    this.#note({ part: { ...part, count }, order, to, bytes });
    part.sequence += count;
    part.first += count;
    part.count -= count;
    return true;
  }

  #note(packed: Packed): void {
    this.#packed.push(packed);
    this.#messages += packed.part.count;
    this.#bytes += packed.bytes;
    this.#parts.flushSoon();
  }

  #headOf({ part, order: { reason } }: Move, to: Destination, before: Head): Head {
    const { slot, sequence, attempts } = part;
    const from = { ...this.#parts.buckets.placeOf(slot), sequence, attempts };
    const movedMs = this.#options.wallMs();
    const storedMs = this.#options.times.of(sequence);
    const publishedMs = Number.isFinite(storedMs) ? Math.round(storedMs) : 0;
    return headOf(from, to, before, { reason, publishedMs, movedMs });
  }

  // There is no place for what is left of a part, or none is wanted.
  #notMoved({ part, order }: Move): void {
    const { settlement } = this.#parts;
    const rest = { ...part };
    part.count = 0;
    if (order.reason === REASON_REDRIVEN) settlement.giveBack(rest, false);
    else settlement.discard(rest, order.reason);
    order.ended?.(rest.count, 'full');
    this.#after(rest.slot);
  }

  #destination(part: Slice, order: MoveOrder, before: Head, takes: Takes) {
    const line = this.#parts.buckets.placeOf(part.slot);
    if (order.reason === REASON_REDRIVEN) return forRedriven(line, order.to, before, takes);
    return forDead(this.#parts.buckets.rules, line, before.hops, takes);
  }

  // --- what comes of it -------------------------------------------------------------------------

  /** A batch is durable, and what it moved is in its new place. */
  durable({ heads }: Batch): void {
    for (const { from } of heads.values()) {
      const packed = this.#packed[0];
      if (packed?.part.sequence !== from) continue;
      this.#packed.shift();
      this.#moved(packed);
    }
  }

  #moved({ part, order, to, bytes }: Packed): void {
    const { settlement, counters } = this.#parts;
    this.#messages -= part.count;
    this.#bytes -= bytes;
    assert(this.#messages >= 0, 'more messages were moved than were under way');
    if (order.reason === REASON_REDRIVEN) counters.redrivenMessages += part.count;
    else counters.dead[order.reason]! += part.count;
    if (to.isFallback) counters.deadFallbackMessages += part.count;
    settlement.moved(part, order.by);
    order.ended?.(part.count, 'moved');
    this.#after(part.slot);
  }

  // Messages of a bucket are not out any more.
  #after(slot: number): void {
    const { buckets } = this.#parts;
    this.#parts.dispatch(slot);
    buckets.tidy(slot);
  }

  /** Records of the segments from `base` to before `end` stand elsewhere now. */
  relocated(base: Position, end: Position, where: (part: Slice) => void): void {
    const look = (part: Slice) => {
      if (part.position >= base && part.position < end) where(part);
    };
    this.#queue.each(look);
    for (const { part } of this.#packed) look(part);
  }

  /** Says what it has. */
  each(take: (sequence: number, count: number) => void): void {
    this.#queue.each(({ sequence, count }) => take(sequence, count));
    for (const { part } of this.#packed) take(part.sequence, part.count);
  }

  /** The broker stops: what is not packed is ready again. */
  stop(): void {
    while (this.#queue.runs > 0) {
      const { part, order } = this.#queue.shift();
      this.#parts.settlement.giveBack(part, isCharged(order.reason), order.by);
    }
  }
}
