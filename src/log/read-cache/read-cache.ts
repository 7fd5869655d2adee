// Windows: stretches of the log read back from disk into the cold area of the codec's memory, for
// deliveries that come after the ring has moved on. Each window is verified once, when it arrives.
// The area is used as a ring: a new window takes the place of the oldest ones.
//
// A window begins at a multiple of UNIT in the log, wherever the record that is wanted stands, so
// that thousands of consumers who want neighbouring records share it. Where windows follow each
// other they grow, so that one who reads in order reads far ahead and one who picks here and there
// reads little. Loads that wait are taken in the order of the log, in one sweep after the other.
//
// Long windows are wanted once, by one who reads in order: they need not go through the system's
// cache, whose copies cost more than the disk does. What a crowd wants may be read more than once.
// Who reads in order has the next window read while the last is delivered, unless others publish
// now and then: then windows are shorter, nothing is read ahead, and each is followed by a pause,
// so that what is new hardly waits.
//
// Where very many wait for records of one stretch, as consumers of thousands of buckets do whose
// messages are interleaved, each would be served a message or two for each window. So all of them
// wait until the area is full, as far as the stretch is dense, and are served then, a few a turn;
// the next sweep begins when half of them wait again, or a moment later. Who is far from the crowd
// has a sweep of its own.

