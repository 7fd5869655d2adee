// What is held of runs that are in use, or were: open files up to a bound, the one not used for
// longest going first, and what is kept of them in memory. Nothing is handed out that was not
// verified. Knows nothing of names that change and of what is searched for: that is `indexes.ts`.

import type { Failure, Position } from '../../core/ports/basics.ts';
import { LogError } from '../files/errors.ts';
import type { Files, Handle } from '../files/files.ts';
import { ENTRY_BYTES } from './index-entry.ts';
import {
  type Checksum,
  type Chunk,
  decodeIndexHeader,
  entryAt,
  INDEX_HEADER_BYTES,
  indexName,
  Table,
  tableBytes,
} from './index-file.ts';
import { type KeptRun, KeptRuns, type Loaded } from './kept-runs.ts';

/** One file under its name; when that is gone, it still serves those who hold it. */
export interface OpenIndex extends KeptRun {
  base: Position;
  /** Tells apart the files that have had the name. */
  serial: number;
  handle: Handle;
  bytes: number;
  /** How often it is held; until 0 its file stays open. */
  users: number;
  waiters: ((failure: Failure, loaded?: Loaded) => void)[];
}

export interface OpenIndexesOptions {
  files: Files;
  logId: bigint;
  crc32c: Checksum;
  tableBytesMax: number;
  /** A file was closed. */
  closed: () => void;
}

/** Files open at a time, and the most runs that may be held at a time. */
export const INDEX_HANDLES_MAX = 64;

export class OpenIndexes {
  readonly #options: OpenIndexesOptions;
  readonly #files: Files;
  readonly #held = new Set<OpenIndex>(); // with an open file, the longest unused first
  #handles = 0; // files open, being opened or being closed
  #closing = 0;
  readonly #openings: (() => void)[] = []; // wait for one of the handles
  readonly kept: KeptRuns;

  constructor(options: OpenIndexesOptions) {
    this.#options = options;
    this.#files = options.files;
    this.kept = new KeptRuns(options.tableBytesMax);
  }

  /** Files open, being opened or being closed. */
  get handles(): number {
    return this.#handles;
  }

