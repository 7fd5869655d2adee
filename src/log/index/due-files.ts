// Which segments have a file of due times: these are made, named, replaced and removed here. They
// live in the folder of the runs, which leaves them alone. Names change one after the other: a
// write, with its rename, and a removal wait for their turn.

import type { Failure } from '../../core/ports/basics.ts';
import type { DueSource } from '../../core/records/due.ts';
import type { Files } from '../files/files.ts';
import type { Throttle } from '../files/throttle.ts';
import { DUE_TEMPORARY, dueBaseOf, dueName } from './due-file.ts';
import { type Done, DueFile } from './due-open.ts';
import { writeDue } from './due-writer.ts';
import { givenUp } from './given-up.ts';
import { InTurn } from './in-turn.ts';
import type { Checksum } from './index-file.ts';

export interface DueFilesOptions {
  /** The folder of the indexes. */
  files: Files;
  logId: bigint;
  crc32c: Checksum;
  /** Calls back once, soon, after other work had its turn. */
  soon: (call: () => void) => void;
  /** How files are written beside what is published. */
  pace: Throttle;
  /** CRC of the header of the segment based there: one that was made anew has another. Undefined:
   * there is none. */
  identityOf: (base: number) => number | undefined;
}

interface Writing {
  base: number;
  /** Why it is given up. */
  stopped: Failure;
}

const SERIAL_MAX = 2 ** 21 - 1;

export class DueFiles {
  readonly #options: DueFilesOptions;
  readonly #forgotten: (file: DueFile) => void;
  readonly #files = new Map<number, DueFile>();
  readonly #writings = new Set<Writing>();
  readonly #changes: InTurn; // of names
  #serial = 0;
  #closed = false;

  /** `forgotten`: nothing more is to be read from a file; `rested`: no name is being changed. */
  constructor(options: DueFilesOptions, forgotten: (file: DueFile) => void, rested: () => void) {
    this.#options = options;
    this.#forgotten = forgotten;
    this.#changes = new InTurn(rested);
  }

  get size(): number {
    return this.#files.size;
  }

  /** Bases of the segments that have a file, in no order; whether it is usable turns out later. */
  get bases(): number[] {
    return [...this.#files.keys()];
  }

  /** Whether a name is being changed. */
  get working(): boolean {
    return this.#changes.working;
  }

  /** The file that has the name, whatever is in it. */
  get(base: number): DueFile | undefined {
    return this.#files.get(base);
  }

  /** The same, if it was made for the segment as that is now. */
  usable(base: number): DueFile | undefined {
    const file = this.#files.get(base);
    const identity = this.#options.identityOf(base);
    const isOf = identity !== undefined && file?.identity === identity >>> 0;
    return isOf && !this.#closed ? file : undefined;
  }

  /**
   * Lists what is there and removes what a write left unfinished; the first call, made once. Files
   * of segments that are not there are for the caller to drop; other files are left alone.
   */
  open(done: Done): void {
    const { files, identityOf } = this.#options;
    files.list((failure, names) => {
      if (failure !== undefined) return done(failure);
      for (const name of names) {
        const base = dueBaseOf(name);
        if (base !== undefined) this.#enter(base, identityOf(base) ?? 0);
      }
      if (names.includes(DUE_TEMPORARY)) files.remove(DUE_TEMPORARY, done);
      else done(undefined);
    });
  }

  #enter(base: number, identity: number): void {
    this.#files.set(base, new DueFile(base, identity, this.serial()));
  }

  /** A number that no file has, nor anything else that stands for one. */
  serial(): number {
    this.#serial = (this.#serial % SERIAL_MAX) + 1;
    return this.#serial;
  }

  /** The file of a segment is not believed any more; it stays until it is replaced or dropped. */
  forget(base: number): void {
    const file = this.#files.get(base);
    if (file === undefined) return;
    this.#files.delete(base);
    this.#forgotten(file);
  }

  /**
   * Writes the file of a segment and puts it into the place of the one that is there, if any. The
   * entries must not change until `done`. After a failure there is the old file or none.
   */
  write(base: number, identity: number, entries: DueSource, done: Done): void {
    const { files, crc32c, pace, logId } = this.#options;
    const writing: Writing = { base, stopped: this.#closed ? closedError() : undefined };
    const stopped = () => writing.stopped;
    const plan = { files, crc32c, pace, logId, base, identity, entries, stopped };
    this.#writings.add(writing);
    this.#changes.add((next) => {
      const end = (failure: Failure) => {
        this.#writings.delete(writing);
        done(failure);
        next();
      };
      writeDue(plan, (failure) => {
        if (failure !== undefined) end(writing.stopped ?? failure);
        else this.#publish(writing, identity, end);
      });
    });
  }

  // Gives the finished file its name.
  #publish(writing: Writing, identity: number, done: Done): void {
    const { files } = this.#options;
    const { base, stopped } = writing;
    const discard = (failure: Error) => files.remove(DUE_TEMPORARY, () => done(failure));
    if (stopped !== undefined) {
      discard(stopped);
      return;
    }
    // Before the name changes: nobody may open the new file and take it for the old one.
    this.forget(base);
    files.rename(DUE_TEMPORARY, dueName(base), (failure) => {
      if (failure !== undefined) return discard(failure);
      if (writing.stopped === undefined) this.#enter(base, identity);
      done(writing.stopped);
    });
  }

  /**
   * Forgets the file of a segment at once and removes it; no harm if there is none. What is under
   * way in it ends with a failure; a write is given up. `done` when it is gone, or with what kept it.
   */
  drop(base: number, done: Done): void {
    this.giveUp(base);
    this.forget(base);
    if (this.#closed) {
      this.#options.soon(() => done(closedError()));
      return;
    }
    this.#changes.add((next) => {
      this.#options.files.remove(dueName(base), (failure) => {
        const none = (failure as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
        done(none ? undefined : failure);
        next();
      });
    });
  }

  /** Ends the writing of a segment's file that is under way or waits, with `isGivenUp`. */
  giveUp(base: number): void {
    for (const writing of this.#writings)
      if (writing.base === base) writing.stopped ??= givenUp(`${dueName(base)} is not needed`);
  }

  /** Gives up writing; every further call fails. */
  close(): void {
    this.#closed = true;
    for (const writing of this.#writings) writing.stopped ??= closedError();
  }
}

export function closedError(): Error {
  return givenUp('the due times are closed');
}
