// What is kept in memory of runs that are in use, or were: tables, and of runs that are searched
// often all entries, both within one bound. The one not used for longest goes first, entries before
// tables.

import { ENTRY_BYTES } from './index-entry.ts';
import type { Chunk, IndexHeader, Table } from './index-file.ts';

/** Header and tables of a run, verified. */
export interface Loaded {
  header: IndexHeader;
  table: Table;
  /** All of its entries, verified; undefined: they are read when they are asked for. */
  entries: DataView | undefined;
  /** Whether within each page of these no entry has messages behind those of the next one. */
  ascends: boolean;
  /** Searches that wait while these are read; undefined: they are not. */
  waiters: (() => void)[] | undefined;
  /** Entries that were read to be searched since these were last in memory, and what it took to ask
   * for them, in entries. */
  searched: number;
}

/** A run of which something may be kept. */
export interface KeptRun {
  loaded: Loaded | undefined;
  /** Removed, or another file has its name: nothing of it is kept any more. */
  gone: boolean;
}

// To read a chunk takes as long as to read so many more entries at once.
const READ_ENTRIES = 4096;
// Searches, at least, before all entries of a run are read.
const SEARCHES_MIN = 16;

export class KeptRuns {
  readonly #bytesMax: number;
  readonly #runs = new Set<KeptRun>(); // the longest unused first
  #newest: KeptRun | undefined;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps header and tables of a run, if there is room for these alone. */
  keep(run: KeptRun, header: IndexHeader, table: Table): Loaded {
    const none = { entries: undefined, ascends: false, waiters: undefined, searched: 0 };
    const loaded: Loaded = { header, table, ...none };
    if (run.gone || table.bytes.length > this.#bytesMax) return loaded;
    run.loaded = loaded;
    this.#bytes += table.bytes.length;
    this.used(run);
    this.#fit();
    return loaded;
  }

  /** What is kept of a run was used. */
  used(run: KeptRun): void {
    if (this.#newest === run) return;
    this.#runs.delete(run);
    this.#runs.add(run);
    this.#newest = run;
  }

  /** Keeps nothing of a run. */
  drop(run: KeptRun): void {
    if (!this.#runs.delete(run)) return;
    if (this.#newest === run) this.#newest = undefined;
    this.#dropEntries(run.loaded!);
    this.#bytes -= run.loaded!.table.bytes.length;
    run.loaded = undefined;
  }

  /** A chunk of a run is read to be searched. */
  searches(loaded: Loaded, { from, to }: Chunk): void {
    loaded.searched += to - from + READ_ENTRIES;
  }

  /**
   * Whether to read all entries of a run: as much was read of it, one piece at a time, as that
   * takes, and there is room. Whoever does so gives them to `keepEntries`.
   */
  wantsEntries(loaded: Loaded): boolean {
    const { header, table, entries, waiters, searched } = loaded;
    const enough = Math.max(header.count, SEARCHES_MIN * READ_ENTRIES);
    if (entries !== undefined || waiters !== undefined || searched < enough) return false;
    loaded.searched = 0;
    return header.count * ENTRY_BYTES + table.bytes.length <= this.#bytesMax;
  }

  /** Keeps all entries of a run, which are verified, in the place of those of others. */
  keepEntries(run: KeptRun, loaded: Loaded, entries: DataView, ascends: boolean): void {
    if (run.loaded !== loaded || loaded.entries !== undefined) return;
    loaded.entries = entries;
    loaded.ascends = ascends;
    this.#bytes += entries.byteLength;
    this.used(run);
    for (const other of this.#runs) {
      if (this.#bytes <= this.#bytesMax) break;
      if (other !== run) this.#dropEntries(other.loaded!);
    }
    this.#fit();
  }

  #dropEntries(loaded: Loaded): void {
    this.#bytes -= loaded.entries?.byteLength ?? 0;
    loaded.entries = undefined;
    loaded.searched = 0;
  }

  #fit(): void {
    for (const run of this.#runs) {
      if (this.#bytes <= this.#bytesMax) break;
      this.drop(run);
    }
  }
}
