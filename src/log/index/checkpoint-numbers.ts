// The part of a checkpoint that says which messages wait for a time, which stand in placed records
// and which in other lines than their bucket's own, how often each was deferred and how far apart
// from others it is given out (checkpoint.ts draws it).

import type { NumberPage } from '../../core/ports/basics.ts';
import type { NumbersSource } from '../../core/ports/upkeep.ts';

const HEAD_BYTES = 24;
const WAITING = 1;
const TURNS = 2;
const LEVELS = 3;
const PLACED = 4;
const DEAD = 5;
const SETTINGS = 6;

type Bits = [number, bits: Uint32Array | undefined];
type Words = Uint8Array | Uint16Array | Uint32Array;

interface Page {
  what: number;
  number: number;
  /** Of all of its messages, if they have the same. */
  value: number;
  words: Words | undefined;
}

/** The pages of a state, and how they are written. */
export class NumberPages {
  readonly #pages: Page[] = [];
  /** That they take. */
  bytes = 0;

  constructor(state: NumbersSource) {
    this.#addBits(WAITING, state.waiting);
    this.#addBits(PLACED, state.placed);
    this.#addBits(DEAD, state.dead);
    this.#addBits(SETTINGS, state.settings);
    for (const [number, page] of state.turns.pages()) this.#addNumbers(TURNS, number, page);
    for (const [number, page] of state.levels.pages()) this.#addNumbers(LEVELS, number, page);
  }

  get count(): number {
    return this.#pages.length;
  }

  #addBits(what: number, set: NumbersSource['waiting']): void {
    for (const [number, bits] of set.pages()) this.#add({ what, number, value: 0, words: bits });
  }

  #addNumbers(what: number, number: number, page: NumberPage): void {
    if (typeof page === 'number') this.#add({ what, number, value: page, words: undefined });
    else this.#add({ what, number, value: 0, words: page });
  }

  #add(page: Page): void {
    this.#pages.push(page);
    this.bytes += HEAD_BYTES + (page.words?.byteLength ?? 0);
  }

  /** Writes them from `at` on. */
  write(into: Uint8Array, at: number): void {
    const view = new DataView(into.buffer, into.byteOffset, into.length);
    let to = at;
    for (const { what, number, value, words } of this.#pages) {
      const bytes = words?.byteLength ?? 0;
      view.setFloat64(to, number, true);
      view.setUint32(to + 8, words?.BYTES_PER_ELEMENT ?? 0, true);
      view.setUint32(to + 12, value, true);
      view.setUint32(to + 16, what, true);
      view.setUint32(to + 20, bytes, true);
      to += HEAD_BYTES;
      if (words !== undefined) into.set(new Uint8Array(words.buffer, words.byteOffset, bytes), to);
      to += bytes;
    }
  }
}

/** Reads `count` pages from `at` on; the bytes are what was written. */
export function readNumbers(
  bytes: Uint8Array,
  at: number,
  count: number,
  into: {
    waiting: Bits[];
    placed: Bits[];
    dead: Bits[];
    settings: Bits[];
    turns: [number, page: NumberPage][];
    levels: [number, page: NumberPage][];
  },
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { waiting, placed, dead, settings } = into;
  const sets: Record<number, Bits[]> = {
    [WAITING]: waiting,
    [PLACED]: placed,
    [DEAD]: dead,
    [SETTINGS]: settings,
  };
  let from = at;
  for (let i = 0; i < count; i++) {
    const number = view.getFloat64(from, true);
    const width = view.getUint32(from + 8, true);
    const value = view.getUint32(from + 12, true);
    const what = view.getUint32(from + 16, true);
    const size = view.getUint32(from + 20, true);
    from += HEAD_BYTES;
    const { buffer } = bytes.slice(from, from + size);
    from += size;
    const set = sets[what];
    if (set !== undefined) set.push([number, width === 0 ? undefined : new Uint32Array(buffer)]);
    else (what === TURNS ? into.turns : into.levels).push([number, pageOf(width, value, buffer)]);
  }
}

function pageOf(width: number, value: number, buffer: ArrayBuffer): NumberPage {
  if (width === 0) return value;
  if (width === 1) return new Uint8Array(buffer);
  return width === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
}
