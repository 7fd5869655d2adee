// Reads files of due times: brings pages into the memory that all of them share, some ahead of
// those that are read, and finds the first entry of a time. Nothing is handed out that was not
// verified.

import { assert } from '../../core/assert.ts';
import type { Failure } from '../../core/ports/basics.ts';
import type { DueEntry } from '../../core/records/due.ts';
import {
  DUE_PAGE_BYTES,
  DUE_PAGE_ENTRIES,
  decodeDueEntry,
  dueEntryAt,
  duePages,
  faultOfDuePage,
  isBefore,
} from './due-file.ts';
import { type Done, type DueFile, goneError, type OpenDueFiles } from './due-open.ts';
import { DuePages } from './due-pages.ts';
import type { Checksum } from './index-file.ts';

/** Most pages that are read at once. */
export const AHEAD_PAGES = 16;

export class DueReader {
  readonly #files: OpenDueFiles;
  readonly #crc32c: Checksum;
  /** Pages in memory. */
  readonly pages: DuePages;
  #ahead = AHEAD_PAGES;

  /** `pageBytesMax`: bytes of pages that are kept in memory. */
  constructor(files: OpenDueFiles, crc32c: Checksum, pageBytesMax: number) {
    this.#files = files;
    this.#crc32c = crc32c;
    this.pages = new DuePages(pageBytesMax);
  }

  /** Takes a file out of memory whose name is about to go. */
  forget(file: DueFile): void {
    this.#files.forget(file);
    this.pages.forget(file.serial);
  }

  /** So many files share the memory: how far it is read ahead in each follows from that. */
  share(files: number): void {
    const share = Math.floor(this.pages.capacity / 2 / Math.max(1, files));
    this.#ahead = Math.min(AHEAD_PAGES, Math.max(1, share));
  }

  /** Copies an entry whose page is in memory; false: it is not. Reads ahead. */
  read(file: DueFile, entry: number, into: DueEntry): boolean {
    const page = pageOf(entry);
    let slot = file.slot;
    if (file.page !== page || !this.pages.holds(slot, file.serial, page)) {
      slot = this.pages.find(file.serial, page);
      if (slot < 0) return false;
      file.page = page;
      file.slot = slot;
    }
    const at = this.pages.offset(slot) + dueEntryAt(entry);
    decodeDueEntry(this.pages.view(slot), at, into);
    if (entry % DUE_PAGE_ENTRIES === DUE_PAGE_ENTRIES >> 1) this.#readAhead(file, page);
    return true;
  }

  // In the middle of a page: asks for what comes behind it, if it is to be read soon.
  #readAhead(file: DueFile, page: number): void {
    const end = Math.min(duePages(file.header!.count), page + 2 + (this.#ahead >> 1));
    for (let next = page + 1; next < end; next++) {
      if (this.pages.find(file.serial, next) >= 0) continue;
      if (!file.loads.has(next)) this.#load(file, next, () => {});
      return;
    }
  }

  /** Brings the page of an entry into memory, and some behind it. */
  load(file: DueFile, entry: number, done: Done): void {
    this.#load(file, pageOf(entry), done);
  }

  #load(file: DueFile, page: number, done: Done): void {
    const waiters = file.loads.get(page);
    if (waiters !== undefined) {
      waiters.push(done);
      return;
    }
    const own = [done];
    file.loads.set(page, own);
    this.#files.use(file, (failure, release) => {
      const end = (endFailure: Failure) => {
        file.loads.delete(page);
        for (const waiter of own) waiter(endFailure);
        release();
      };
      if (failure !== undefined) end(failure);
      else if (this.pages.find(file.serial, page) >= 0) end(undefined);
      else this.#readPages(file, page, this.#span(file, page), end);
    });
  }

  // How many pages from this one on are wanted together.
  #span(file: DueFile, page: number): number {
    const most = Math.min(this.#ahead, duePages(file.header!.count) - page);
    let span = 1;
    while (span < most && !file.loads.has(page + span)) {
      if (this.pages.find(file.serial, page + span) >= 0) break;
      span++;
    }
    return span;
  }

  #readPages(file: DueFile, page: number, span: number, done: Done): void {
    // Who asks for one of the others meanwhile waits for this read.
    const others: Done[][] = [];
    for (let i = 1; i < span; i++) {
      const waiters: Done[] = [];
      others.push(waiters);
      file.loads.set(page + i, waiters);
    }
    const bytes = new Uint8Array(span * DUE_PAGE_BYTES);
    this.#files.readAll(file, bytes, page * DUE_PAGE_BYTES, (readFailure) => {
      const failures = Array.from({ length: span }, (_, i) => {
        if (readFailure !== undefined) return readFailure;
        const one = bytes.subarray(i * DUE_PAGE_BYTES, (i + 1) * DUE_PAGE_BYTES);
        const fault = faultOfDuePage(one, page + i, file.header!, this.#crc32c);
        if (fault !== undefined || file.gone) return fault ?? goneError(file.base);
        if (this.pages.find(file.serial, page + i) < 0) this.pages.put(file.serial, page + i, one);
        return undefined;
      });
      for (let i = 1; i < span; i++) file.loads.delete(page + i);
      done(failures[0]);
      for (const [i, waiters] of others.entries())
        for (const waiter of waiters) waiter(failures[i + 1]);
    });
  }

  /** Finds the first entry that is not before this time and sequence; the number of entries if
   * there is none. Its page is in memory unless it is the first entry behind one that is. */
  seek(
    file: DueFile,
    when: number,
    sequence: number,
    done: (failure: Failure, entry: number) => void,
  ): void {
    this.#files.use(file, (failure, release) => {
      const end = (endFailure: Failure, entry: number) => {
        done(endFailure, entry);
        release();
      };
      if (failure !== undefined) return end(failure, 0);
      const { count, last } = file.header!;
      if (count === 0 || last < when) return end(undefined, count);
      const within = (page: number) => this.#countBefore(file, page, when, sequence);
      // The page is within low … high; most often it is the first one.
      const search = (low: number, high: number, page: number): void => {
        this.#loadHeld(file, page, (loadFailure) => {
          if (loadFailure !== undefined) return end(loadFailure, 0);
          const before = within(page);
          const entry = (page - 1) * DUE_PAGE_ENTRIES + before;
          const [least, most] = before === 0 ? [low, page - 1] : [page + 1, high];
          const isHere = before > 0 && entry < Math.min(count, page * DUE_PAGE_ENTRIES);
          if (isHere || least > most) end(undefined, entry);
          else search(least, most, (least + most) >> 1);
        });
      };
      search(1, duePages(count) - 1, 1);
    });
  }

  // The same as `load` for who uses the file already.
  #loadHeld(file: DueFile, page: number, done: Done): void {
    const waiters = file.loads.get(page);
    if (this.pages.find(file.serial, page) >= 0) done(undefined);
    else if (waiters !== undefined) waiters.push(done);
    else this.#readPages(file, page, 1, done);
  }

  // Entries of a page in memory that are before a time and sequence.
  #countBefore(file: DueFile, page: number, when: number, sequence: number): number {
    const slot = this.pages.find(file.serial, page);
    assert(slot >= 0, 'a page of due times went before it was looked at');
    const view = this.pages.view(slot);
    const offset = this.pages.offset(slot);
    const first = (page - 1) * DUE_PAGE_ENTRIES;
    let low = 0;
    let high = Math.min(DUE_PAGE_ENTRIES, file.header!.count - first);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(view, offset + dueEntryAt(middle), when, sequence)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function pageOf(entry: number): number {
  return 1 + Math.floor(entry / DUE_PAGE_ENTRIES);
}
