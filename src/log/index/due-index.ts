// The due times of all complete segments, on disk: what `DueTimes` fires from. Whatever is wrong
// with a file, it is made again from its segment, once somebody needs it.
//
//   seek ──► file of the base? ──► header, pages ──► place of the first entry of a time
//                │ none, damaged, of another state
//                └──► entries from the segment ──► write ──► seek in that
//                                                    └─ fails: seek in memory, until it can be

import type { Failure } from '../../core/ports/basics.ts';
import type { DueEntry, DuePlace, DueSource, DueStore } from '../../core/records/due.ts';
import { LogError } from '../files/errors.ts';
import { isNoSpace } from '../files/files.ts';
import { dueName } from './due-file.ts';
import { closedError, DueFiles, type DueFilesOptions } from './due-files.ts';
import { type Done, type DueFile, OpenDueFiles } from './due-open.ts';
import type { DuePages } from './due-pages.ts';
import { DueReader } from './due-reader.ts';
import { isGivenUp } from './given-up.ts';
import { PendingDueTimes } from './pending-due-times.ts';

export interface DueIndexOptions extends DueFilesOptions {
  /** Reads the entries of a segment from the log; `done` later. */
  entriesOf: (base: number, done: (failure: Failure, entries?: DueSource) => void) => void;
  /** A file could not be believed and is made again. */
  note: (text: string) => void;
  /** A file found no space: some should be made, if there is any to give. */
  noSpace?: (() => void) | undefined;
  /** Bytes of pages that are kept in memory; default 8 MiB. */
  pageBytesMax?: number | undefined;
}

const PAGE_BYTES_MAX = 8 * 1024 * 1024;
// A place is the serial number of a file times PLACE, plus the number of an entry.
const PLACE = 2 ** 32;

export class DueIndex implements DueStore {
  readonly #options: DueIndexOptions;
  readonly #open: OpenDueFiles;
  readonly #reader: DueReader;
  readonly #files: DueFiles;
  /** Who waits for a file that is being made again. */
  readonly #making = new Map<number, Done[]>();
  readonly #held: PendingDueTimes;
  #closed = false;
  #onRest: (() => void) | undefined;

  constructor(options: DueIndexOptions) {
    this.#options = options;
    const { files, logId, crc32c, soon, pace, pageBytesMax = PAGE_BYTES_MAX } = options;
    const rested = () => this.#rested();
    this.#open = new OpenDueFiles({ files, logId, crc32c, soon, rested });
    this.#reader = new DueReader(this.#open, crc32c, pageBytesMax);
    this.#files = new DueFiles(options, (file) => this.#reader.forget(file), rested);
    this.#held = new PendingDueTimes(pace, () => this.#files.serial());
  }

  /** Pages in memory, for numbers. */
  get pages(): DuePages {
    return this.#reader.pages;
  }

  /** Bases of the segments that have a file, in no order; whether it is usable says `check`. */
  get bases(): number[] {
    return this.#files.bases;
  }

