// Files of a segment's size that stand ready: segments that were given back, or files made for it.
// The last one is the reserve. No further segment is made of it: it is there for compaction, which
// needs room before it gives any back, and on a full disk there would be none.
//
//   spares   who may take one
//   2 …      the next segment
//   1        compaction: it gives back what it replaces, or this file. It is given up if an index
//            finds no space: compaction cannot go beyond what has one, and uses what that leaves
//   0        nobody; what comes next, given back or free, becomes the reserve

import type { Failure } from '../../core/ports/basics.ts';
import { type Files, type Handle, isNoSpace, writeAll } from '../files/files.ts';
import type { Throttle } from '../files/throttle.ts';
import { fillName, numberIn, spareName } from './segment.ts';

/** A file of a segment's size that is used again, or for the first time. */
export interface Spare {
  name: string;
  handle: Handle;
  bytes: number;
}

export interface SparesOptions {
  files: Files;
  /** As many as are written at a time. */
  zeros: Uint8Array;
  segmentBytes: number;
  pace: Throttle;
  /** Disk space to hold ready beyond the next segment and the reserve. */
  spareBytes: number;
  /** A background step failed in a way that has no other reporter. */
  trouble: (text: string, failure: Error) => void;
}

// Files given back that are kept for the next segments, however little is to be held ready.
const SPARES_MIN = 4;
// Zeros are synced every so many bytes, so that their writeback does not delay a commit for long.
const FILL_SYNC_BYTES = 4 * 1024 * 1024;
// Written at a time while others are not to wait: then a commit that writes beside it is as fast as
// it can be. Larger pieces take less time in all.
const SMALL_PIECE_BYTES = 256 * 1024;
// With large messages about, what they take of the disk for zeros is bounded by this, too.
const LEAST_PIECE_BYTES = 64 * 1024;
// What is never taken for a file, as a share of a segment: indexes and checkpoint need some room.
const SLACK = 1.25;
// Files beyond the reserve are made only while there are so many segments' bytes free.
const STOCK_FREE = 4;

/** Files that a log with these settings holds ready at rest: the reserve, and what is asked for. */
export function stockOf(spareBytes: number, segmentBytes: number): number {
  return 1 + Math.floor(spareBytes / segmentBytes);
}

export class Spares {
  readonly #options: SparesOptions;
  readonly #list: Spare[];
  readonly #stock: number;
  #lent: Spare | undefined;
  #coming = 0; // being renamed
  #stocking = false;
  #leaving = 0; // being given up
  #closed = false;
  /** Number in the name of the next file that is made. */
  #nextName = 1;

  constructor(options: SparesOptions, list: Spare[]) {
    this.#options = options;
    this.#list = list;
    for (const { name } of list) {
      const number = numberIn(name);
      if (number % 2 === 1) this.#nextName = Math.max(this.#nextName, number + 2);
    }
    this.#stock = stockOf(options.spareBytes, options.segmentBytes);
  }

  get count(): number {
    return this.#list.length;
  }

  get bytes(): number {
    const lent = this.#lent?.bytes ?? 0;
    return this.#list.reduce((sum, { bytes }) => sum + bytes, lent);
  }

  /** Whether a file is being made, or removed to make room. */
  get busy(): boolean {
    return this.#stocking || this.#leaving > 0;
  }

