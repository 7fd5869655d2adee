// Ids of messages that were published and are in their windows: the newest in memory, in a table;
// if that is full it is written to disk as a whole, and an empty one takes its place. Nothing is
// forgotten before its time: where ids cannot leave memory, the caller refuses what is new.
//
//   add ──► recent ──full──► leaving ──all of it durable, written──► older, on disk
//
// Which segments a table has ids of is said with it: a start need not read those for them.

import type { Position } from '../ports/basics.ts';
import type { Known, LeavingPart, OlderIds } from '../ports/older-ids.ts';
import { RecentIds } from './recent-ids.ts';

/** Whether there is room for an id that is new. */
export const ROOM = 0;
/** When ids that are on their way to disk are there. */
export const ROOM_SOON = 1;
export const NO_ROOM = 2;

export type Room = typeof ROOM | typeof ROOM_SOON | typeof NO_ROOM;

// Of the memory: a table that fills, and as much for one that leaves; what finds the others takes
// the rest.
const TABLE = 1 / 8;
const OLDER = 3 / 4;
// That of one that is new.
const TABLE_BYTES_MIN = 2048;

const NO_OLDER_IDS: OlderIds = {
  count: 0,
  bytes: 0,
  bytesMax: 0,
  takes: false,
  told: () => {},
  find: () => 'new',
  take: (_leaving, _nowMs, done) => done(new Error('there is nowhere to go')),
  sweep: () => {},
};

/** What is on its way to disk. */
interface Leaving {
  readonly table: RecentIds;
  /** Segments that it has ids of. */
  readonly bases: Set<Position>;
  /** Those before this one have no ids that come later. */
  readonly openBase: Position;
  /** When so many bytes of ids are durable, these are. */
  readonly dueBytes: number;
  writing: boolean;
  failed: boolean;
}

export class PublishedIds {
  readonly #idBytesOf: (base: Position) => number;
  #recent = new RecentIds();
  #bases = new Set<Position>();
  #leaving: Leaving | undefined;
  #older: OlderIds = NO_OLDER_IDS;
  #bytesMax = Number.POSITIVE_INFINITY;
  // Segment of the last batch that is durable, and where it ends.
  #openBase: Position = 0;
  #upTo: Position = 0;
  // Bytes of records of ids that were packed, and that are durable, since the start.
  #packedBytes = 0;
  #durableBytes = 0;
  /** Called when there may be room again, or ids were looked up. */
  told: () => void = () => {};

  /** `idBytesOf`: bytes of the records of ids in a segment. */
  constructor(idBytesOf: (base: Position) => number) {
    this.#idBytesOf = idBytesOf;
  }

  /** Where ids go that leave memory. */
  set older(older: OlderIds) {
    this.#older = older;
    older.told = () => this.told();
    this.bytesMax = this.#bytesMax;
  }

  /** Ids that are known; some of them may be over. */
  get count(): number {
    return this.#recent.count + (this.#leaving?.table.count ?? 0) + this.#older.count;
  }

  /** Ids of these that are on disk. */
  get countOnDisk(): number {
    return this.#older.count;
  }

  /** Memory that they take, and may take. */
  get bytes(): number {
    return this.#recent.bytes + (this.#leaving?.table.bytes ?? 0) + this.#older.bytes;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  set bytesMax(bytes: number) {
    this.#bytesMax = bytes;
    this.#older.bytesMax = bytes * OLDER;
    this.#bound();
  }

  #bound(): void {
    this.#recent.bytesMax = this.#older.takes
      ? Math.max(TABLE_BYTES_MIN, this.#bytesMax * TABLE)
      : this.#bytesMax;
  }

