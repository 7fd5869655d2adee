// Searches in runs that are held: a chunk at a time, or, in a run of which so much is searched for
// that reading all of it costs no more, in memory, where an answer is at hand.
//
//   search ──► chunk ──► found                     at hand: all entries are in memory, and within a
//                 └ many of them: all entries       page mostly in order, so that few are looked at

import type { Failure, Found } from '../../core/ports/basics.ts';
import type { FoundNow, IndexQuery } from '../../core/ports/segment-index.ts';
import { decodeEntry, ENTRY_BYTES, endOf, isOf } from './index-entry.ts';
import { type Chunk, type IndexHeader, pageOf } from './index-file.ts';
import { SLICE_ENTRIES } from './index-writer.ts';
import type { KeptRuns, Loaded } from './kept-runs.ts';
import type { OpenIndex } from './open-indexes.ts';

export type Query = Omit<IndexQuery, 'base'>;

/** What is searched for, and how many records of it. */
interface Wanted {
  query: Query;
  most: number;
}

/** A search in a run that is held. */
export interface Search extends Wanted {
  run: OpenIndex;
  loaded: Loaded;
  done: (failure: Failure, found: Found[], next: number | undefined) => void;
}

export interface SearchesOptions {
  kept: KeptRuns;
  /** Reads chunks of a held run that follow each other, maybe into memory that is there. */
  read: (
    run: OpenIndex,
    loaded: Loaded,
    chunks: Chunk[],
    done: (failure: Failure, view: DataView) => void,
    into?: Uint8Array,
  ) => void;
  /** Holds a run that is held already until one more `release`. */
  hold: (run: OpenIndex) => void;
  release: (run: OpenIndex) => void;
  /** Calls back once, soon, after other work had its turn. */
  soon: (call: () => void) => void;
}

// A place to go on from is the serial number of a file times PLACE, plus the index of an entry.
const PLACE = 2 ** 32;

/**
 * The entries among which those of a line are, from the place `at` on, or all of them if that is 0;
 * undefined: it is a place of another file, or of another line.
 */
export function rangeOf(
  { serial }: Pick<OpenIndex, 'serial'>,
  { header, table }: Pick<Loaded, 'header' | 'table'>,
  { low, high, kind }: Query,
  at: number,
): Chunk | undefined {
  const page = pageOf(low, high, header.seed, header.pageBits, kind);
  const [start, to] = [table.start(page), table.start(page + 1)];
  if (at === 0) return { page, from: start, to };
  const from = at % PLACE;
  return Math.floor(at / PLACE) === serial && from >= start ? { page, from, to } : undefined;
}

export class Searches {
  readonly #options: SearchesOptions;

  constructor(options: SearchesOptions) {
    this.#options = options;
  }

  /** Searches a page from `entry` on until something is found: in memory, if all is there or being
   * read. */
  find(search: Search, page: number, entry: number): void {
    const { entries, table, waiters } = search.loaded;
    if (waiters !== undefined) waiters.push(() => this.find(search, page, entry));
    else if (entries !== undefined) {
      const range = { page, from: entry, to: table.start(page + 1) };
      this.#options.soon(() => this.#searched(search, entries, 0, range));
    } else this.#chunk(search, table.chunk(page, entry), entry);
  }

