// Which state a bucket has by the intervals that it lies in, and which masks it agrees with. Made
// once for a table of rules; looking up allocates nothing.

import { hashOf } from '../collections/hash.ts';
import type { Interned } from './interned.ts';
import { highOf, ID_MAX, lowOf } from './match.ts';
import { COLUMNS, type Matcher } from './matchers.ts';

/**
 * Intervals that overlap, cut into pieces that do not: each has a state, the vector that says for
 * each column which matcher decides it, as its number + 1.
 */
export class IntervalIndex {
  readonly #lows: Uint32Array;
  readonly #highs: Uint32Array;
  readonly #states: Int32Array;

  /** Of `matchers` it takes the intervals of more than one id. */
  constructor(matchers: readonly Matcher[], states: Interned) {
    const pieces = piecesOf(matchers, states);
    this.#lows = Uint32Array.from(pieces, ({ from }) => lowOf(from));
    this.#highs = Uint32Array.from(pieces, ({ from }) => highOf(from));
    this.#states = Int32Array.from(pieces, ({ state }) => state);
  }

  get bytes(): number {
    return this.#lows.byteLength * 3;
  }

  /** State of a bucket; words may be signed. */
  stateOf(low: number, high: number): number {
    const [above, below] = [high >>> 0, low >>> 0];
    const [lows, highs] = [this.#lows, this.#highs];
    // The last piece that begins at or before it; the first begins at 0.
    let from = 0;
    let to = lows.length;
    while (to - from > 1) {
      const middle = (from + to) >>> 1;
      const start = highs[middle]!;
      if (start < above || (start === above && lows[middle]! <= below)) from = middle;
      else to = middle;
    }
    return this.#states[from]!;
  }
}

interface Piece {
  from: bigint;
  state: number;
}

function piecesOf(matchers: readonly Matcher[], states: Interned): Piece[] {
  const wide = matchers.flatMap(({ match }, i) => (match.solid && match.kind !== 'id' ? [i] : []));
  const match = (i: number) => matchers[i]!.match;
  const byFirst = wide.toSorted((a, b) => order(match(a).first, match(b).first));
  const byLast = wide.toSorted((a, b) => order(match(a).last, match(b).last));
  const open = new OpenMatchers(matchers);
  const pieces: Piece[] = [{ from: 0n, state: states.numberOf(open.vector) }];
  for (let opened = 0, closed = 0; closed < wide.length; ) {
    const first = opened < wide.length ? match(byFirst[opened]!).first : ID_MAX + 1n;
    const last = match(byLast[closed]!).last;
    const from = first <= last ? first : last + 1n;
    if (from > ID_MAX) break;
    while (closed < wide.length && match(byLast[closed]!).last < from) open.take(byLast[closed++]!);
    while (opened < wide.length && match(byFirst[opened]!).first === from)
      open.put(byFirst[opened++]!);
    const state = states.numberOf(open.vector);
    if (pieces.at(-1)!.from === from) pieces.at(-1)!.state = state;
    else if (pieces.at(-1)!.state !== state) pieces.push({ from, state });
  }
  return pieces;
}

function order(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

// Those that match at one place, by column, the most specific one last.
class OpenMatchers {
  readonly vector = new Uint16Array(COLUMNS);
  readonly #matchers: readonly Matcher[];
  readonly #columns: number[][] = Array.from({ length: COLUMNS }, () => []);

  constructor(matchers: readonly Matcher[]) {
    this.#matchers = matchers;
  }

  put(number: number): void {
    const { match, columns } = this.#matchers[number]!;
    for (const column of columns) {
      const open = this.#columns[column]!;
      let at = open.length;
      while (at > 0 && this.#matchers[open[at - 1]!]!.match.count < match.count) at--;
      open.splice(at, 0, number);
      this.#note(column);
    }
  }

  take(number: number): void {
    for (const column of this.#matchers[number]!.columns) {
      const open = this.#columns[column]!;
      open.splice(open.lastIndexOf(number), 1);
      this.#note(column);
    }
  }

  #note(column: number): void {
    this.vector[column] = (this.#columns[column]!.at(-1) ?? -1) + 1;
  }
}

/** Single ids, and masks that are no intervals: one hash look for each mask that there is. */
export class MaskIndex {
  readonly groups: number;
  /** By entry, from 1: the matchers that have its mask and value. */
  readonly entries: readonly (readonly number[])[];
  readonly #masks: Int32Array;
  // Of a cell: value in two words, group, entry; entry 0: free. At most half full.
  readonly #cells: Int32Array;
  readonly #last: number;

  constructor(matchers: readonly Matcher[]) {
    const masks = new Map<bigint, number>();
    const entries = new Map<string, { value: bigint; group: number; matchers: number[] }>();
    matchers.forEach(({ match: { kind, solid, mask, value } }, i) => {
      if (solid && kind !== 'id') return;
      const group = masks.get(mask) ?? masks.size;
      masks.set(mask, group);
      const entry = entries.get(`${group} ${value}`);
      if (entry === undefined) entries.set(`${group} ${value}`, { value, group, matchers: [i] });
      else entry.matchers.push(i);
    });
    this.groups = masks.size;
    this.#masks = Int32Array.from([...masks.keys()].flatMap((mask) => [lowOf(mask), highOf(mask)]));
    let cells = 2;
    while (cells < entries.size * 2) cells *= 2;
    this.#cells = new Int32Array(cells * 4);
    this.#last = cells - 1;
    const all = [...entries.values()];
    this.entries = [[], ...all.map((entry) => entry.matchers)];
    all.forEach(({ value, group }, i) => {
      const at = this.#find(group, lowOf(value) | 0, highOf(value) | 0) * 4;
      this.#cells.set([lowOf(value), highOf(value), group, i + 1], at);
    });
  }

  get bytes(): number {
    return this.#cells.byteLength + this.#masks.byteLength;
  }

  /** The entry of a group that a bucket agrees with, or 0. */
  entryOf(group: number, low: number, high: number): number {
    const maskedLow = low & this.#masks[group * 2]!;
    const maskedHigh = high & this.#masks[group * 2 + 1]!;
    return this.#cells[this.#find(group, maskedLow, maskedHigh) * 4 + 3]!;
  }

  #find(group: number, low: number, high: number): number {
    const cells = this.#cells;
    for (let cell = hashOf(low, high, group) & this.#last; ; cell = (cell + 1) & this.#last) {
      const at = cell * 4;
      if (cells[at + 3] === 0) return cell;
      if (cells[at] === low && cells[at + 1] === high && cells[at + 2] === group) return cell;
    }
  }
}
