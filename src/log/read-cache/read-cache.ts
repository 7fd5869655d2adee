// Records read back from disk for deliveries that come after the ring has moved on: windows,
// stretches of the log, in the cold area of the codec's memory. Each window is verified once, when
// it arrives. In which order waiting reads begin and are answered is decided in elevator.ts.
//
// A window begins at a multiple of UNIT in the log, wherever the record that is wanted stands, so
// that thousands of consumers of neighbouring records share it. Where windows follow each other
// they grow: a consumer that reads in order reads far ahead, one that picks here and there little.
//
// Long windows are wanted once, by a consumer that reads in order: they need not go through the
// system's cache, whose copies cost more than the disk does. What many want may be read more than
// once. For a consumer that reads in order the next window is read while the last is delivered,
// unless others publish now and then: then windows are shorter, nothing is read ahead, and each
// window is followed by a pause, so that new messages hardly wait.

import { BLOCK_BYTES } from '../../../assembly/layout.ts';
import type { Failure, Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import type { Foreground } from '../../core/ports/foreground.ts';
import { LogError } from '../files/errors.ts';
import type { Files } from '../files/files.ts';
import type { Segment, Segments } from '../segments/segments.ts';
import { Elevator, type ReadDelays } from './elevator.ts';
import { placeIn, type ReadWindow, UNIT, unitAt, verify, type WaitingRead } from './read-window.ts';
import { WindowArea } from './window-area.ts';

const WINDOW_BYTES_MAX = 2 * 1024 * 1024;
// The same while others publish now and then.
const LIGHT_BYTES_MAX = 512 * 1024;
// Read beyond the last unit, for the record that reaches over its end.
const OVERLAP = 16 * 1024;
// A window holds at least about so many records of the size that is wanted; a larger record is read
// by itself.
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

export class ReadCache {
  readonly #codec: RecordScanner;
  readonly #files: Files;
  readonly #segments: () => Segments;
  readonly #delays: ReadDelays;
  readonly #foreground: Foreground;
  readonly #area: WindowArea;
  readonly #elevator: Elevator;
  readonly #aheadMax: number;
  #lightTraffic = false; // as of the last record that was asked for
  #resting = false;
  #reading = 0;
  reads = 0;
  readBytes = 0;

  /** Windows take `areaBytes` of memory unless one record needs more: it stays touched. */
  constructor(
    codec: RecordScanner,
    files: Files,
    segments: () => Segments,
    delays: ReadDelays,
    foreground: Foreground,
    areaBytes = AREA_BYTES,
  ) {
    const windows = Math.floor((AHEAD_SHARE * areaBytes) / WINDOW_BYTES_MAX);
    this.#aheadMax = Math.min(AHEAD_MAX, windows);
    this.#area = new WindowArea(areaBytes, codec.coldBytes);
    this.#elevator = new Elevator(delays, areaBytes, WINDOW_BYTES_MAX, () => this.#next());
    this.#delays = delays;
    this.#foreground = foreground;
    this.#codec = codec;
    this.#files = files;
    this.#segments = segments;
  }

  /** Place of a verified record, or -1. Its window counts as used, and the next may be read. */
  resident(position: Position, recordBytes: number): number {
    this.#lightTraffic = this.#foreground.lightTraffic;
    const window = this.#area.at(position);
    const place = window === undefined ? -1 : placeIn(window, position, recordBytes);
    if (place >= 0) {
      if (window!.ahead) this.#readOn(window!);
      return place;
    }
    const alone = this.#area.aloneAt(position);
    return alone === undefined ? -1 : placeIn(alone, position, recordBytes);
  }

  /** Reads the record at `position`, and what stands around it, into a window. */
  load(position: Position, recordBytes: number, done: (failure: Failure) => void): void {
    this.#lightTraffic = this.#foreground.lightTraffic;
    this.#elevator.add({ position, recordBytes, done, alone: false });
    // Whoever asks may be in the middle of a delivery: nobody is answered within the call.
    this.#next(false);
  }

  // Begins reads while there is room for them; then, for a crowded pass, what comes behind them.
  #next(mayAnswer = true): void {
    const elevator = this.#elevator;
    if (this.#resting || !elevator.gathered()) return;
    while (!elevator.answering && this.#reading < READS_MAX && elevator.waiting > 0) {
      if (elevator.full) break;
      const read = elevator.next();
      // One that is ahead of the stretch of this pass, or behind it, has a pass of its own.
      if (elevator.isApart(read)) {
        if (this.#readsAhead()) continue;
        if (elevator.busy) break;
      }
      if (!this.#start(read)) break;
      // Others may be in the same window.
      elevator.passed(read, (other) => this.#joins(other));
    }
    if (!elevator.holdsBack || elevator.answering) return;
    if (elevator.waiting === 0) while (this.#reading < READS_MAX && this.#readsAhead());
    if (mayAnswer && this.#reading === 0) elevator.answerAll();
  }

  // Begins to read behind the stretch of a crowded pass; false if that is not worth it.
  #readsAhead(): boolean {
    if (!this.#elevator.dense) return false;
    const position = this.#area.endFrom(this.#elevator.end);
    if (position === undefined) return false;
    const segment = this.#complete(position);
    if (segment === undefined) return false;
    return this.#begin(segment, { begin: position, size: WINDOW_BYTES_MAX, waiters: [] });
  }

  // The segment that holds a position, unless it is still written to.
  #complete(position: Position): Segment | undefined {
    const segment = this.#segments().find(position);
    return segment === this.#segments().open ? undefined : segment;
  }

  // The window is used: begins to read the one behind it, if it is read in order.
  #readOn(window: ReadWindow): void {
    this.#area.use(window);
    const { crowded, holdsBack, answering } = this.#elevator;
    // Answers that are held back need the area, and an end of the reads.
    if (crowded || holdsBack || answering) return;
    if (!window.inOrder || this.#lightTraffic || this.#area.ahead >= this.#aheadMax) return;
    if (window.bytes - window.valid > LARGE) return; // its records end here, or a large one follows
    const segment = this.#complete(window.end);
    if (segment === undefined) return;
    if (this.#reading >= READS_MAX || this.#area.at(window.end) !== undefined) return;
    // The record that reaches over the window's end has to be whole in the next one.
    const begin = Math.max(segment.base, unitAt(window.position + window.valid));
    this.#begin(segment, { begin, size: WINDOW_BYTES_MAX, waiters: [], used: window });
  }

  // Whether a read waits for a window that is being read already.
  #joins(read: WaitingRead): boolean {
    const { position, alone } = read;
    const window = alone ? this.#area.aloneAt(position) : this.#area.at(position);
    if (window === undefined || !window.loading || window.stale) return false;
    window.waiters.push(read);
    this.#elevator.begun(1);
    return true;
  }

  #start(read: WaitingRead): boolean {
    if (this.#joins(read)) return true;
    const { position, recordBytes, alone, done } = read;
    const segment = this.#segments().find(position);
    if (segment === undefined) {
      queueMicrotask(() => done(new LogError('missing', `position ${position} is not on disk`)));
      return true;
    }
    if (alone || recordBytes > LARGE) {
      const size = Math.ceil(recordBytes / 8) * 8;
      return this.#begin(segment, { begin: position, size, waiters: [{ ...read, alone: true }] });
    }
    const begin = Math.max(segment.base, unitAt(position));
    // Some records of its size, so that a consumer that reads in order has more than one of them.
    const some = unitAt(SOME_RECORDS * recordBytes) + UNIT;
    const size = Math.max(this.#growth(begin, position), some);
    return this.#begin(segment, { begin, size, waiters: [read] });
  }

  // Bytes of a window that begins there for a record: twice those of the one that it follows.
  #growth(begin: Position, wanted: Position): number {
    const before = this.#area.before(begin, wanted);
    if (before === undefined) return UNIT;
    const most = this.#lightTraffic ? LIGHT_BYTES_MAX : WINDOW_BYTES_MAX;
    return Math.min(2 * (before.end - before.position), most);
  }

  // Begins to read a window: of whole units from `begin` on, or of one record, alone. `used`: it is
  // read ahead of that one, whose place may not be taken: a delivery is about to be made from it.
  #begin(
    segment: Segment,
    wanted: { begin: Position; size: number; waiters: WaitingRead[]; used?: ReadWindow },
  ): boolean {
    const { begin, size, waiters, used } = wanted;
    const alone = waiters[0]?.alone === true;
    const segmentEnd = segment.base + segment.bytes;
    const end = alone ? begin : Math.min(begin + size, segmentEnd);
    const bytes = Math.min(alone ? size : end - begin + OVERLAP, segmentEnd - begin);
    const place = this.#area.take(Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES, used);
    if (place < 0 || this.#segments().closed) return false;
    const window: ReadWindow = {
      position: begin,
      place,
      bytes,
      from: 0,
      valid: 0,
      end,
      loading: true,
      inOrder: !alone && size >= LIGHT_BYTES_MAX,
      ahead: used !== undefined,
      stale: false,
      waiters,
    };
    this.#area.add(window, alone ? begin : undefined);
    segment.reads++;
    this.reads++;
    this.#reading++;
    this.#elevator.begun(waiters.length);
    if (used === undefined) this.#elevator.reached(begin, end, bytes);
    this.#read(window, segment, 0);
    return true;
  }

  // Goes on after short reads.
  #read(window: ReadWindow, segment: Segment, got: number): void {
    const { place, bytes, position } = window;
    const once = window.inOrder && !this.#elevator.crowded;
    const into = this.#codec.memory.subarray(place + got, place + bytes);
    const ended = (failure: Failure, read: number) => {
      this.readBytes += read;
      const all = got + read;
      if (failure === undefined && read > 0 && all < bytes) this.#read(window, segment, all);
      else this.#loaded(window, segment, failure, all);
    };
    this.#files.read(segment.handle, into, position + got - segment.base, ended, once);
  }

  #loaded(window: ReadWindow, segment: Segment, failure: Failure, read: number): void {
    window.loading = false;
    this.#reading--;
    this.#segments().readDone(segment);
    if (failure === undefined && !window.stale) verify(window, read, this.#codec);
    const { waiters } = window;
    window.waiters = [];
    if (failure !== undefined || window.stale || window.valid === window.from)
      this.#area.drop((w) => w === window);
    const elevator = this.#elevator;
    const together = elevator.crowded && failure === undefined && !window.stale;
    for (const waiter of waiters)
      if (together && !waiter.alone)
        elevator.holdBack(() => this.#answer(window, waiter, undefined));
      else {
        elevator.answered(1);
        this.#answer(window, waiter, failure);
      }
    if (waiters.length > 0 && window.valid > window.from) this.#readOn(window);
    if (window.inOrder && this.#lightTraffic && !elevator.crowded) this.#rest();
    this.#next();
  }

  #answer(window: ReadWindow, read: WaitingRead, failure: Failure): void {
    const { position, recordBytes, done, alone } = read;
    // Whoever does not find the record in a stale window asks again, for where it stands now.
    if (window.stale || placeIn(window, position, recordBytes) >= 0) done(undefined);
    else if (alone)
      done(failure ?? new LogError('damaged', `the record at ${position} does not verify`));
    // It may reach over the window's end, or another record is damaged or cannot be read.
    else this.#elevator.add({ ...read, alone: true });
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

  /**
   * Forgets windows of positions from `base` to before `end`, where other records stand now. A read
   * of such a record, however it waits, is told later that the record is there; its caller does not
   * find it, and asks again, for where it stands by then.
   */
  forget(base: Position, end: Position): void {
    const within = (position: Position) => position >= base && position < end;
    this.#area.forget(within);
    const moved = this.#elevator.withdraw(within);
    if (moved.length === 0) return;
    this.#delays.soon(() => {
      for (const { done } of moved) done(undefined);
    });
  }

  /** Forgets windows that reach into what is given back. */
  trim(position: Position): void {
    this.#area.drop((w) => !w.loading && w.position < position);
  }
}