  /**
   * Holds a run until `release`, also if it fails: opens its file and loads its tables. `done` may
   * come within the call.
   */
  hold(run: OpenIndex, done: (failure: Failure, loaded?: Loaded) => void): void {
    run.users++;
    if (run.handle >= 0 && run.loaded !== undefined) {
      touch(this.#held, run);
      this.kept.used(run);
      done(undefined, run.loaded);
      return;
    }
    if (run.waiters.push(done) > 1) return; // another one has begun
    const end = (failure: Failure, loaded?: Loaded) => {
      for (const waiter of run.waiters.splice(0)) waiter(failure, loaded);
    };
    this.#open(run, (failure) => {
      if (failure !== undefined) end(failure);
      else if (run.loaded !== undefined) end(undefined, run.loaded);
      else this.#load(run, end);
    });
  }

  release(run: OpenIndex): void {
    run.users--;
    if (run.gone && run.users === 0 && run.handle >= 0) this.#close(run);
    this.#makeRoom();
  }

  /** Takes a run out of memory whose name is about to go; closes its file when nobody holds it. */
  forget(run: OpenIndex): void {
    run.gone = true;
    this.kept.drop(run);
    if (run.users === 0 && run.handle >= 0) this.#close(run);
  }

  /** Closes all files; nobody may hold a run any more. */
  closeAll(): void {
    for (const run of [...this.#held]) this.#close(run);
  }

  /** Reads chunks of a held run that follow each other, maybe into memory that is there; `done` with
   * a view of their entries when each matches its checksum. */
  read(
    run: OpenIndex,
    { header, table }: Loaded,
    chunks: Chunk[],
    done: (failure: Failure, view: DataView) => void,
    into?: Uint8Array,
  ): void {
    const from = chunks[0]!.from;
    const bytes = into ?? new Uint8Array((chunks.at(-1)!.to - from) * ENTRY_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#readAll(run, bytes, entryAt(header.pageBits, header.chunks, from), (failure) => {
      if (failure !== undefined) return done(failure, view);
      const bad = chunks.find((chunk) => {
        const [start, end] = [(chunk.from - from) * ENTRY_BYTES, (chunk.to - from) * ENTRY_BYTES];
        return this.#options.crc32c(bytes.subarray(start, end)) !== table.crc(chunk);
      });
      if (bad === undefined) done(undefined, view);
      else
        done(damaged(run, `entries ${bad.from} … ${bad.to - 1} do not match their checksum`), view);
    });
  }

  // --- tables ---------------------------------------------------------------------------------

  #load(run: OpenIndex, done: (failure: Failure, loaded?: Loaded) => void): void {
    const { logId, crc32c } = this.#options;
    const head = new Uint8Array(INDEX_HEADER_BYTES);
    this.#readAll(run, head, 0, (failure) => {
      if (failure !== undefined) return done(failure);
      const expected = { base: run.base, logId, fileBytes: run.bytes };
      const header = attempt(() => decodeIndexHeader(head, expected, crc32c));
      if (header instanceof Error) return done(header);
      const bytes = new Uint8Array(tableBytes(header.pageBits, header.chunks));
      this.#readAll(run, bytes, INDEX_HEADER_BYTES, (tableFailure) => {
        if (tableFailure !== undefined) return done(tableFailure);
        const table = new Table(header.pageBits, header.chunks, bytes);
        if (crc32c(bytes) !== header.tableCrc || !table.holds(header.count))
          return done(damaged(run, 'its tables do not match their checksum'));
        done(undefined, this.kept.keep(run, header, table));
      });
    });
  }

  // --- files ----------------------------------------------------------------------------------

  #open(run: OpenIndex, done: (failure: Failure) => void): void {
    if (run.handle >= 0) {
      touch(this.#held, run);
      done(undefined);
      return;
    }
    this.#openings.push(() => {
      this.#handles++;
      this.#files.open(indexName(run.base), false, (failure, handle, bytes) => {
        if (failure !== undefined) {
          this.#handles--;
          this.#makeRoom();
          return done(failure);
        }
        run.handle = handle;
        run.bytes = bytes;
        this.#held.add(run);
        // What has the name by now may be another file.
        done(run.gone ? absent(run.base, 'it was dropped') : undefined);
      });
    });
    this.#makeRoom();
  }

  // Opens what waits for a handle; closes files that nobody uses, as many as are needed for that.
  // There are enough of them, as no more runs are held than there are handles.
  #makeRoom(): void {
    while (this.#openings.length > 0 && this.#handles < INDEX_HANDLES_MAX)
      this.#openings.shift()!();
    for (const run of this.#held) {
      if (this.#openings.length <= this.#closing) break;
      if (run.users === 0) this.#close(run);
    }
  }

  #close(run: OpenIndex): void {
    const { handle } = run;
    run.handle = -1;
    this.#held.delete(run);
    this.#closing++;
    this.#files.close(handle, () => {
      this.#closing--;
      this.#handles--;
      this.#makeRoom();
      this.#options.closed();
    });
  }

  // Goes on after short reads; the end of the file before the end of `into` is damage.
  #readAll(run: OpenIndex, into: Uint8Array, at: number, done: (failure: Failure) => void): void {
    this.#files.read(run.handle, into, at, (failure, bytes) => {
      if (failure !== undefined) done(failure);
      else if (bytes === into.length) done(undefined);
      else if (bytes <= 0) done(damaged(run, `it ends at ${at}, before its entries do`));
      else this.#readAll(run, into.subarray(bytes), at + bytes, done);
    });
  }
}

// Makes a run that is among these the one that was used last.
function touch(order: Set<OpenIndex>, run: OpenIndex): void {
  order.delete(run);
  order.add(run);
}

function attempt<T>(call: () => T): T | Error {
  try {
    return call();
  } catch (failure) {
    return failure as Error;
  }
}

function damaged(run: OpenIndex, what: string): LogError {
  return new LogError('damaged', `${indexName(run.base)}: ${what}; make it again from the log`);
}

/** No run that can be believed. */
export function absent(base: Position, what: string): LogError {
  return new LogError('missing', `${indexName(base)}: ${what}; make it from the log`);
}
