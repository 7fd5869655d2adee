// Windows: stretches of the log read back from disk into the cold area of the codec's memory, for
// deliveries that come after the ring has moved on. Each window is verified once, when it arrives.
// The area is used as a ring: a new window takes the place of the oldest ones.

import { RESULT_CONSUMED, SCAN_ROWS } from '../../assembly/layout.ts';
import type { Codec, Failure, Position } from '../core/ports.ts';
import { LogError } from './errors.ts';
import type { Files } from './files.ts';
import type { Segment, Segments } from './segments.ts';

interface Window {
  position: Position;
  place: number;
  bytes: number; // room taken in the area
  valid: number; // bytes of verified records
  loading: boolean;
  waiters: ((failure: Failure) => void)[];
}

const WINDOW_BYTES = 1024 * 1024;
// What the cold area may use unless one record needs more: memory that is touched stays touched.
const AREA_BYTES = 32 * 1024 * 1024;

export class Cold {
  readonly #codec: Codec;
  readonly #files: Files;
  readonly #segments: () => Segments;
  #windows: Window[] = []; // oldest first
  #cursor = 0;
  #queue: (() => boolean)[] = []; // loads that found no room; each true once it could start
  reads = 0;
  readBytes = 0;

  constructor(codec: Codec, files: Files, segments: () => Segments) {
    this.#codec = codec;
    this.#files = files;
    this.#segments = segments;
  }

  /** Place of a verified record, or -1. */
  resident(position: Position, recordBytes: number): number {
    for (let i = this.#windows.length - 1; i >= 0; i--) {
      const window = this.#windows[i]!;
      const offset = position - window.position;
      if (offset >= 0 && offset + recordBytes <= window.valid) return window.place + offset;
    }
    return -1;
  }

  /** Reads the record at `position`, and what stands behind it, into a window. */
  load(position: Position, recordBytes: number, done: (failure: Failure) => void): void {
    const pending = this.#windows.find(
      (w) => w.loading && position >= w.position && position + recordBytes <= w.position + w.bytes,
    );
    if (pending !== undefined) {
      // The record may straddle the end of what turns out valid, or another one may be damaged:
      // then it is loaded for itself.
      pending.waiters.push(() => {
        if (this.resident(position, recordBytes) < 0) this.load(position, recordBytes, done);
        else done(undefined);
      });
      return;
    }
    const start = () => this.#start(position, recordBytes, done);
    if (this.#queue.length > 0 || !start()) this.#queue.push(start);
  }

  #start(position: Position, recordBytes: number, done: (failure: Failure) => void): boolean {
    const segment = this.#segments().find(position);
    if (segment === undefined) {
      queueMicrotask(() => done(new LogError('missing', `position ${position} is not on disk`)));
      return true;
    }
    const left = segment.base + segment.bytes - position;
    const padded = Math.ceil(recordBytes / 8) * 8;
    const bytes = Math.min(left, Math.max(WINDOW_BYTES, padded));
    const place = this.#room(bytes);
    if (place < 0) return false;
    const window: Window = { position, place, bytes, valid: 0, loading: true, waiters: [done] };
    this.#windows.push(window);
    segment.reads++;
    this.reads++;
    this.#read(window, segment, 0, recordBytes);
    return true;
  }

  // Goes on after short reads.
  #read(window: Window, segment: Segment, got: number, recordBytes: number): void {
    const { place, bytes, position } = window;
    const into = this.#codec.memory.subarray(place + got, place + bytes);
    this.#files.read(segment.handle, into, position + got - segment.base, (failure, read) => {
      this.readBytes += read;
      const all = got + read;
      if (failure === undefined && read > 0 && all < bytes)
        this.#read(window, segment, all, recordBytes);
      else this.#loaded(window, segment, failure, all, recordBytes);
    });
  }

  // Takes room behind the cursor from the oldest windows; -1 while one of them is being read.
  #room(bytes: number): number {
    const area = Math.min(this.#codec.coldBytes, Math.max(AREA_BYTES, bytes));
    const at = this.#cursor + bytes > area ? 0 : this.#cursor;
    const inTheWay = (w: Window) => w.place < at + bytes && at < w.place + w.bytes;
    if (this.#windows.some((w) => w.loading && inTheWay(w))) return -1;
    this.#windows = this.#windows.filter((w) => !inTheWay(w));
    this.#cursor = at + bytes;
    return at;
  }

  #loaded(
    window: Window,
    segment: Segment,
    failure: Failure,
    read: number,
    recordBytes: number,
  ): void {
    window.loading = false;
    this.#segments().readDone(segment);
    let problem = failure;
    if (problem === undefined) {
      window.valid = this.#verify(window, read);
      if (window.valid < recordBytes)
        problem = new LogError('damaged', `the record at ${window.position} does not verify`);
    }
    if (problem !== undefined) this.#windows = this.#windows.filter((w) => w !== window);
    for (const waiter of window.waiters) waiter(problem);
    while (this.#queue.length > 0 && this.#queue[0]!()) this.#queue.shift();
  }

  // A record that ends beyond the window is no damage: it is loaded for itself when it is wanted.
  #verify(window: Window, bytes: number): number {
    let valid = 0;
    for (;;) {
      const status = this.#codec.scan(window.place + valid, bytes - valid, window.position + valid);
      valid += this.#codec.result[RESULT_CONSUMED]!;
      if (status !== SCAN_ROWS) return valid;
    }
  }

  /** Forgets windows that reach into what is given back. */
  trim(position: Position): void {
    this.#windows = this.#windows.filter((w) => w.loading || w.position >= position);
  }
}