  /** Whether the id whose words stand at `at` was published less than `ms` ago, and in its window. */
  find(ids: Uint32Array, at: number, nowMs: number, ms: number): Known {
    if (this.#recent.has(ids, at, nowMs, ms)) return 'known';
    if (this.#leaving?.table.has(ids, at, nowMs, ms) === true) return 'known';
    return this.#older.count === 0 ? 'new' : this.#older.find(ids, at, nowMs, ms);
  }

  /** Whether an id that is new can be added. */
  room(ids: Uint32Array, at: number, nowMs: number): Room {
    // What is added together may make it larger than it is to be.
    if (!this.isLarge && this.#recent.hasRoom(ids, at, nowMs)) return ROOM;
    if (!this.#older.takes) return NO_ROOM;
    if (this.#leaving !== undefined) return this.#leaving.failed ? NO_ROOM : ROOM_SOON;
    this.#leave();
    return ROOM;
  }

  /** A message with that id was published at `timeMs`; it is to be known for so long. */
  add(ids: Uint32Array, at: number, timeMs: number, windowS: number): void {
    this.#recent.add(ids, at, timeMs, windowS);
  }

  /** Ids that were added are in the open batch, in records of so many bytes. */
  packed(bytes: number): void {
    this.#packedBytes += bytes;
  }

  /** A batch is durable that ends at `end` of the log, in the segment at `base`. */
  durable(base: Position, end: Position, idBytes: number, nowMs: number): void {
    this.#openBase = base;
    this.#upTo = end;
    this.#durableBytes += idBytes;
    this.#bases.add(base);
    const leaving = this.#leaving;
    if (leaving === undefined || leaving.writing || leaving.failed) return;
    leaving.bases.add(base);
    this.#write(nowMs);
  }

  /** The ids of a segment that a start reads are among what is added; it goes on to `end` so far. */
  read(base: Position, end: Position): void {
    this.#openBase = base;
    this.#upTo = end;
    this.#bases.add(base);
  }

  /** Whether the table is larger than it is to be, and may leave. */
  get isLarge(): boolean {
    const { bytes, bytesMax } = this.#recent;
    return bytes > bytesMax && this.#older.takes;
  }

  /** Whether ids are on their way out of memory. */
  get isLeaving(): boolean {
    return this.#leaving !== undefined;
  }

  /**
   * Makes it smaller while a log is read, up to `end` in the segment at `base`; all before that is
   * durable. `done` when it is, or cannot be.
   */
  shrink(base: Position, end: Position, nowMs: number, done: () => void): void {
    this.#openBase = base;
    this.#upTo = end;
    if (this.#leaving === undefined) this.#leave();
    this.#write(nowMs, done);
  }

  #leave(): void {
    this.#leaving = {
      table: this.#recent,
      bases: this.#bases,
      openBase: this.#openBase,
      dueBytes: this.#packedBytes,
      writing: false,
      failed: false,
    };
    this.#recent = new RecentIds();
    this.#bound();
    this.#bases = new Set([this.#openBase]);
  }

  // Once all of them are durable.
  #write(nowMs: number, done = () => {}): void {
    const leaving = this.#leaving!;
    if (this.#durableBytes < leaving.dueBytes) return;
    leaving.writing = true;
    leaving.failed = false;
    const { table, bases, openBase } = leaving;
    const part = (base: Position): LeavingPart => {
      return { base, complete: base < openBase, idBytes: this.#idBytesOf(base) };
    };
    const parts = [...bases].map(part);
    const inOrder = () => table.inOrder();
    const ids = { count: table.count, inOrder, parts, upTo: this.#upTo };
    this.#older.take(ids, nowMs, (failure) => {
      leaving.writing = false;
      leaving.failed = failure !== undefined;
      if (failure === undefined) this.#leaving = undefined;
      this.#bound();
      this.told();
      done();
    });
  }

  /** Drops what is over in some of its pages; gives whether something is known yet. */
  sweep(nowMs: number, pages: number): boolean {
    this.#older.sweep(nowMs);
    const leaving = this.#leaving;
    if (leaving !== undefined && !leaving.writing) this.#write(nowMs);
    const isKnown = this.#recent.sweep(nowMs, pages);
    return isKnown || leaving !== undefined || this.#older.count > 0;
  }
}
