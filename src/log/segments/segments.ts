// The segment files of a log in order: which exist, which one comes next, which are given back.
// A segment is complete before anything depends on it: filled with zeros (or a used file, whose old
// records cannot be mistaken because they name another position), header written, synced, renamed
// into place, directory synced. All of that happens off the hot path, one segment ahead.
//
//   next   a segment beyond it    messages                  acks, trims
//   yes    can be had             go on into it             go on into it
//   yes    cannot be had          refused when the open     go on into it: it is kept for them
//                                 segment is full
//   no     -                      refused                   what is left of the open segment

import type { Failure, Position } from '../../core/ports/basics.ts';
import { isNoSpace, sequence } from '../files/files.ts';
import { type MakingOptions, makeSegment, raiseSegment, type Segment } from './making.ts';
import { NEXT_NAME, segmentName } from './segment.ts';
import { noSpace, type Spare, Spares, type SparesOptions } from './spares.ts';

export type { Segment } from './making.ts';

export interface SegmentsOptions extends SparesOptions, MakingOptions {
  /** Monotonic ms. */
  now: () => number;
  /** The next segment came to be, or it is known why it does not; or whether one beyond it can. */
  changed: () => void;
}

// While segments are full sooner than this, the disk is busy enough: the stock is not filled.
const HASTE_MS = 2000;
const FULL = 'no space left on the disk';

