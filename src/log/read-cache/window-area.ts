// The memory that windows stand in, used as a ring: a new window takes the place of the oldest.
// Knows which window holds a unit of the log, or a large record that was read by itself.

import type { Position } from '../../core/ports/basics.ts';
import { type ReadWindow, UNIT } from './read-window.ts';

export class WindowArea {
  readonly #bytes: number;
  readonly #bytesMax: number;
  #windows: ReadWindow[] = []; // oldest first
  readonly #byUnit = new Map<number, ReadWindow>();
  readonly #alone = new Map<Position, ReadWindow>(); // by the position of their one record
  #cursor = 0;
  #ahead = 0;

  /** Windows take `bytes` of memory, unless one of them needs more, and never more than `most`. */
  constructor(bytes: number, most: number) {
    this.#bytes = bytes;
    this.#bytesMax = most;
  }

  /** Windows that were read before anybody asked for them, and are not used yet. */
  get ahead(): number {
    return this.#ahead;
  }

  /** The window that holds the unit of a position. */
  at(position: Position): ReadWindow | undefined {
    return this.#byUnit.get(Math.floor(position / UNIT));
  }

  /** The window of the one record that begins there. */
  aloneAt(position: Position): ReadWindow | undefined {
    return this.#alone.get(position);
  }

  /** Where windows that follow each other from `position` on end; undefined: in none of them. */
  endFrom(position: Position): Position | undefined {
    let end = position;
    for (let window = this.at(end); window !== undefined; window = this.at(end)) {
      if (window.end <= end) return undefined;
      end = window.end;
    }
    return end;
  }

  /** The window that a read from `begin` on for the record at `wanted` follows in order, if any. */
  before(begin: Position, wanted: Position): ReadWindow | undefined {
    const before = this.at(begin - 1);
    if (before?.end === begin) return before;
    // The record may be the first one that did not fit into it.
    const over = this.at(wanted - 1);
    return over !== undefined && over.position + over.valid === wanted ? over : undefined;
  }

  /**
   * Place for a window of so many bytes, taken from the oldest ones; -1 while one of those is being
   * read, or is `used`: somebody is about to read from it.
   */
  take(bytes: number, used: ReadWindow | undefined): number {
    const area = Math.min(this.#bytesMax, Math.max(this.#bytes, bytes));
    const at = this.#cursor + bytes > area ? 0 : this.#cursor;
    const inTheWay = (w: ReadWindow) => w.place < at + bytes && at < w.place + w.bytes;
    if (this.#windows.some((w) => (w.loading || w === used) && inTheWay(w))) return -1;
    this.drop(inTheWay);
    this.#cursor = at + bytes;
    return at;
  }

  /** A window that begins to be read; `alone`: for the one record that begins there. */
  add(window: ReadWindow, alone: Position | undefined): void {
    this.#windows.push(window);
    if (window.ahead) this.#ahead++;
    if (alone !== undefined) this.#alone.set(alone, window);
    else
      for (let unit = window.position; unit < window.end; unit += UNIT) this.#enter(unit, window);
  }

  #enter(position: Position, window: ReadWindow): void {
    const unit = Math.floor(position / UNIT);
    // What is there already may be waited for.
    if (this.#byUnit.get(unit)?.loading !== true) this.#byUnit.set(unit, window);
  }

  /** Somebody uses a window that may have been read ahead. */
  use(window: ReadWindow): void {
    if (window.ahead) this.#ahead--;
    window.ahead = false;
  }

  drop(unwanted: (window: ReadWindow) => boolean): void {
    const kept: ReadWindow[] = [];
    for (const window of this.#windows) {
      if (!unwanted(window)) {
        kept.push(window);
        continue;
      }
      this.use(window);
      if (this.#alone.get(window.position) === window) this.#alone.delete(window.position);
      for (let unit = window.position; unit < window.end; unit += UNIT) {
        const key = Math.floor(unit / UNIT);
        if (this.#byUnit.get(key) === window) this.#byUnit.delete(key);
      }
    }
    this.#windows = kept;
  }

  /** Other records stand at these positions now; windows that are being read become stale. */
  forget(within: (position: Position) => boolean): void {
    for (const window of this.#windows) if (within(window.position)) window.stale = true;
    this.drop((w) => !w.loading && w.stale);
  }
}