  /**
   * Lists what is there and removes what a write left unfinished; the first call, made once. Files
   * of segments that are not there are for the caller to drop; other files are left alone.
   */
  open(done: Done): void {
    this.#files.open((failure) => {
      this.#reader.share(this.#files.size);
      done(failure);
    });
  }

  /** Whether a usable file of the segment seems to be there: its header is verified, the entries
   * when they are read. `done` later. */
  check(base: number, done: (usable: boolean) => void): void {
    const file = this.#files.usable(base);
    if (file === undefined) {
      this.#options.soon(() => done(false));
      return;
    }
    this.#open.use(file, (failure, release) => {
      done(failure === undefined);
      release();
    });
  }

  /**
   * Writes the file of a segment and puts it into the place of the one that is there, if any. The
   * entries must not change until `done`. After a failure there is the old file or none.
   */
  write(base: number, identity: number, entries: DueSource, done: Done): void {
    this.#files.write(base, identity, entries, (failure) => {
      this.#reader.share(this.#files.size);
      if (failure !== undefined && isNoSpace(failure)) this.#options.noSpace?.();
      done(failure);
    });
  }

  /**
   * Another segment stands at this place now, with these entries: its file is written, and who
   * seeks waits for that.
   */
  replace(base: number, identity: number, entries: DueSource): void {
    const own: Done[] = [];
    this.#held.drop(base);
    this.#files.giveUp(base);
    this.#making.set(base, own);
    // Who finds none makes it.
    this.#writeOrHold(base, identity, entries, () => this.#made(base, own, undefined));
  }

  // Writes a file that nobody else has the entries for: if it cannot be, they stay in memory.
  #writeOrHold(base: number, identity: number, entries: DueSource, done: Done): void {
    this.write(base, identity, entries, (failure) => {
      if (failure === undefined || isGivenUp(failure) || this.#closed) return done(failure);
      const { note } = this.#options;
      this.#held.add(base, identity, entries, (added) => {
        if (!added) return done(failure);
        const why = `${dueName(base)} cannot be written: ${failure.message}`;
        note(`${why}. What it would hold stays in memory until it can be`);
        done(undefined);
      });
    });
  }

  /** Whether there is a file that could not be written. */
  get lacks(): boolean {
    return this.#held.oldest() !== undefined;
  }

  /** Tries again to write what could not be written; to be called about once a second. */
  retry(): void {
    if (this.#closed) return;
    this.#held.retry((base, identity, entries, done) => this.write(base, identity, entries, done));
  }

  /**
   * Forgets the file of a segment at once and removes it; no harm if there is none. What is under
   * way in it ends with a failure; a write is given up. `done` when it is gone, or with what kept it.
   */
  drop(base: number, done: Done = () => {}): void {
    this.#held.drop(base);
    this.#files.drop(base, done);
    this.#reader.share(this.#files.size);
  }

  // --- reading --------------------------------------------------------------------------------

  seek(
    base: number,
    when: number,
    sequence: number,
    done: (failure: Failure, place: DuePlace, end: DuePlace) => void,
  ): void {
    const making = this.#making.get(base);
    if (making !== undefined) {
      making.push((failure) => {
        if (failure !== undefined) done(failure, 0, 0);
        else this.seek(base, when, sequence, done);
      });
      return;
    }
    this.#find(base, when, sequence, (failure, place, end) => {
      if (failure === undefined || this.#closed || isNoSpace(failure))
        return done(failure, place, end);
      this.#make(base, failure, (makeFailure) => {
        if (makeFailure !== undefined) done(makeFailure, 0, 0);
        else this.#find(base, when, sequence, done);
      });
    });
  }

  #find(
    base: number,
    when: number,
    sequence: number,
    done: (failure: Failure, place: DuePlace, end: DuePlace) => void,
  ): void {
    const { soon, identityOf } = this.#options;
    const held = this.#held.of(base, identityOf(base));
    if (held !== undefined && !this.#closed) {
      const at = held.serial * PLACE;
      const entry = held.find(when, sequence);
      soon(() => done(undefined, at + entry, at + held.entries.count));
      return;
    }
    const file = this.#files.usable(base);
    if (file === undefined) {
      soon(() => done(this.#absent(base), 0, 0));
      return;
    }
    this.#reader.seek(file, when, sequence, (failure, entry) => {
      const at = file.serial * PLACE;
      this.#judge(file, failure);
      if (failure === undefined) done(undefined, at + entry, at + file.header!.count);
      else done(failure, 0, 0);
    });
  }

  read(base: number, place: DuePlace, into: DueEntry): boolean {
    const held = this.#held.at(base, Math.floor(place / PLACE));
    if (held !== undefined) return held.read(place % PLACE, into);
    const file = this.#files.get(base);
    const entry = file === undefined ? -1 : place - file.serial * PLACE;
    return entry >= 0 && entry < PLACE && this.#reader.read(file!, entry, into);
  }

  load(base: number, place: DuePlace, done: Done): void {
    if (this.#held.at(base, Math.floor(place / PLACE)) !== undefined) {
      this.#options.soon(() => done(undefined));
      return;
    }
    const file = this.#files.usable(base);
    const entry = file === undefined ? -1 : place - file.serial * PLACE;
    if (file === undefined || entry < 0 || entry >= PLACE) {
      this.#options.soon(() => done(this.#absent(base)));
      return;
    }
    this.#reader.load(file, entry, (failure) => {
      this.#judge(file, failure);
      done(failure);
    });
  }

  // What cannot be read from a file once is not tried again: `seek` makes it anew.
  #judge(file: DueFile, failure: Failure): void {
    if (failure === undefined || isNoSpace(failure)) return;
    if (this.#files.get(file.base) === file) this.#files.forget(file.base);
  }

  #absent(base: number): Error {
    if (this.#closed) return closedError();
    return new LogError('missing', `${dueName(base)} is not there, or of another state`);
  }

  // Makes the file of a segment from the log, once for all who wait for it.
  #make(base: number, why: Error, done: Done): void {
    const { identityOf, entriesOf, note } = this.#options;
    const waiters = this.#making.get(base);
    if (waiters !== undefined) {
      waiters.push(done);
      return;
    }
    const identity = identityOf(base);
    if (identity === undefined) {
      done(why);
      return;
    }
    const own = [done];
    const end = (failure: Failure) => this.#made(base, own, failure);
    this.#making.set(base, own);
    note(`${why.message}: the due times of the segment are read from the log`);
    entriesOf(base, (failure, entries) => {
      // It may have become another one while it was read.
      if (identityOf(base) !== identity) end(why);
      else if (entries !== undefined) this.#writeOrHold(base, identity, entries, end);
      else end(failure ?? why);
    });
  }

  // A segment that took the place meanwhile has waiters of its own.
  #made(base: number, waiters: Done[], failure: Failure): void {
    if (this.#making.get(base) === waiters) this.#making.delete(base);
    for (const waiter of waiters) waiter(failure);
    this.#rested();
  }

  /**
   * Gives up writing, waits for what is under way and closes all files; `done` after every other
   * completion. Nothing may be asked for any more but what fails.
   */
  close(done: () => void): void {
    this.#closed = true;
    this.#files.close();
    this.#options.soon(() => {
      this.#onRest = done;
      this.#rested();
    });
  }

  // Goes on with closing when nobody is at work any more.
  #rested(): void {
    if (this.#onRest === undefined || this.#open.working) return;
    if (this.#files.working || this.#making.size > 0) return;
    this.#open.closeAll();
    if (this.#open.handles > 0) return;
    const done = this.#onRest;
    this.#onRest = undefined;
    done();
  }
}
