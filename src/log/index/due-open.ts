// Files of due times that are in use, or were: a few of them stay open, the one not used for
// longest going first, and no more are used at a time. Nobody gets one whose header was not
// verified. Knows nothing of names that change, and of what is read.

import type { Failure } from '../../core/ports/basics.ts';
import { LogError } from '../files/errors.ts';
import type { Files, Handle } from '../files/files.ts';
import { DUE_PAGE_BYTES, type DueHeader, decodeDueHeader, dueName } from './due-file.ts';
import type { Checksum } from './index-file.ts';

export interface OpenDueOptions {
  files: Files;
  logId: bigint;
  crc32c: Checksum;
  /** Calls back once, soon, after other work had its turn. */
  soon: (call: () => void) => void;
  /** A file was closed, or somebody is done with one. */
  rested: () => void;
}

export type Done = (failure: Failure) => void;

/** One file under its name. */
export class DueFile {
  readonly base: number;
  readonly identity: number;
  /** Tells apart the files that have had the name. */
  readonly serial: number;
  handle: Handle = -1;
  header: DueHeader | undefined;
  users = 0;
  /** Removed, or another file has its name: nothing more is read from it. */
  gone = false;
  /** Where the page stands, or stood, that was read last. */
  page = 0;
  slot = 0;
  readonly openers: Done[] = [];
  /** Who waits for a page that is being read. */
  readonly loads = new Map<number, Done[]>();

  constructor(base: number, identity: number, serial: number) {
    this.base = base;
    this.identity = identity >>> 0;
    this.serial = serial;
  }
}

/** Files used at a time, and most that stay open. */
export const DUE_HANDLES_MAX = 16;

export class OpenDueFiles {
  readonly #options: OpenDueOptions;
  readonly #open = new Set<DueFile>(); // with a handle, the longest unused first
  readonly #queue: (() => void)[] = []; // wait until fewer are used
  #active = 0;
  #opening = 0;
  #closing = 0;

  constructor(options: OpenDueOptions) {
    this.#options = options;
  }

  /** Files open or being closed. */
  get handles(): number {
    return this.#open.size + this.#closing;
  }

  /** Whether somebody uses a file or waits for one. */
  get working(): boolean {
    return this.#active > 0;
  }

  /**
   * Calls `work`, later, with an open file whose header was verified, or why there is none;
   * `release` is to be called once, in either case.
   */
  use(file: DueFile, work: (failure: Failure, release: () => void) => void): void {
    const release = () => {
      this.#active--;
      file.users--;
      if (file.gone && file.users === 0) this.#close(file);
      this.#queue.shift()?.();
      this.#options.rested();
    };
    const start = () => {
      this.#active++;
      file.users++;
      this.#hold(file, (failure) => work(failure, release));
    };
    if (this.#active < DUE_HANDLES_MAX) start();
    else this.#queue.push(start);
  }

  #hold(file: DueFile, done: Done): void {
    if (file.gone) {
      this.#options.soon(() => done(goneError(file.base)));
      return;
    }
    if (file.handle >= 0 && file.header !== undefined) {
      this.#open.delete(file);
      this.#open.add(file);
      this.#options.soon(() => done(undefined));
      return;
    }
    if (file.openers.push(done) > 1) return; // another one has begun
    const end = (failure: Failure) => {
      for (const opener of file.openers.splice(0)) opener(failure);
    };
    this.#opening++;
    this.#makeRoom();
    this.#options.files.open(dueName(file.base), false, (failure, handle, bytes) => {
      this.#opening--;
      if (failure !== undefined) return end(failure);
      file.handle = handle;
      this.#open.add(file);
      // What has the name by now may be another file.
      if (file.gone) return end(goneError(file.base));
      if (file.header !== undefined) return end(undefined);
      this.#readHeader(file, bytes, (fault) => {
        // Whoever comes next begins anew.
        if (fault !== undefined) this.#close(file);
        end(fault);
      });
    });
  }

  #readHeader(file: DueFile, fileBytes: number, done: Done): void {
    const { logId, crc32c } = this.#options;
    const page = new Uint8Array(DUE_PAGE_BYTES);
    this.readAll(file, page, 0, (failure) => {
      if (failure !== undefined) return done(failure);
      try {
        const { base, identity } = file;
        file.header = decodeDueHeader(page, { base, logId, identity, fileBytes }, crc32c);
      } catch (fault) {
        return done(fault as Error);
      }
      done(undefined);
    });
  }

  // Closes files that nobody uses, as many as are needed for those that are being opened.
  #makeRoom(): void {
    for (const file of this.#open) {
      if (this.#open.size + this.#opening <= DUE_HANDLES_MAX) return;
      if (file.users === 0) this.#close(file);
    }
  }

  #close(file: DueFile): void {
    if (file.handle < 0) return;
    const { handle } = file;
    file.handle = -1;
    this.#open.delete(file);
    this.#closing++;
    this.#options.files.close(handle, () => {
      this.#closing--;
      this.#options.rested();
    });
  }

  /** The name of a file is about to go; closes it when nobody uses it. */
  forget(file: DueFile): void {
    file.gone = true;
    if (file.users === 0) this.#close(file);
  }

  /** Closes all files; nobody may use one any more. */
  closeAll(): void {
    for (const file of [...this.#open]) this.#close(file);
  }

  /** Reads all of `into`, also with short reads; the end of the file before that is damage. */
  readAll(file: DueFile, into: Uint8Array, at: number, done: Done): void {
    this.#options.files.read(file.handle, into, at, (failure, bytes) => {
      if (failure !== undefined) done(failure);
      else if (bytes === into.length) done(undefined);
      else if (bytes <= 0) done(new LogError('damaged', `${dueName(file.base)} ends at ${at}`));
      else this.readAll(file, into.subarray(bytes), at + bytes, done);
    });
  }
}

/** No file that can be believed. */
export function goneError(base: number): LogError {
  return new LogError('missing', `${dueName(base)} was removed or replaced`);
}
