// The index runs on disk: for each sealed segment a file that says where the records of each bucket
// stand in it (index-file.ts draws it), so that nothing in memory grows with messages that wait.
// Runs are a cache: whatever is wrong with one is told as a failure, and the answer to each is to
// make the run again from the log. They live in a folder of their own.
//
//   find ──► at most 64 at work, the others queue ──► open file ──► tables ──► a chunk, verified
//                                                     at most 64    up to a number of bytes
//
// Names change one after the other: a write, with its rename, and a removal wait for their turn.

import { assert } from '../../core/assert.ts';
import type { EntrySource, Failure, Found, Position } from '../../core/ports/basics.ts';
import type { FoundNow } from '../../core/ports/segment-index.ts';
import type { Files } from '../files/files.ts';
import type { Throttle } from '../files/throttle.ts';
import { givenUp } from './given-up.ts';
import { InTurn } from './in-turn.ts';
import { decodeEntry, ENTRY_BYTES } from './index-entry.ts';
import {
  type Checksum,
  type Chunk,
  INDEX_TEMPORARY,
  indexBaseOf,
  indexName,
} from './index-file.ts';
import { writeIndex } from './index-writer.ts';
import type { Loaded } from './kept-runs.ts';
import { absent, INDEX_HANDLES_MAX, type OpenIndex, OpenIndexes } from './open-indexes.ts';
import { type Query, rangeOf, Searches } from './searches.ts';

export interface IndexesOptions {
  /** A folder that holds nothing but runs. */
  files: Files;
  /** Runs of another log are not believed. */
  logId: bigint;
  /** 32 bits that clients can't know, so that none chooses buckets which share a page. */
  hashSeed: number;
  crc32c: Checksum;
  /** Calls back once, soon, after other work had its turn. */
  soon: (call: () => void) => void;
  /** How runs are written beside what is published. */
  pace: Throttle;
  /** Bytes of tables that are kept in memory while nobody uses them; default 16 MiB. */
  tableBytesMax?: number | undefined;
}

/** Takes the entries of a run one by one. */
export type Visitor = (low: number, high: number, found: Found) => void;

interface Writing {
  base: Position;
  /** Why it is given up. */
  stopped: Failure;
}

const TABLE_BYTES_MAX = 16 * 1024 * 1024;
const SERIAL_MAX = 2 ** 21 - 1;

export class Indexes {
  readonly #options: IndexesOptions;
  readonly #files: Files;
  readonly #open: OpenIndexes;
  readonly #searches: Searches;
  readonly #runs = new Map<Position, OpenIndex>();
  readonly #sizes = new Map<Position, number>(); // of the files that have a run's name
  #bytes = 0;
  #serial = 0;
  #active = 0;
  readonly #queue: (() => void)[] = []; // wait until fewer are at work
  readonly #writings = new Set<Writing>();
  readonly #changes = new InTurn(() => this.#rested()); // of names
  #closed = false;
  #onRest: (() => void) | undefined;

