// The segment files of a log in order: which exist, which one comes next, which are given back.
// A segment is complete before anything depends on it: filled with zeros (or a used file, whose old
// records cannot be mistaken because they name another position), header written, synced, renamed
// into place, directory synced. All of that happens off the hot path, one segment ahead.

import type { Failure, Position } from '../core/ports.ts';
import { type Files, type Handle, isNoSpace, writeAll } from './files.ts';
import { encodeHeader, identityOf, NEXT_NAME, segmentName, spareName } from './segment.ts';

export interface Segment {
  base: Position;
  /** Size of the file. */
  bytes: number;
  /** Where the next segment begins: behind the file's last byte, or further on if it is compacted. */
  end: Position;
  handle: Handle;
  /** Tells it from one that had its name before (segment.ts). */
  identity: number;
  /** Reads under way; the file is not closed or used again before they end. */
  reads: number;
  /** Given back: goes when the reads are over. */
  retired: boolean;
  /** Its file has no name any more: another segment stands for it. */
  replaced?: boolean;
}

/** A file of a segment's size that is used again, or for the first time. */
export interface Spare {
  name: string;
  handle: Handle;
  bytes: number;
}

export interface SegmentsOptions {
  files: Files;
  /** As many as are written at a time. */
  zeros: Uint8Array;
  segmentBytes: number;
  /** Disk space to hold ready beyond the next segment, for publishing at the speed of blocks that
   * exist already; whole segments of it are made when nothing else is going on. */
  spareBytes: number;
  logId: bigint;
  epoch: number;
  wallMs: () => number;
  /** Monotonic ms. */
  now: () => number;
  /** The next segment came to be, or it is known why it does not. */
  changed: () => void;
  /** A background step failed in a way that has no other reporter. */
  trouble: (text: string, failure: Error) => void;
}

// Segments given back that are kept for the next ones, however little space is to be held ready.
const SPARES_MIN = 4;
// While segments are full sooner than this, the disk is busy enough: the stock is not filled.
const HASTE_MS = 2000;
// Zeros are synced every so many bytes, so that their writeback does not delay a commit for long.
const FILL_SYNC_BYTES = 4 * 1024 * 1024;

export class Segments {
  readonly #options: SegmentsOptions;
  readonly #list: Segment[];
  readonly #spares: Spare[];
  readonly #sparesMax: number;
  #stocking = false;
  #coming = 0; // spares that are being renamed
  #next: Segment | undefined;
  #making = false;
  #blocked: string | undefined;
  #closed = false;
  #onRest: (() => void) | undefined;
  #rolledMs = Number.NEGATIVE_INFINITY;

  /**
   * `list`: the segments found, oldest first; `next`: an empty one behind the open one, if any;
   * `spares`: files of segments' size that may be used for further ones.
   */
  constructor(
    options: SegmentsOptions,
    list: Segment[],
    next: Segment | undefined,
    spares: Spare[] = [],
  ) {
    this.#options = options;
    this.#list = list;
    this.#next = next;
    this.#spares = spares;
    this.#sparesMax = Math.max(SPARES_MIN, this.#stock);
  }

  // Segments that are to be held ready.
  get #stock(): number {
    return Math.floor(this.#options.spareBytes / this.#options.segmentBytes);
  }

  /** Files held ready for further segments. */
  get spares(): number {
    return this.#spares.length;
  }

  get list(): readonly Segment[] {
    return this.#list;
  }

  get open(): Segment {
    return this.#list.at(-1)!;
  }

  get next(): Segment | undefined {
    return this.#next;
  }

  get blocked(): string | undefined {
    return this.#blocked;
  }