export class Segments {
  readonly #options: SegmentsOptions;
  readonly #list: Segment[];
  readonly #spares: Spares;
  #next: Segment | undefined;
  // Whether a segment beyond the next one can be had; undefined: not known yet.
  #another: boolean | undefined;
  #making = false;
  #looking = false;
  #leaving = 0; // segments that are given back, or will be when their reads are over
  #blocked: string | undefined;
  /** Files are being closed: no read may begin any more. */
  closed = false;
  #onRest: (() => void) | undefined;
  #rolledMs = Number.NEGATIVE_INFINITY;
  // Whether segments that are made from now on may hold records of types 7 to 10.
  #places: boolean;

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
    this.#spares = new Spares(options, spares);
    this.#places = (next ?? this.open).places === true;
  }

  /** Files held ready for further segments and for compaction. */
  get spares(): number {
    return this.#spares.count;
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

  /** Whether messages may go on into the next segment: acks will have another one behind it. */
  get roomy(): boolean {
    return this.#next !== undefined && this.#another === true;
  }

  /** Why no segment can be had for further messages, or undefined while one can or may come. */
  get blocked(): string | undefined {
    return this.#next !== undefined && this.#another === false ? FULL : this.#blocked;
  }

  get diskBytes(): number {
    const bytes = this.#list.reduce((sum, segment) => sum + segment.bytes, this.#spares.bytes);
    return bytes + (this.#next?.bytes ?? 0);
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

  /**
   * From now on segments that are made may hold records of types 7 to 10, and the next one, too: an
   * earlier release refuses the log by its header, which is durable before anything is written that
   * leads there. Whether that is so; `changed` says when it is.
   */
  raise(): boolean {
    this.#places = true;
    if (this.#next !== undefined && !this.#next.places) this.#raiseNext(this.#next);
    return this.#next?.places === true;
  }

  // Nobody goes on to it meanwhile.
  #raiseNext(segment: Segment): void {
    this.#next = undefined;
    this.#making = true;
    raiseSegment(this.#options, segment, this.#list[0]!.base, (failure) => {
      if (failure !== undefined) return this.#failed(failure);
      this.#making = false;
      this.#next = segment;
      this.#options.changed();
      this.#rested();
    });
  }

  /**
   * Begins to make the next segment unless it is being made. If it is there already, looks whether
   * one beyond it can be had.
   */
  prepare(): void {
    if (this.#next !== undefined) {
      this.#look();
      return;
    }
    if (this.#making || this.closed) return;
    const { files, segmentBytes } = this.#options;
    this.#making = true;
    files.free((failure, bytes) => {
      // A disk that does not tell is tried.
      const free = failure === undefined ? bytes : Number.POSITIVE_INFINITY;
      const spare = this.#spares.take();
      if (spare !== undefined) return this.#finish(spare, free);
      if (free < this.#spares.needed) return this.#failed(noSpace());
      // What an earlier attempt could not remove goes first; there may be nothing.
      files.remove(NEXT_NAME, () =>
        this.#spares.make(NEXT_NAME, (makeFailure, made) => {
          if (makeFailure !== undefined) this.#failed(makeFailure);
          else this.#finish(made, free - segmentBytes);
        }),
      );
    });
  }

  // Turns a file full of zeros or old records into the next segment; `free` bytes are left.
  #finish(spare: Spare, free: number): void {
    const start = this.#list[0]!.base;
    const place = { base: this.open.end, start, places: this.#places };
    makeSegment(this.#options, spare, place, (failure, made) => {
      if (made === undefined) return this.#spares.discard(spare, () => this.#failed(failure!));
      this.#making = false;
      this.#blocked = undefined;
      this.#another = this.#mayFollow(free);
      this.#next = made;
      if (this.#places && !made.places) this.#raiseNext(made);
      else this.#options.changed();
      if (this.#another === false) this.retry();
      this.#rested();
    });
  }

  #mayFollow(free: number): boolean {
    return this.#spares.spendable || free >= this.#spares.needed;
  }

  #failed(failure: Error): void {
    this.#making = false;
    this.#blocked = isNoSpace(failure) ? FULL : failure.message;
    this.#options.changed();
    this.#rested();
  }

  /** Whether the next segment or a file of the stock is missing. */
  get lacks(): boolean {
    return this.#next === undefined || this.#spares.lacks;
  }

  /**
   * Makes the reserve if it is missing, and the rest of the stock if there is time; tries again to
   * make the next segment, if that failed, and looks whether there is space.
   */
  retry(): void {
    if (!this.#stockUp()) this.#again();
  }

  #again(): void {
    if (this.#blocked !== undefined || this.#next !== undefined) this.prepare();
  }

  // Whether a segment beyond the next one can be had changes when others use the disk.
  #look(): void {
    if (this.#looking || this.closed) return;
    this.#looking = true;
    this.#options.files.free((failure, bytes) => {
      this.#looking = false;
      const another = this.#mayFollow(failure === undefined ? bytes : Number.POSITIVE_INFINITY);
      if (this.closed) return this.#rested();
      if (this.#next === undefined || another === this.#another) return;
      this.#another = another;
      this.#options.changed();
    });
  }

  // Fills the stock if something is missing and the disk has time for it; goes on with `again`.
  #stockUp(): boolean {
    if (this.#making || this.closed) return false;
    const busy = this.#options.now() - this.#rolledMs < HASTE_MS;
    if (busy && this.blocked === undefined) return false;
    return this.#spares.stockUp(() => {
      if (!this.closed) this.#again();
      this.#rested();
    });
  }

  /** Lends a file of a segment's size to a compaction; `returned` must follow. */
  lend(): Spare | undefined {
    return this.#spares.lend();
  }

  /** The file that was lent is as it was, or, if `used`, a segment or gone. */
  returned(used: boolean): void {
    this.#spares.settle(used);
    if (!this.closed) this.retry();
  }

  /** Gives the system back a spare for what is written beside the segments, if there is one. */
  giveUp(): void {
    this.#spares.giveUp(() => {
      this.#again();
      this.#rested();
    });
  }

  /** Gives back the segments that end at or before `position`, and says which; never the open one. */
  trim(position: Position): Segment[] {
    const given: Segment[] = [];
    // Once the files are being closed, that is left to the next start.
    while (!this.closed && this.#list.length > 1 && this.#list[1]!.base <= position) {
      const segment = this.#list.shift()!;
      given.push(segment);
      this.#retire(segment);
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
    const found = list[low]!; // the open one is always there
    return position >= found.base && position < found.end ? found : undefined;
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

  /**
   * Gives back a segment that another one stands for, when its reads are over; `nameless`: its name
   * is that one's now, or has to stay. `gone`: the file is closed, and a spare or not there any more.
   */
  retire(segment: Segment, nameless: boolean, gone: () => void): void {
    segment.nameless = nameless;
    segment.gone = gone;
    this.#retire(segment);
  }

  #retire(segment: Segment): void {
    segment.retired = true;
    this.#leaving++;
    if (segment.reads === 0) this.#giveBack(segment);
  }

  /** A read of the segment ended. */
  readDone(segment: Segment): void {
    segment.reads--;
    if (segment.retired && segment.reads === 0) this.#giveBack(segment);
    this.#rested();
  }

  #giveBack(segment: Segment): void {
    const { files, trouble } = this.#options;
    const { base, bytes, handle, gone = () => {} } = segment;
    const name = segmentName(base);
    const end = (failure: Failure) => {
      if (failure !== undefined) trouble(`the unneeded segment ${name} stays on disk`, failure);
      gone();
      if (failure === undefined && !this.closed) this.retry();
      this.#leaving--;
      this.#rested();
    };
    if (segment.nameless) files.close(handle, () => end(undefined));
    else if (this.#spares.wants(bytes)) this.#spares.keep(name, base, handle, end);
    else files.close(handle, () => files.remove(name, end));
  }

  /**
   * Begins nothing new, waits for what is under way, reads included, and closes every file; spares
   * beyond the stock are removed. No append may be in flight.
   */
  close(done: () => void): void {
    this.closed = true;
    this.#spares.stop();
    this.#onRest = () => this.#closeAll(done);
    this.#rested();
  }

  // Goes on with closing when no file is being made, given back or read any more.
  #rested(): void {
    if (this.#onRest === undefined || this.#making || this.#looking || this.#spares.busy) return;
    if (this.#leaving > 0 || this.#list.some(({ reads }) => reads > 0)) return;
    const onRest = this.#onRest;
    this.#onRest = undefined;
    onRest();
  }

  #closeAll(done: () => void): void {
    const { files } = this.#options;
    const steps: ((next: (failure: Failure) => void) => void)[] = [
      (next) => this.#spares.closeAll(() => next(undefined)),
    ];
    for (const segment of [...this.#list, ...(this.#next === undefined ? [] : [this.#next])])
      steps.push((next) => files.close(segment.handle, () => next(undefined)));
    sequence(steps, () => done());
  }
}