  constructor(options: IndexesOptions) {
    this.#options = options;
    const { files, logId, crc32c, tableBytesMax = TABLE_BYTES_MAX } = options;
    const closed = () => this.#rested();
    this.#files = files;
    this.#open = new OpenIndexes({ files, logId, crc32c, tableBytesMax, closed });
    this.#searches = new Searches({
      kept: this.#open.kept,
      read: (run, loaded, chunks, done, into) => this.#read(run, loaded, chunks, done, into),
      hold: (run) => this.#hold(run),
      release: (run) => this.#release(run),
      soon: options.soon,
    });
  }

  /** Bytes of runs on disk, whether they turn out usable or not. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of tables kept in memory, and of entries. */
  get tableBytes(): number {
    return this.#open.kept.bytes;
  }

  /** Bases of the segments that have a run, in no order; whether it is usable says `check`. */
  get bases(): Position[] {
    return [...this.#runs.keys()];
  }

  /**
   * Lists what is there and removes what a write left unfinished; the first call, made once. A run
   * that can't be opened counts as absent; other files are left alone.
   */
  open(done: (failure: Failure) => void): void {
    this.#files.list((failure, names) => {
      if (failure !== undefined) return done(failure);
      const bases = names.map(indexBaseOf).filter((base) => base !== undefined);
      if (!names.includes(INDEX_TEMPORARY)) return this.#list(bases, 0, done);
      this.#files.remove(INDEX_TEMPORARY, (removeFailure) => {
        if (removeFailure !== undefined) done(removeFailure);
        else this.#list(bases, 0, done);
      });
    });
  }

  #list(bases: Position[], at: number, done: (failure: Failure) => void): void {
    const base = bases[at];
    if (base === undefined) {
      done(undefined);
      return;
    }
    this.#files.open(indexName(base), false, (failure, handle, bytes) => {
      if (failure !== undefined) return this.#list(bases, at + 1, done);
      this.#enter(base, bytes);
      this.#files.close(handle, () => this.#list(bases, at + 1, done));
    });
  }

  /**
   * Whether a usable run for the segment seems to be there: header and tables are verified, the
   * entries when they are read.
   */
  check(base: Position, identity: number, done: (usable: boolean) => void): void {
    this.#use(base, identity, (_failure, run) => {
      if (run === undefined) return done(false);
      this.#options.soon(() => {
        done(true);
        this.#release(run);
      });
    });
  }

  /**
   * Writes the run of a segment and puts it into the place of the one that is there, if any. The
   * source must not change until `done`. After a failure there is the old run or none.
   */
  write(
    base: Position,
    identity: number,
    source: EntrySource,
    done: (failure: Failure) => void,
  ): void {
    const { files, crc32c, pace, logId, hashSeed } = this.#options;
    const writing: Writing = { base, stopped: this.#closed ? closedError() : undefined };
    const stopped = () => writing.stopped;
    const plan = { files, crc32c, pace, logId, hashSeed, base, identity, source, stopped };
    this.#writings.add(writing);
    this.#changes.add((next) => {
      const end = (failure: Failure) => {
        this.#writings.delete(writing);
        done(failure);
        next();
      };
      writeIndex(plan, (failure, bytes) => {
        if (failure !== undefined) end(writing.stopped ?? failure);
        else this.#publish(writing, bytes, end);
      });
    });
  }

  // Gives the finished file its name.
  #publish(writing: Writing, bytes: number, done: (failure: Failure) => void): void {
    const { base } = writing;
    const discard = (failure: Error) => this.#files.remove(INDEX_TEMPORARY, () => done(failure));
    if (writing.stopped !== undefined) {
      discard(writing.stopped);
      return;
    }
    // Before the name changes: nobody may open the new file and take it for the old one.
    this.#forget(base);
    this.#files.rename(INDEX_TEMPORARY, indexName(base), (failure) => {
      if (failure !== undefined) return discard(failure);
      if (writing.stopped === undefined) this.#enter(base, bytes);
      else this.#setSize(base, bytes);
      done(writing.stopped);
    });
  }

  /**
   * The records of a bucket's line in this run whose last message has a sequence >= `sequence`,
   * oldest first, at most `most` of them. `at` is 0, or the `next` of a call before, to go on behind what
   * it gave; without a `next` there is no more. Fewer than `most` may come although there is a
   * `next`. A `next` is good for the file that gave it: when the run was written again, it fails.
   */
  find(
    base: Position,
    identity: number,
    query: Query,
    most: number,
    done: (failure: Failure, found: Found[], next: number | undefined) => void,
  ): void {
    const { at } = query;
    assert(Number.isSafeInteger(most) && most >= 1, `a search in a run for ${most} entries`);
    this.#use(base, identity, (failure, run, loaded) => {
      if (run === undefined || loaded === undefined) return done(failure, [], undefined);
      const search = { run, loaded, query, most, done };
      const range = rangeOf(run, loaded, query, at);
      if (range !== undefined && range.from < range.to)
        return this.#searches.find(search, range.page, range.from);
      const misled = at !== 0 ? absent(base, `${at} is no place in it`) : undefined;
      this.#options.soon(() => this.#searches.end(search, misled, [], undefined));
    });
  }

  /** What `find` gives, where all entries are in memory; undefined: that has to be asked. */
  findNow(
    base: Position,
    identity: number,
    query: Query,
    at: number,
    most: number,
  ): FoundNow | undefined {
    const run = this.#runs.get(base);
    if (run?.loaded?.header.identity !== identity >>> 0 || this.#closed) return undefined;
    return this.#searches.now(run, query, at, most);
  }

  /**
   * Hands all entries to `visitor`, page by page, at most 16,384 of them a turn. With a failure in
   * the end, what was visited is not all, and nothing is to be concluded from it.
   */
  visit(
    base: Position,
    identity: number,
    visitor: Visitor,
    done: (failure: Failure) => void,
  ): void {
    this.#use(base, identity, (failure, run, loaded) => {
      if (run === undefined || loaded === undefined) return done(failure);
      const { header } = loaded;
      const end = (endFailure: Failure) => {
        done(endFailure);
        this.#release(run);
      };
      this.#searches.slices(run, loaded, end, (view) => {
        for (let at = 0; at < view.byteLength; at += ENTRY_BYTES) {
          const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
          visitor(low, high, decodeEntry(view, at, header));
        }
      });
    });
  }

  #read(
    run: OpenIndex,
    loaded: Loaded,
    chunks: Chunk[],
    done: (failure: Failure, view: DataView) => void,
    into?: Uint8Array,
  ): void {
    if (this.#closed) this.#options.soon(() => done(closedError(), NOTHING));
    else this.#open.read(run, loaded, chunks, done, into);
  }

  /** Ends the writing of a segment's run that is under way or waits, with `isGivenUp`. */
  giveUp(base: Position): void {
    for (const writing of this.#writings)
      if (writing.base === base)
        writing.stopped = givenUp(`${indexName(base)} is not needed any more`);
  }

  /**
   * Forgets the run of a segment at once and removes the file; no harm if there is none. Searches
   * under way end as if they came before, or with a failure; a write under way is given up.
   * `done` when the file is gone, or with what kept it.
   */
  drop(base: Position, done: (failure: Failure) => void = () => {}): void {
    this.giveUp(base);
    this.#forget(base);
    if (this.#closed) {
      this.#options.soon(() => done(closedError()));
      return;
    }
    this.#changes.add((next) => {
      this.#files.remove(indexName(base), (failure) => {
        // A file that can't be removed stays until it is replaced, or found at the next start.
        const none = (failure as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
        if (failure === undefined || none) this.#setSize(base, undefined);
        done(none ? undefined : failure);
        next();
      });
    });
  }

  /**
   * Fails what waits, gives up writing, waits for what is under way and closes all files; `done`
   * after every other completion. Nothing may be asked for any more but what fails.
   */
  close(done: () => void): void {
    this.#closed = true;
    for (const writing of this.#writings) writing.stopped ??= closedError();
    this.#options.soon(() => {
      this.#onRest = done;
      this.#rested();
    });
  }

  // Goes on with closing when nobody is at work any more; a completion comes before its `#left`.
  #rested(): void {
    if (this.#onRest === undefined || this.#active > 0 || this.#changes.working) return;
    this.#open.closeAll();
    if (this.#open.handles > 0) return;
    const done = this.#onRest;
    this.#onRest = undefined;
    done();
  }

  // --- names ----------------------------------------------------------------------------------

  #enter(base: Position, bytes: number): void {
    this.#serial = (this.#serial % SERIAL_MAX) + 1;
    this.#runs.set(base, {
      base,
      serial: this.#serial,
      handle: -1,
      bytes,
      loaded: undefined,
      users: 0,
      gone: false,
      waiters: [],
    });
    this.#setSize(base, bytes);
  }

  #setSize(base: Position, bytes: number | undefined): void {
    this.#bytes += (bytes ?? 0) - (this.#sizes.get(base) ?? 0);
    if (bytes === undefined) this.#sizes.delete(base);
    else this.#sizes.set(base, bytes);
  }

  #forget(base: Position): void {
    const run = this.#runs.get(base);
    if (run === undefined) return;
    this.#runs.delete(base);
    this.#open.forget(run);
  }

  // --- at work --------------------------------------------------------------------------------

  // Calls `work` with a run that can be believed and is held until `#release`; with a failure and
  // no run if there is none. As many are at work as there are handles.
  #use(
    base: Position,
    identity: number,
    work: (failure: Failure, run?: OpenIndex, loaded?: Loaded) => void,
  ): void {
    const start = () => {
      this.#active++;
      const run = this.#runs.get(base);
      if (this.#closed || run === undefined) {
        const failure = this.#closed ? closedError() : absent(base, 'there is none');
        return this.#options.soon(() => {
          work(failure);
          this.#left();
        });
      }
      this.#open.hold(run, (failure, loaded) => {
        const other = loaded !== undefined && loaded.header.identity !== identity >>> 0;
        const problem = other ? absent(base, 'it is of another state of the segment') : failure;
        if (problem === undefined) return work(undefined, run, loaded);
        this.#options.soon(() => {
          work(problem);
          this.#release(run);
        });
      });
    };
    if (this.#active < INDEX_HANDLES_MAX) start();
    else this.#queue.push(start);
  }

  // Once more, a run that somebody holds: there is a file open for it.
  #hold(run: OpenIndex): void {
    this.#active++;
    run.users++;
  }

  #release(run: OpenIndex): void {
    this.#open.release(run);
    this.#left();
  }

  #left(): void {
    this.#active--;
    this.#queue.shift()?.();
    this.#rested();
  }
}

const NOTHING = new DataView(new ArrayBuffer(0));

function closedError(): Error {
  return givenUp('the runs are closed');
}