  get diskBytes(): number {
    let bytes = this.#next?.bytes ?? 0;
    for (const segment of this.#list) bytes += segment.bytes;
    for (const spare of this.#spares) bytes += spare.bytes;
    return bytes;
  }

  /** The segment whose file holds a position. */
  find(position: Position): Segment | undefined {
    const found = this.covering(position);
    return found !== undefined && position < found.base + found.bytes ? found : undefined;
  }

  /** The writer goes on in the next segment, which must be there. */
  roll(): void {
    this.#list.push(this.#next!);
    this.#next = undefined;
    this.#rolledMs = this.#options.now();
    this.prepare();
  }

  /** Begins to make the next segment unless it is there or being made. */
  prepare(): void {
    if (this.#next !== undefined || this.#making || this.#closed) return;
    this.#making = true;
    const base = this.open.end;
    const spare = this.#spares.pop();
    if (spare !== undefined) this.#finish(spare, base);
    else this.#create(base);
  }

  #create(base: Position): void {
    const { files, segmentBytes } = this.#options;
    files.free((failure, bytes) => {
      if (failure === undefined && bytes < segmentBytes * 1.25) return this.#failed(noSpace());
      files.open(NEXT_NAME, true, (openFailure, handle) => {
        if (openFailure !== undefined) return this.#failed(openFailure);
        const spare = { name: NEXT_NAME, handle, bytes: segmentBytes };
        this.#fill(spare, 0, (fillFailure) => {
          if (fillFailure === undefined) this.#finish(spare, base);
          else this.#discard(spare, () => this.#failed(fillFailure));
        });
      });
    });
  }

  #fill(spare: Spare, at: number, done: (failure: Failure) => void): void {
    const { files, zeros: source } = this.#options;
    if (at >= spare.bytes) {
      files.sync(spare.handle, done);
      return;
    }
    const zeros = source.subarray(0, Math.min(source.length, spare.bytes - at));
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