  get #held(): number {
    return this.#list.length + this.#coming + (this.#lent === undefined ? 0 : 1);
  }

  /** Whether fewer files are there than are to be held ready. */
  get lacks(): boolean {
    return this.#held < this.#stock;
  }

  /** Whether one more segment can be had without the reserve. */
  get spendable(): boolean {
    return this.#list.length > 0 && this.#list.length + (this.#lent === undefined ? 0 : 1) > 1;
  }

  /** Free bytes that must be there before a file is made for a segment. */
  get needed(): number {
    const { segmentBytes } = this.#options;
    return segmentBytes * (this.#held === 0 ? SLACK + 1 : SLACK);
  }

  /** A file for the next segment; never the reserve. */
  take(): Spare | undefined {
    return this.spendable ? this.#list.pop() : undefined;
  }

  /** Lends one to a compaction, also the last; one at a time. */
  lend(): Spare | undefined {
    this.#lent = this.#list.pop();
    return this.#lent;
  }

  /** The file that was lent is back, or, if it is `used`, has become something else. */
  settle(used: boolean): void {
    if (this.#lent !== undefined && !used) this.#list.push(this.#lent);
    this.#lent = undefined;
  }

  /** Whether a file that is given back is to be kept. */
  wants(bytes: number): boolean {
    const most = Math.max(SPARES_MIN, this.#stock);
    return this.#held < most && bytes === this.#options.segmentBytes && !this.#closed;
  }

  /** Keeps the file of the segment based at `base`, which nobody needs or reads any more. */
  keep(name: string, base: number, handle: Handle, done: (failure: Failure) => void): void {
    const { files, segmentBytes } = this.#options;
    const spare = { name: spareName(base), handle, bytes: segmentBytes };
    // The new name must be on disk before the file is used: a crash may not find another segment's
    // header under the old one.
    this.#coming++;
    const end = (failure: Failure) => {
      this.#coming--;
      if (failure !== undefined) return files.close(handle, () => done(failure));
      if (this.#closed) return this.discard(spare, () => done(undefined));
      this.#list.push(spare);
      done(undefined);
    };
    files.rename(name, spare.name, (failure) => {
      if (failure !== undefined) end(failure);
      else files.syncDirectory(end);
    });
  }

  /**
   * Gives the system back the space of one, for what is written elsewhere; if need be the reserve,
   * as compaction goes no further than the indexes. What is left of it will do for compaction.
   */
  giveUp(done: () => void): void {
    const spare = this.#list.pop();
    if (spare === undefined) return;
    this.#leaving++;
    this.discard(spare, () => {
      this.#leaving--;
      done();
    });
  }

  /** Fills a new file of the given name with zeros; after a failure there is none. */
  make(name: string, done: (failure: Failure, spare: Spare) => void): void {
    const { files, segmentBytes } = this.#options;
    files.open(name, true, (failure, handle) => {
      const spare = { name, handle, bytes: segmentBytes };
      if (failure !== undefined) return done(failure, spare);
      this.#fill(spare, 0, (fillFailure) => {
        if (fillFailure === undefined) done(undefined, spare);
        else this.discard(spare, () => done(fillFailure, spare));
      });
    });
  }

  #fill(spare: Spare, at: number, done: (failure: Failure) => void): void {
    const { files, zeros: source, pace } = this.#options;
    if (at >= spare.bytes) {
      files.sync(spare.handle, done);
      return;
    }
    const piece = pace.piece(SMALL_PIECE_BYTES, source.length, LEAST_PIECE_BYTES);
    const zeros = source.subarray(0, Math.min(piece, spare.bytes - at));
    writeAll(files, spare.handle, [zeros], at, (failure) => {
      if (failure !== undefined) return done(failure);
      const end = at + zeros.length;
      if (end % FILL_SYNC_BYTES !== 0) return this.#fill(spare, end, done);
      files.sync(spare.handle, (syncFailure) => {
        if (syncFailure !== undefined) done(syncFailure);
        else this.#fill(spare, end, done);
      });
    });
  }

  discard(spare: Spare, done: () => void): void {
    const { files } = this.#options;
    files.close(spare.handle, () => files.remove(spare.name, done));
  }

  /** Makes the files that are missing, as far as there is room; false: none is, or it is at it. */
  stockUp(ended: () => void): boolean {
    if (this.#stocking || this.#closed || !this.lacks) return false;
    const { files, segmentBytes, trouble } = this.#options;
    this.#stocking = true;
    const end = (failure: Failure) => {
      this.#stocking = false;
      if (failure !== undefined && !isNoSpace(failure))
        trouble('no further space can be held ready', failure);
      if (failure !== undefined || !this.stockUp(ended)) ended();
    };
    const least = segmentBytes * (this.#held === 0 ? SLACK : STOCK_FREE);
    files.free((failure, bytes) => {
      if (failure !== undefined || bytes < least) return end(failure ?? noSpace());
      // Odd, so that it never meets the name of a segment that is given back; and each but once, as
      // one that was taken keeps its name until it has become a segment.
      const number = this.#nextName;
      this.#nextName += 2;
      this.make(fillName(number), (makeFailure, spare) => {
        if (makeFailure !== undefined) return end(makeFailure);
        if (this.#closed) return this.discard(spare, () => end(noSpace()));
        this.#filled(spare, spareName(number), end);
      });
    });
    return true;
  }

  // A file has the name of a spare only when all of it is on disk. One whose sync failed, and that
  // could not be removed, looks complete until power is lost: the next start may not take it.
  #filled(spare: Spare, name: string, done: (failure: Failure) => void): void {
    this.#options.files.rename(spare.name, name, (failure) => {
      if (failure !== undefined) return this.discard(spare, () => done(failure));
      this.#list.push({ ...spare, name });
      done(undefined);
    });
  }

  /** Keeps no more files. */
  stop(): void {
    this.#closed = true;
  }

  /** Closes the files, and removes what is beyond the stock; nothing may be under way. */
  closeAll(done: () => void): void {
    const { files } = this.#options;
    const close = (at: number) => {
      const spare = this.#list[at];
      const next = () => close(at + 1);
      if (spare === undefined) done();
      else if (at < this.#stock) files.close(spare.handle, next);
      else this.discard(spare, next);
    };
    close(0);
  }
}

export function noSpace(): Error {
  return Object.assign(new Error('no space left'), { code: 'ENOSPC' });
}