  #chunk(search: Search, chunk: Chunk, entry: number): void {
    const { run, loaded } = search;
    this.#options.kept.searches(loaded, chunk);
    this.#options.read(run, loaded, [chunk], (failure, view) => {
      if (failure !== undefined) return this.end(search, failure, [], undefined);
      if (this.#options.kept.wantsEntries(loaded)) this.#readWhole(run, loaded);
      this.#searched(search, view, chunk.from, { ...chunk, from: entry });
    });
  }

  // Ends a search with what a range of a page has, in a view that begins with entry `first`; or goes
  // on behind it.
  #searched(search: Search, view: DataView, first: number, range: Chunk): void {
    const { run, loaded } = search;
    const found: Found[] = [];
    const next = gather(view, first, range, loaded.header, search, found, true);
    const more = next < loaded.table.start(range.page + 1);
    if (found.length === 0 && more) this.find(search, range.page, next);
    else this.end(search, undefined, found, more ? placeOf(run.serial, next) : undefined);
  }

  /** Ends a search, which holds its run no more. */
  end(search: Search, failure: Failure, found: Found[], next: number | undefined): void {
    search.done(failure, found, next);
    this.#options.release(search.run);
  }

  /** What a search finds from the place `at` on, and a `next` also if that is all; undefined: not all
   * entries are in memory, or `at` is no place among them. */
  now(run: OpenIndex, query: Query, at: number, most: number): FoundNow | undefined {
    const { loaded } = run;
    if (loaded?.entries === undefined) return undefined;
    const { header, entries, ascends } = loaded;
    const range = rangeOf(run, loaded, query, at);
    if (range === undefined) return undefined;
    this.#options.kept.used(run);
    if (ascends) range.from = firstFrom(entries, range, query.sequence - header.first);
    const found: Found[] = [];
    const next = gather(entries, 0, range, header, { query, most }, found, false);
    return { found, next: next < range.to ? placeOf(run.serial, next) : undefined };
  }

  // Who searches meanwhile waits for that.
  #readWhole(run: OpenIndex, loaded: Loaded): void {
    const { kept, hold, release } = this.#options;
    const bytes = new Uint8Array(loaded.header.count * ENTRY_BYTES);
    const entries = new DataView(bytes.buffer);
    const waiters: (() => void)[] = [];
    loaded.waiters = waiters;
    let ascends = true;
    const end = (failure: Failure) => {
      if (failure === undefined) kept.keepEntries(run, loaded, entries, ascends);
      loaded.waiters = undefined;
      for (const waiter of waiters) waiter();
      release(run);
    };
    const take = (_view: DataView, chunks: readonly Chunk[]) => {
      ascends &&= ascend(entries, chunks);
    };
    hold(run);
    this.slices(run, loaded, end, take, bytes);
  }

  /** Reads all entries of a held run, in order and in slices, of the chunks that are named; into
   * memory for all of them, if there is some. */
  slices(
    run: OpenIndex,
    loaded: Loaded,
    done: (failure: Failure) => void,
    take: (view: DataView, chunks: readonly Chunk[]) => void,
    all?: Uint8Array,
  ): void {
    const { read, soon } = this.#options;
    const go = (page: number, entry: number) => {
      const chunks = loaded.table.chunksFrom(page, entry, SLICE_ENTRIES);
      const last = chunks.at(-1);
      if (last === undefined) return soon(() => done(undefined));
      const into = all?.subarray(chunks[0]!.from * ENTRY_BYTES, last.to * ENTRY_BYTES);
      const taken = (failure: Failure, view: DataView) => {
        if (failure !== undefined) return done(failure);
        take(view, chunks);
        go(last.page, last.to);
      };
      read(run, loaded, chunks, taken, into);
    };
    go(0, 0);
  }
}

// The place of an entry in the file with that serial number.
function placeOf(serial: number, entry: number): number {
  return serial * PLACE + entry;
}

// Adds to `found` those of a range that are searched for, up to as many as are wanted; the view
// begins with entry `first`. Gives the entry that comes next of these, or, where as many were found
// and nobody `looksOn`, the one behind the last of them; the end of the range, if there is none.
function gather(
  view: DataView,
  first: number,
  { from, to }: Chunk,
  header: IndexHeader,
  { query, most }: Wanted,
  found: Found[],
  looksOn: boolean,
): number {
  const { kind, sequence } = query;
  const [low, high] = [query.low >>> 0, query.high >>> 0];
  for (let i = from; i < to; i++) {
    const at = (i - first) * ENTRY_BYTES;
    if (!isOf(view, at, low, high, kind, header)) continue;
    const one = decodeEntry(view, at, header);
    if (one.sequence + one.messages <= sequence) continue;
    if (found.length === most) return i;
    found.push(one);
    if (!looksOn && found.length === most) return i + 1;
  }
  return to;
}

// Whether in each of these chunks no entry has messages behind those of the next one.
function ascend(entries: DataView, chunks: readonly Chunk[]): boolean {
  for (const { from, to } of chunks)
    for (let i = from + 1; i < to; i++)
      if (endOf(entries, i * ENTRY_BYTES) < endOf(entries, (i - 1) * ENTRY_BYTES)) return false;
  return true;
}

// The first entry of a range, or the one behind it, whose last message is not before `sequence`, less
// the run's first; they ascend.
function firstFrom(entries: DataView, { from, to }: Chunk, sequence: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (endOf(entries, middle * ENTRY_BYTES) > sequence) high = middle;
    else low = middle + 1;
  }
  return low;
}