  // Turns a file full of zeros or old records into the segment based at `base`.
  #finish(spare: Spare, base: Position): void {
    const { files, logId, epoch, wallMs } = this.#options;
    const start = this.#list[0]!.base;
    const { bytes } = spare;
    const header = encodeHeader({ base, bytes, start, logId, timeMs: wallMs(), epoch });
    const steps: ((done: (failure: Failure) => void) => void)[] = [
      (done) => writeAll(files, spare.handle, [header], 0, done),
      (done) => files.sync(spare.handle, done),
      (done) => files.rename(spare.name, segmentName(base), done),
      (done) => files.syncDirectory(done),
    ];
    sequence(steps, (failure) => {
      if (failure !== undefined) return this.#discard(spare, () => this.#failed(failure));
      this.#making = false;
      this.#blocked = undefined;
      const { handle } = spare;
      const identity = identityOf(header);
      const end = base + bytes;
      this.#next = { base, bytes, end, handle, identity, reads: 0, retired: false };
      this.#options.changed();
      this.#rested();
    });
  }

  #discard(spare: Spare, done: () => void): void {
    const { files } = this.#options;
    files.close(spare.handle, () => files.remove(spare.name, done));
  }

  #failed(failure: Error): void {
    this.#making = false;
    this.#blocked = isNoSpace(failure) ? 'no space left on the disk' : failure.message;
    this.#options.changed();
    this.#rested();
  }

  /** Tries again to make the next segment, if it failed before. */
  retry(): void {
    if (this.#blocked !== undefined) this.prepare();
    else this.#stockUp();
  }

  // Makes one file for the stock, if one is missing and the disk has time for it.
  #stockUp(): void {
    const { files, segmentBytes, now, trouble } = this.#options;
    const held = this.#spares.length + this.#coming;
    if (this.#stocking || this.#making || this.#closed || held >= this.#stock) return;
    if (now() - this.#rolledMs < HASTE_MS) return;
    this.#stocking = true;
    const end = (failure: Failure) => {
      this.#stocking = false;
      if (failure !== undefined && !isNoSpace(failure))
        trouble('no further space can be held ready', failure);
      if (failure === undefined) this.#stockUp();
      this.#rested();
    };
    files.free((failure, bytes) => {
      if (failure !== undefined || bytes < segmentBytes * 4) return end(failure ?? noSpace());
      const name = this.#stockName();
      files.open(name, true, (openFailure, handle) => {
        if (openFailure !== undefined) return end(openFailure);
        const spare = { name, handle, bytes: segmentBytes };
        this.#fill(spare, 0, (fillFailure) => {
          if (fillFailure !== undefined || this.#closed)
            return this.#discard(spare, () => end(fillFailure));
          this.#spares.push(spare);
          end(undefined);
        });
      });
    });
  }

  // Odd, so that it never meets the name of a segment that is given back.
  #stockName(): string {
    const taken = new Set(this.#spares.map(({ name }) => name));
    let number = 1;
    while (taken.has(spareName(number))) number += 2;
    return spareName(number);
  }

  /** Gives back the segments that end at or before `position`, and says which; never the open one. */
  trim(position: Position): Segment[] {
    const given: Segment[] = [];
    while (this.#list.length > 1 && this.#list[1]!.base <= position) {
      const segment = this.#list.shift()!;
      given.push(segment);
      segment.retired = true;
      if (segment.reads === 0) this.#giveBack(segment);
    }
    return given;
  }

  /** The segment that stands for a position, which may be one of a segment it replaced. */
  covering(position: Position): Segment | undefined {
    const list = this.#list;
    let low = 0;
    let high = list.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (list[middle]!.base <= position) low = middle;
      else high = middle - 1;
    }
    const found = list[low];
    return found !== undefined && position >= found.base && position < found.end
      ? found
      : undefined;
  }

  /** Keeps a segment's file until `readDone`. */
  hold(base: Position): Segment {
    const segment = this.covering(base)!;
    segment.reads++;
    return segment;
  }

  /** `made` stands for the segments from its base to its end from now on; gives those. */
  replace(made: Segment): Segment[] {
    const from = this.#list.findIndex(({ base }) => base === made.base);
    const to = this.#list.findIndex(({ base }) => base >= made.end);
    return this.#list.splice(from, to - from, made);
  }

  /** Closes the file of a segment that another one stands for, when the reads are over. */
  retire(segment: Segment): void {
    segment.retired = true;
    segment.replaced = true;
    if (segment.reads === 0) this.#giveBack(segment);
  }

  /** A read of the segment ended. */
  readDone(segment: Segment): void {
    segment.reads--;
    if (segment.retired && segment.reads === 0) this.#giveBack(segment);
  }

  #giveBack(segment: Segment): void {
    const { files, segmentBytes, trouble } = this.#options;
    if (segment.replaced) {
      files.close(segment.handle, () => this.retry());
      return;
    }
    const name = segmentName(segment.base);
    const keep =
      this.#spares.length + this.#coming < this.#sparesMax &&
      segment.bytes === segmentBytes &&
      !this.#closed;
    if (!keep) {
      files.close(segment.handle, () => {
        files.remove(name, (failure) => {
          if (failure !== undefined) trouble(`the unneeded segment ${name} stays on disk`, failure);
          this.retry();
        });
      });
      return;
    }
    const spare = { name: spareName(segment.base), handle: segment.handle, bytes: segment.bytes };
    // The new name must be on disk before the file is: a crash may not find another segment's
    // header under the old one.
    const steps: ((done: (failure: Failure) => void) => void)[] = [
      (done) => files.rename(name, spare.name, done),
      (done) => files.syncDirectory(done),
    ];
    this.#coming++;
    sequence(steps, (failure) => {
      this.#coming--;
      if (failure !== undefined) {
        trouble(`the unneeded segment ${name} stays on disk`, failure);
        files.close(segment.handle, () => {});
        return;
      }
      if (this.#closed) return this.#discard(spare, () => {});
      this.#spares.push(spare);
      this.retry();
    });
  }

  /**
   * Begins nothing new, waits for what is under way, and closes every file; spares beyond the
   * stock are removed. No read or append may be in flight.
   */
  close(done: () => void): void {
    this.#closed = true;
    this.#onRest = () => this.#closeAll(done);
    this.#rested();
  }

  // Goes on with closing when no file is being made any more.
  #rested(): void {
    if (this.#making || this.#stocking || this.#onRest === undefined) return;
    const onRest = this.#onRest;
    this.#onRest = undefined;
    onRest();
  }

  #closeAll(done: () => void): void {
    const { files } = this.#options;
    const steps = this.#spares.map((spare, i) => (next: (failure: Failure) => void) => {
      if (i < this.#stock) files.close(spare.handle, () => next(undefined));
      else this.#discard(spare, () => next(undefined));
    });
    for (const segment of [...this.#list, ...(this.#next === undefined ? [] : [this.#next])])
      steps.push((next) => files.close(segment.handle, () => next(undefined)));
    sequence(steps, () => done());
  }
}

function noSpace(): Error {
  return Object.assign(new Error('no space left'), { code: 'ENOSPC' });
}

/** Runs steps one after the other until one fails. */
export function sequence(
  steps: ((done: (failure: Failure) => void) => void)[],
  done: (failure: Failure) => void,
): void {
  const [first, ...rest] = steps;
  if (first === undefined) {
    done(undefined);
    return;
  }
  first((failure) => {
    if (failure !== undefined) done(failure);
    else sequence(rest, done);
  });
}