import {
  BLOCK_BYTES,
  RECORD_HEADER_BYTES,
  RESULT_CONSUMED,
  SCAN_ROWS,
} from '../../../assembly/layout.ts';
import type { Failure, Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import type { Foreground } from '../../core/ports/foreground.ts';
import { LogError } from '../files/errors.ts';
import type { Files } from '../files/files.ts';
import type { Segment, Segments } from '../segments/segments.ts';
import { placeIn, type ReadWindow, UNIT, unitAt, type WaitingRead } from './read-window.ts';

/** Calls back once: after other work had its turn, after some ms, after few ms. */
export interface ReadDelays {
  soon: (call: () => void) => void;
  later: (call: () => void) => void;
  idleDelay: (call: () => void) => void;
}

const WINDOW_BYTES_MAX = 2 * 1024 * 1024;
// The same while others publish.
const GENTLE_BYTES_MAX = 512 * 1024;
// Read beyond the last unit, for the record that reaches over its end.
const OVERLAP = 16 * 1024;
// A window holds at least about so many records of the size that is wanted; a larger one is read
// for itself.
const SOME_RECORDS = 4;
const LARGE = WINDOW_BYTES_MAX / 4;
// Memory for windows, if it is not said.
const AREA_BYTES = 64 * 1024 * 1024;
// Reads under way.
const READS_MAX = 4;
// Windows that nobody has asked for yet: so many, and in all a quarter of the area, or they would
// push out what somebody reads.
const AHEAD_MAX = 4;
const AHEAD_SHARE = 0.25;
// So many loads together wait for a whole sweep; it may fill this share of the area.
const CROWD = 64;
const SWEEP_SHARE = 0.75;
// Crowded: so many loads for each MiB that they span.
const CROWD_PER_MIB = 8;
// Loads answered in one turn of a crowd.
const ANSWERS_MAX = 64;

export class ReadCache {
  readonly #codec: RecordScanner;
  readonly #files: Files;
  readonly #segments: () => Segments;
  #windows: ReadWindow[] = []; // oldest first
  readonly #byUnit = new Map<number, ReadWindow>();
  readonly #alone = new Map<Position, ReadWindow>(); // by the position of their one record
  #cursor = 0;
  #ahead = 0;
  #gently = false; // as of the last record that was asked for
  #resting = false;
  #queue: WaitingRead[] = [];
  #sweep: Position = 0; // where the next load is looked for
  // Loads whose window is being read or that are among the crowd, whose answers wait for the end of
  // the sweep; what was read for them, and the stretch of it.
  #asked = 0;
  #crowd: (() => void)[] = [];
  #stretchBytes = 0;
  #stretchFrom: Position = Number.POSITIVE_INFINITY;
  #stretchTo: Position = 0;
  #answering = false;
  // After a crowd was served, a sweep begins when so many wait again.
  #gathering = 0;
  #crowds = 0;
  #reading = 0;
  reads = 0;
  readBytes = 0;

  readonly #delays: ReadDelays;
  readonly #foreground: Foreground;
  readonly #areaBytes: number;
  readonly #sweepBytes: number;
  readonly #aheadMax: number;

  /** Windows take `areaBytes` of memory unless one record needs more: it stays touched. */
  constructor(
    codec: RecordScanner,
    files: Files,
    segments: () => Segments,
    turns: ReadDelays,
    foreground: Foreground,
    areaBytes = AREA_BYTES,
  ) {
    this.#areaBytes = areaBytes;
    this.#sweepBytes = SWEEP_SHARE * areaBytes;
    const room = Math.floor((AHEAD_SHARE * areaBytes) / WINDOW_BYTES_MAX);
    this.#aheadMax = Math.min(AHEAD_MAX, room);
    this.#delays = turns;
    this.#foreground = foreground;
    this.#codec = codec;
    this.#files = files;
    this.#segments = segments;
  }

  /** Place of a verified record, or -1. Its window counts as used, and the next may be read. */
  resident(position: Position, recordBytes: number): number {
    this.#gently = this.#foreground.lightTraffic;
    const window = this.#unit(position);
    const place = window === undefined ? -1 : placeIn(window, position, recordBytes);
    if (place >= 0) {
      if (window!.ahead) this.#readOn(window!);
      return place;
    }
    const alone = this.#alone.get(position);
    return alone === undefined ? -1 : placeIn(alone, position, recordBytes);
  }

  /** Reads the record at `position`, and what stands around it, into a window. */
  load(position: Position, recordBytes: number, done: (failure: Failure) => void): void {
    this.#gently = this.#foreground.lightTraffic;
    this.#queue.push({ position, recordBytes, done, alone: false });
    this.#next();
  }

  // Begins loads while there is room for them; then, for a crowd, what comes behind them.
  #next(): void {
    if (this.#resting || this.#queue.length < this.#gathering) return;
    this.#gathering = 0;
    while (!this.#answering && this.#reading < READS_MAX && this.#queue.length > 0) {
      if (this.#asked >= CROWD && this.#stretchBytes >= this.#sweepBytes) break;
      const load = this.#first();
      // Those who are ahead of the crowd, or behind it, have a sweep of their own.
      if (this.#isApart(load)) {
        if (this.#readsAhead()) continue;
        if (this.#asked > 0 && this.#asked + this.#queue.length >= CROWD) break;
      }
      const begun = this.#start(load);
      if (!begun) break;
      this.#sweep = load.position;
      // Others may be in the same window.
      this.#queue = this.#queue.filter((each) => each !== load && !this.#joins(each));
    }
    if (this.#crowd.length === 0 || this.#answering) return;
    if (this.#queue.length === 0) while (this.#reading < READS_MAX && this.#readsAhead());
    if (this.#reading === 0) this.#answerCrowd();
  }

  #isApart({ position }: WaitingRead): boolean {
    return position < this.#stretchFrom || position > this.#stretchTo + WINDOW_BYTES_MAX;
  }

  // The next load of the sweep.
  #first(): WaitingRead {
    let at = -1;
    let lowest = 0;
    for (let i = 0; i < this.#queue.length; i++) {
      const { position } = this.#queue[i]!;
      if (position < this.#queue[lowest]!.position) lowest = i;
      if (position >= this.#sweep && (at < 0 || position < this.#queue[at]!.position)) at = i;
    }
    return this.#queue[at < 0 ? lowest : at]!;
  }

  // Begins to read behind the stretch that a crowd asked for; false if that is not worth it.
  #readsAhead(): boolean {
    const mib = Math.max(1, (this.#stretchTo - this.#stretchFrom) / (1024 * 1024));
    if (this.#stretchBytes >= this.#sweepBytes) return false;
    if (this.#asked < Math.max(CROWD, CROWD_PER_MIB * mib)) return false;
    let position = this.#stretchTo;
    for (let window = this.#unit(position); window !== undefined; window = this.#unit(position)) {
      if (window.end <= position) return false;
      position = window.end;
    }
    const segment = this.#segments().find(position);
    if (segment === undefined || segment === this.#segments().open) return false;
    return this.#begin(segment, position, position, WINDOW_BYTES_MAX, []);
  }

  // The window is used: begins to read the one behind it, if whoever uses it reads in order.
  #readOn(window: ReadWindow): void {
    if (window.ahead) this.#ahead--;
    window.ahead = false;
    // A crowd that waits for its answers needs the area, and an end of the reads.
    if (this.#crowded || this.#crowd.length > 0 || this.#answering) return;
    if (!window.inOrder || this.#gently || this.#ahead >= this.#aheadMax) return;
    if (window.bytes - window.valid > LARGE) return; // its records end here, or a large one follows
    const { end } = window;
    const segment = this.#segments().find(end);
    if (segment === undefined || segment === this.#segments().open) return;
    if (this.#reading >= READS_MAX || this.#unit(end) !== undefined) return;
    // The record that reaches over the window's end has to be whole in the next one.
    const begin = Math.max(segment.base, unitAt(window.position + window.valid));
    if (!this.#begin(segment, begin, begin, WINDOW_BYTES_MAX, [], window)) return;
    this.#windows.at(-1)!.ahead = true;
    this.#ahead++;
  }

  get #crowded(): boolean {
    return this.#asked + this.#queue.length >= CROWD;
  }

  #unit(position: Position): ReadWindow | undefined {
    return this.#byUnit.get(Math.floor(position / UNIT));
  }

  // Serves a crowd, a few of it a turn.
  #answerCrowd(): void {
    this.#answering = true;
    const crowd = this.#crowd;
    this.#crowd = [];
    this.#answered(crowd.length);
    const go = (from: number) => {
      for (const answer of crowd.slice(from, from + ANSWERS_MAX)) answer();
      if (from + ANSWERS_MAX < crowd.length) {
        this.#delays.soon(() => go(from + ANSWERS_MAX));
        return;
      }
      this.#answering = false;
      this.#gather(crowd.length);
      this.#next();
    };
    go(0);
  }

  #answered(count: number): void {
    this.#asked -= count;
    if (this.#asked > 0) return;
    this.#stretchBytes = 0;
    this.#stretchFrom = Number.POSITIVE_INFINITY;
    this.#stretchTo = 0;
  }

  // Most of those who were served find their next records in memory still. Reading on for the first
  // few that do not would push those records out before the others have come for them.
  #gather(served: number): void {
    const crowd = ++this.#crowds;
    this.#gathering = Math.max(this.#gathering, Math.floor(served / 2));
    this.#delays.later(() => {
      if (crowd !== this.#crowds) return;
      this.#gathering = 0;
      this.#next();
    });
  }

  // Whether a load waits for a window that is being read already.
  #joins(load: WaitingRead): boolean {
    const window = load.alone
      ? this.#alone.get(load.position)
      : this.#byUnit.get(Math.floor(load.position / UNIT));
    if (window === undefined || !window.loading || window.stale) return false;
    window.waiters.push(load);
    this.#asked++;
    return true;
  }

  #start(load: WaitingRead): boolean {
    if (this.#joins(load)) return true;
    const { position, recordBytes, alone, done } = load;
    const segment = this.#segments().find(position);
    if (segment === undefined) {
      queueMicrotask(() => done(new LogError('missing', `position ${position} is not on disk`)));
      return true;
    }
    if (alone || recordBytes > LARGE) {
      const padded = Math.ceil(recordBytes / 8) * 8;
      return this.#begin(segment, position, position, padded, [{ ...load, alone: true }]);
    }
    const begin = Math.max(segment.base, unitAt(position));
    // Some records of its size, so that who reads in order has more than one of them.
    const some = unitAt(SOME_RECORDS * recordBytes) + UNIT;
    const size = Math.max(this.#growth(begin, position), some);
    return this.#begin(segment, begin, position, size, [load]);
  }

  // Begins to read a window: of whole units from `begin` on, or of one record, alone. `used`: a window
  // whose place may not be taken, because somebody is about to read from it.
  #begin(
    segment: Segment,
    begin: Position,
    wanted: Position,
    size: number,
    waiters: WaitingRead[],
    used?: ReadWindow,
  ): boolean {
    const own = waiters[0]?.alone === true;
    const segmentEnd = segment.base + segment.bytes;
    const end = own ? begin : Math.min(begin + size, segmentEnd);
    const bytes = Math.min(own ? size : end - begin + OVERLAP, segmentEnd - begin);
    const place = this.#room(Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES, used);
    if (place < 0 || this.#segments().closed) return false;
    const window: ReadWindow = {
      position: begin,
      place,
      bytes,
      from: 0,
      valid: 0,
      end,
      loading: true,
      inOrder: !own && size >= GENTLE_BYTES_MAX,
      ahead: false,
      stale: false,
      waiters,
    };
    this.#windows.push(window);
    if (own) this.#alone.set(wanted, window);
    else for (let unit = begin; unit < end; unit += UNIT) this.#enter(unit, window);
    segment.reads++;
    this.reads++;
    this.#reading++;
    this.#asked += waiters.length;
    if (used === undefined) {
      this.#stretchBytes += bytes;
      this.#stretchFrom = Math.min(this.#stretchFrom, begin);
      this.#stretchTo = Math.max(this.#stretchTo, end);
    }
    this.#read(window, segment, 0);
    return true;
  }

  #enter(position: Position, window: ReadWindow): void {
    const unit = Math.floor(position / UNIT);
    // What is there already may be waited for.
    if (this.#byUnit.get(unit)?.loading !== true) this.#byUnit.set(unit, window);
  }

  // Bytes of a window that begins there for a record: twice those of the one that it follows, be it
  // at its end or with the first record that did not fit into it.
  #growth(begin: Position, wanted: Position): number {
    const before = this.#unit(begin - 1);
    if (before?.end === begin) return this.#grown(before);
    const over = this.#unit(wanted - 1);
    if (over !== undefined && over.position + over.valid === wanted) return this.#grown(over);
    return UNIT;
  }

  #grown({ position, end }: ReadWindow): number {
    return Math.min(2 * (end - position), this.#gently ? GENTLE_BYTES_MAX : WINDOW_BYTES_MAX);
  }

  // Goes on after short reads.
  #read(window: ReadWindow, segment: Segment, got: number): void {
    const { place, bytes, position } = window;
    const once = window.inOrder && !this.#crowded;
    const into = this.#codec.memory.subarray(place + got, place + bytes);
    const ended = (failure: Failure, read: number) => {
      this.readBytes += read;
      const all = got + read;
      if (failure === undefined && read > 0 && all < bytes) this.#read(window, segment, all);
      else this.#loaded(window, segment, failure, all);
    };
    this.#files.read(segment.handle, into, position + got - segment.base, ended, once);
  }

  // Takes room behind the cursor from the oldest windows; -1 while one of them is read or used.
  #room(bytes: number, used: ReadWindow | undefined): number {
    const area = Math.min(this.#codec.coldBytes, Math.max(this.#areaBytes, bytes));
    const at = this.#cursor + bytes > area ? 0 : this.#cursor;
    const inTheWay = (w: ReadWindow) => w.place < at + bytes && at < w.place + w.bytes;
    if (this.#windows.some((w) => (w.loading || w === used) && inTheWay(w))) return -1;
    this.#drop(inTheWay);
    this.#cursor = at + bytes;
    return at;
  }

  #drop(unwanted: (window: ReadWindow) => boolean): void {
    const kept: ReadWindow[] = [];
    for (const window of this.#windows) {
      if (!unwanted(window)) {
        kept.push(window);
        continue;
      }
      if (window.ahead) this.#ahead--;
      window.ahead = false;
      if (this.#alone.get(window.position) === window) this.#alone.delete(window.position);
      for (let unit = window.position; unit < window.end; unit += UNIT) {
        const key = Math.floor(unit / UNIT);
        if (this.#byUnit.get(key) === window) this.#byUnit.delete(key);
      }
    }
    this.#windows = kept;
  }

  #loaded(window: ReadWindow, segment: Segment, failure: Failure, read: number): void {
    window.loading = false;
    this.#reading--;
    this.#segments().readDone(segment);
    if (failure === undefined && !window.stale) this.#verify(window, read);
    const { waiters } = window;
    window.waiters = [];
    if (failure !== undefined || window.stale || window.valid === window.from)
      this.#drop((w) => w === window);
    const crowded = this.#crowded && failure === undefined && !window.stale;
    for (const load of waiters)
      if (crowded && !load.alone) this.#crowd.push(() => this.#answer(window, load, undefined));
      else {
        this.#answered(1);
        this.#answer(window, load, failure);
      }
    if (waiters.length > 0 && window.valid > window.from) this.#readOn(window);
    if (window.inOrder && this.#gently && !this.#crowded) this.#rest();
    this.#next();
  }

  #answer(window: ReadWindow, load: WaitingRead, failure: Failure): void {
    const { position, recordBytes, done, alone } = load;
    const { stale } = window;
    const held = placeIn(window, position, recordBytes) >= 0;
    // Who finds nothing in a stale one asks again, for where it stands now.
    if (stale || held) done(undefined);
    else if (alone)
      done(failure ?? new LogError('damaged', `the record at ${position} does not verify`));
    // It may reach over the window's end, or what is damaged or cannot be read is another record.
    else this.#queue.push({ ...load, alone: true });
  }

  // Lets others have the machine for a moment.
  #rest(): void {
    if (this.#resting) return;
    this.#resting = true;
    this.#delays.idleDelay(() => {
      this.#resting = false;
      this.#next();
    });
  }

  // Finds where the first record begins, and how far records follow it.
  #verify(window: ReadWindow, bytes: number): void {
    const { place, position } = window;
    const codec = this.#codec;
    const start = bytes < RECORD_HEADER_BYTES ? bytes : codec.seek(place, bytes, position);
    window.from = start;
    window.valid = start;
    if (start >= bytes) return;
    for (;;) {
      const { valid } = window;
      const status = codec.scan(place + valid, bytes - valid, position + valid);
      window.valid += codec.result[RESULT_CONSUMED]!;
      if (status !== SCAN_ROWS) return;
    }
  }

  /**
   * Forgets windows of positions from `base` to before `end`, where other records stand now. Whoever
   * waits for one of those, in whatever way, is told later that it is there, does not find it, and
   * asks again, for where it stands by then.
   */
  forget(base: Position, end: Position): void {
    const within = (position: Position) => position >= base && position < end;
    for (const window of this.#windows) if (within(window.position)) window.stale = true;
    this.#drop((w) => !w.loading && w.stale);
    const moved = this.#queue.filter(({ position }) => within(position));
    if (moved.length === 0) return;
    this.#queue = this.#queue.filter(({ position }) => !within(position));
    this.#delays.soon(() => {
      for (const { done } of moved) done(undefined);
    });
  }

  /** Forgets windows that reach into what is given back. */
  trim(position: Position): void {
    this.#drop((w) => !w.loading && w.position < position);
  }
}
