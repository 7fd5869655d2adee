// The open segment as the ring holds it: how far it may be written, by messages, by marks and
// trims, and by what closes it.

import {
  BLOCK_BYTES,
  MARK_BYTES,
  MESSAGE_SIZE_BYTES,
  RECORD_ALIGN,
  RECORD_HEADER_BYTES,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { DEFERRAL_BYTES, HEAD_BYTES } from '../../../assembly/layout-placed.ts';
import type { Position } from '../ports/basics.ts';
import type { Resume } from '../ports/journal.ts';
import type { SegmentSpace } from '../ports/segments.ts';
import type { Batch } from './batch.ts';
import type { CommitOptions } from './options.ts';

// Room at the end of a segment for what closes it: trim, start and commit records and one spare.
export const CLOSING_BYTES = 4 * RECORD_HEADER_BYTES;
// Room of the reserve that acks leave to trims.
const TRIM_RESERVE_BYTES = 4096;
// What a trim must give back, as a share of a segment, when there is room for few more of them.
const TRIM_WORTH = 1 / 16;
// From here on the rest of a segment is for light producers, if the next one is not there yet.
const SCARCE = 7 / 8;
// Bytes that may wait to become durable; beyond it producers are held back. One record of the
// largest message may always wait, or it could never be taken.
const DIRTY_BYTES_MAX = 16 * 1024 * 1024;

export class OpenSegment {
  base: Position = 0;
  bytes = 0;
  /** Entries that it holds, of records and of due times, as far as they were made since this
   * start. */
  entries = 0;
  /** The segment before it, whose bytes may be in the ring still; -1: there is none. */
  previousBase: Position = -1;
  /** It was begun for marks and trims: messages may not use it. */
  forAcks = false;
  /** It may hold records of types 7 to 10. */
  places = false;
  // The next one may, for certain.
  #isRaised = false;
  /** The broker stops: what has an entry does not take memory for long. */
  ending = false;
  /** Everything before it is on disk. */
  durable: Position = 0;
  readonly #codec: CommitOptions['codec'];
  readonly #space: SegmentSpace;
  readonly #options: CommitOptions;

  constructor(options: CommitOptions) {
    this.#codec = options.codec;
    this.#space = options.space;
    this.#options = options;
  }

  /** It is the one that recovery ended in. */
  resume(at: Resume): void {
    this.base = at.base;
    this.bytes = at.segmentBytes;
    this.places = at.places === true;
    this.durable = at.base + at.offset;
  }

  /** After a start on a full disk, the open segment may be one that was begun for acks. */
  keepIfLast(): void {
    // Who began it is not known any more; the first one is nobody's reserve.
    if (!this.#space.nextReady() && this.#space.blocked() !== undefined)
      this.forAcks = this.#space.bases().length > 1;
  }

  /** Place of a record in the ring, which holds this segment and the end of the one before. */
  hot(position: Position): number {
    const { base, previousBase } = this;
    if (position >= base) return this.#codec.coldBytes + position - base;
    if (position < previousBase) return -1;
    const offset = position - previousBase;
    return offset >= this.#codec.writeAt() ? this.#codec.coldBytes + offset : -1;
  }

  /** Turns to the next segment, which is ready. */
  turn(): void {
    this.places ||= this.#isRaised;
    this.previousBase = this.base;
    this.base += this.bytes;
    this.entries = 0;
    this.bytes = this.#space.segmentBytes;
  }

  /** Sees to it that the next one may hold records of types 7 to 10. */
  raise(): void {
    this.#isRaised = this.#space.raise();
  }

  /** Whether the next one may hold them and may be begun, for their sake; if not, sees to it. */
  mayTurnToPlace(): boolean {
    this.raise();
    return this.#isRaised && !this.isBehind;
  }

  /** Whether some of the segment before is not on disk yet: it is in the ring still. */
  get isBehind(): boolean {
    return this.durable < this.base;
  }

  /**
   * How far an intake may write: as far as segment, ring and unsynced bytes allow. `least`: so many
   * bytes go together, however many are not synced yet by that.
   */
  limit(least = 0): number {
    const { messageBytesMax } = this.#options;
    const recordBytesMax =
      RECORD_HEADER_BYTES + HEAD_BYTES + MESSAGE_SIZE_BYTES + messageBytesMax + RECORD_ALIGN;
    const share = Math.min(DIRTY_BYTES_MAX, this.bytes / 2);
    const dirtyMax = Math.max(share, recordBytesMax) + least;
    let limit = Math.min(this.end(), this.durable + dirtyMax - this.base);
    // The ring is an image of one segment: bytes of the one before that are not on disk yet are in
    // the way, and so is the whole block that they begin in, which is written with them.
    if (this.durable < this.base && this.previousBase >= 0) {
      const begun = this.durable - this.previousBase;
      limit = Math.min(limit, begun - (begun % BLOCK_BYTES));
    }
    return Math.max(0, Math.floor(limit / 8) * 8);
  }

  /** Where messages must stop in this segment. */
  end(): number {
    if (this.entries >= this.#options.entriesMax) return this.#codec.writeAt();
    if (this.#space.nextReady()) return this.bytes - CLOSING_BYTES;
    if (this.forAcks) return 0;
    return this.bytes - Math.max(CLOSING_BYTES, this.#options.reserveBytes);
  }

  /** Bytes from what is written to the end of the segment. */
  room(): number {
    return this.bytes - this.#codec.writeAt();
  }

  /** Whether little of it is left, and it must do until there is a next one. */
  get scarce(): boolean {
    const { entriesMax, lag } = this.#options;
    const full = this.#codec.writeAt() >= SCARCE * this.bytes;
    if (!full && this.entries < SCARCE * entriesMax) return false;
    return lag() === 'wait' || !this.#space.nextReady();
  }

  /** Whether a trim is worth its room, which must be enough until there is a further segment. */
  worthTrimming(position: Position): boolean {
    if (this.#space.nextReady() || this.markRoom() > 0) return true;
    const given = this.#space.bases().filter((base) => base < position);
    const bytes = given.reduce((sum, base) => sum + this.#space.fileBytes(base), 0);
    return bytes >= TRIM_WORTH * this.#space.segmentBytes;
  }

  /** On a full disk the rest of this segment and the next one are for what brings space back. */
  mayProve(): boolean {
    return this.#space.mayGrow() || this.room() > 2 * TRIM_RESERVE_BYTES;
  }

  /**
   * How many marks one more record may hold. Behind it come the trim and commit that close the
   * batch, and what closes a segment must fit even then. While there is no next segment, some room
   * is left for trims alone: only they can bring space back when acks have used up the reserve.
   */
  markRoom(): number {
    const kept = this.#space.nextReady() ? 0 : TRIM_RESERVE_BYTES;
    const room = this.room() - CLOSING_BYTES - 3 * RECORD_HEADER_BYTES - kept;
    return Math.max(0, Math.floor(room / MARK_BYTES));
  }

  /**
   * How many marks' room one more record of deferrals may take. Each has an entry in memory until its
   * segment is indexed, so they go no further than messages do: then the next one is turned to, or,
   * where indexes lag behind, they wait. Only on a full disk there is no other place.
   */
  deferralRoom(): number {
    const { entriesMax, lag } = this.#options;
    const room = this.markRoom();
    const left = Math.max(0, entriesMax - this.entries);
    if (this.ending || (lag() === 'none' && !this.#space.mayGrow())) return room;
    return Math.min(room, Math.ceil((left * DEFERRAL_BYTES) / MARK_BYTES));
  }

  /** Where the log goes on behind a batch of this segment, or of the one before it. */
  endOf({
    base,
    offset,
    bytes,
    last,
  }: Pick<Batch, 'base' | 'offset' | 'bytes' | 'last'>): Position {
    if (!last) return base + offset + bytes;
    return base === this.base ? base + this.bytes + SEGMENT_DATA_AT : this.base + SEGMENT_DATA_AT;
  }
}
