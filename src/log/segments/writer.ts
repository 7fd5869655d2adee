// Appends: one write and one sync in flight, never more. A failure is sticky, because after a
// failed sync the system may call the next one a success although the bytes are gone; only reading
// the log back from disk can tell. Space can run out on a write without harm: the same bytes are
// written again until there is room.
//
//   sync mode   done is called when        promise of an ack
//   commit      written and synced         on disk
//   interval    written                    on disk within the interval
//   none        written                    in the hands of the operating system

import type { Failure, Position } from '../../core/ports/basics.ts';
import { type Files, isNoSpace, writeAll } from '../files/files.ts';
import type { Segment } from './segments.ts';

export type SyncMode = 'commit' | 'interval' | 'none';

export interface WriterOptions {
  files: Files;
  mode: SyncMode;
  /** Milliseconds, monotonic, with fractions. */
  now: () => number;
  /** Asks for `retry` a little later. */
  later: (call: () => void) => void;
  observe: (bytes: number, writeMs: number, syncMs: number) => void;
  /** Calls back when it is sure that the files have their names, or with why not. */
  confirm: (done: (failure: Failure) => void) => void;
  /** A sync outside an append failed. */
  failed: (failure: Error) => void;
}

/** Bytes of the log and where they go. */
export interface Append {
  segment: Segment;
  /** Written one behind the other, from `at` in the segment's file. */
  parts: readonly Uint8Array[];
  at: number;
  /** Of the batch; the parts may be more, as whole blocks are. */
  bytes: number;
  /** Position behind the batch. */
  end: Position;
}

export class Writer {
  readonly #options: WriterOptions;
  #failure: Error | undefined;
  #busy = false;
  #syncing = false;
  // Who asked for a sync while one was under way.
  #waiting: ((failure: Failure) => void)[] = [];
  #written = 0;
  #synced: Position;
  #full = false;
  // Segments with bytes that were written and not synced (modes interval and none).
  readonly #dirty = new Set<Segment>();

  constructor(options: WriterOptions, end: Position) {
    this.#options = options;
    this.#synced = end;
    this.#written = end;
  }

  /** Everything before it is on disk. */
  get synced(): Position {
    return this.#synced;
  }

  /** Whether the last write found no space and waits to be tried again. */
  get full(): boolean {
    return this.#full;
  }

  append(append: Append, done: (f: Failure) => void): void {
    if (this.#failure !== undefined || this.#busy) {
      const failure = this.#failure ?? new Error('bug: two appends at once');
      this.#options.later(() => done(failure));
      return;
    }
    this.#busy = true;
    this.#write(append, this.#options.now(), done);
  }

  #write(append: Append, begun: number, done: (failure: Failure) => void): void {
    const { files, mode, now, later } = this.#options;
    const { segment, parts, at, bytes, end } = append;
    writeAll(files, segment.handle, parts, at, (failure) => {
      if (failure !== undefined && isNoSpace(failure)) {
        this.#full = true;
        later(() => this.#write(append, begun, done));
        return;
      }
      this.#full = false;
      if (failure !== undefined) return this.#end(failure, done);
      const wrote = now();
      if (mode !== 'commit') {
        this.#dirty.add(segment);
        this.#written = end;
        this.#options.observe(bytes, wrote - begun, 0);
        return this.#confirm(done);
      }
      files.sync(segment.handle, (syncFailure) => {
        if (syncFailure !== undefined) return this.#end(syncFailure, done);
        this.#synced = end;
        this.#options.observe(bytes, wrote - begun, now() - wrote);
        this.#confirm(done);
      });
    });
  }

  #confirm(done: (failure: Failure) => void): void {
    this.#options.confirm((failure) => this.#end(failure, done));
  }

  #end(failure: Failure, done: (failure: Failure) => void): void {
    this.#busy = false;
    if (failure !== undefined) this.#failure ??= failure;
    done(this.#failure);
  }

  /** Nothing that is appended from now on is called done, nor what is under way. */
  fail(failure: Error): void {
    this.#failure ??= failure;
  }

  /** Calls back when no sync is under way, and what was written is synced, if it can be. */
  close(done: () => void): void {
    if (!this.#syncing && this.#dirty.size === 0) done();
    else this.syncNow(() => done());
  }

  /** Syncs what was written before the call; for modes interval and none. */
  syncNow(done: (failure: Failure) => void): void {
    if (this.#syncing) {
      this.#waiting.push(done);
      return;
    }
    if (this.#dirty.size === 0 || this.#failure !== undefined) {
      this.#options.later(() => done(this.#failure));
      return;
    }
    this.#syncing = true;
    const end = this.#written;
    const segments = [...this.#dirty];
    this.#dirty.clear();
    let left = segments.length;
    for (const segment of segments) {
      this.#options.files.sync(segment.handle, (failure) => {
        if (failure !== undefined) this.#failure ??= failure;
        if (--left > 0) return;
        this.#syncing = false;
        if (this.#failure === undefined) this.#synced = end;
        else this.#options.failed(this.#failure);
        done(this.#failure);
        for (const waiting of this.#waiting.splice(0)) this.syncNow(waiting);
      });
    }
  }
}
