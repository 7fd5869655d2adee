// Writes the due times of one segment under a temporary name: brings them into order, then page
// after page, a slice of both a turn, so that a large segment does not hold up the event loop.
// Needs 24 bytes of memory for each entry, and a slice's bytes. Nothing is synced: what a power cut
// leaves of the file does not match its checksums.

import type { Failure } from '../../core/ports/basics.ts';
import type { DueSource } from '../../core/records/due.ts';
import { emptyDueEntry } from '../../core/records/due.ts';
import { type Files, type Handle, writeAll } from '../files/files.ts';
import type { Throttle } from '../files/throttle.ts';
import {
  DUE_PAGE_BYTES,
  DUE_PAGE_ENTRIES,
  DUE_TEMPORARY,
  dueEntryAt,
  dueName,
  duePages,
  encodeDueEntry,
  encodeDueHeader,
  sealDuePage,
} from './due-file.ts';
import { DueOrder } from './due-sort.ts';
import type { Checksum } from './index-file.ts';

export interface DuePlan {
  files: Files;
  crc32c: Checksum;
  pace: Throttle;
  logId: bigint;
  base: number;
  identity: number;
  /** Must not change until it is done. */
  entries: DueSource;
  /** Why the file is not wanted any more; asked before every slice. */
  stopped: () => Failure;
}

/** Most entries that are brought into order in one turn. */
export const SLICE_ENTRIES = 16_384;
/** Most pages that are written in one turn. */
export const SLICE_PAGES = 64;
// The same while others are not to wait.
const SMALL_SLICE_ENTRIES = 1024;
const SMALL_SLICE_PAGES = 5;
const U48 = 2 ** 48;

/**
 * Writes the temporary file; `done` with its size in bytes. After a failure (of the system, of the
 * entries or `stopped`) nothing is left of the file, unless its removal failed too.
 */
export function writeDue(plan: DuePlan, done: (failure: Failure, bytes: number) => void): void {
  new DueWriter(plan, done).start();
}

class DueWriter {
  readonly #plan: DuePlan;
  readonly #done: (failure: Failure, bytes: number) => void;
  readonly #sort: DueOrder;
  readonly #entry = emptyDueEntry();
  #problem: Failure;
  #handle: Handle = -1;

  constructor(plan: DuePlan, done: (failure: Failure, bytes: number) => void) {
    this.#plan = plan;
    this.#done = done;
    this.#sort = new DueOrder(plan.entries);
  }

  start(): void {
    const { pace } = this.#plan;
    pace.next(() => this.#order());
  }

  #order(): void {
    const { pace, stopped } = this.#plan;
    const problem = stopped();
    if (problem !== undefined) this.#fail(problem);
    else if (this.#sort.step(pace.piece(SMALL_SLICE_ENTRIES, SLICE_ENTRIES)))
      pace.next(() => this.#create());
    else pace.next(() => this.#order());
  }

  #create(): void {
    const { files, entries } = this.#plan;
    // A failed removal may have left one, which no other is to trip over.
    files.remove(DUE_TEMPORARY, () => {
      files.open(DUE_TEMPORARY, true, (failure, handle) => {
        if (failure !== undefined) return this.#done(failure, 0);
        this.#handle = handle;
        const pages = Math.min(duePages(entries.count), SLICE_PAGES);
        this.#writePages(1, new Uint8Array(pages * DUE_PAGE_BYTES));
      });
    });
  }

  // Writes the pages from this one on, a slice of them at a time, the header last.
  #writePages(from: number, buffer: Uint8Array): void {
    const { files, pace, stopped, entries } = this.#plan;
    const pages = duePages(entries.count);
    this.#problem ??= stopped();
    const to = Math.min(pages, from + pace.piece(SMALL_SLICE_PAGES, SLICE_PAGES));
    if (this.#problem === undefined)
      for (let page = from; page < to; page++)
        this.#encode(page, buffer.subarray((page - from) * DUE_PAGE_BYTES));
    if (this.#problem !== undefined || from >= pages) {
      if (this.#problem !== undefined) this.#fail(this.#problem);
      else this.#writeHeader(buffer);
      return;
    }
    const bytes = buffer.subarray(0, (to - from) * DUE_PAGE_BYTES);
    writeAll(files, this.#handle, [bytes], from * DUE_PAGE_BYTES, (failure) => {
      if (failure !== undefined) this.#fail(failure);
      else pace.resume(() => this.#writePages(to, buffer));
    });
  }

  #encode(page: number, into: Uint8Array): void {
    const { entries, crc32c, identity } = this.#plan;
    const { order } = this.#sort;
    const entry = this.#entry;
    const bytes = into.subarray(0, DUE_PAGE_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, DUE_PAGE_BYTES);
    const from = (page - 1) * DUE_PAGE_ENTRIES;
    const to = Math.min(entries.count, from + DUE_PAGE_ENTRIES);
    if (to - from < DUE_PAGE_ENTRIES) bytes.fill(0);
    for (let i = from; i < to; i++) {
      entries.read(order[i]!, entry);
      const { when, sequence, position, count } = entry;
      if (!fits(when) || !fits(sequence) || !fits(position) || count === 0)
        this.#problem ??= this.#refusal(order[i]!);
      encodeDueEntry(entry, view, dueEntryAt(i));
    }
    sealDuePage(bytes, to - from, page, identity, crc32c);
  }

  #refusal(i: number): Error {
    const { when, sequence, position, count } = this.#entry;
    return new RangeError(
      `${dueName(this.#plan.base)} can't be written: entry ${i} is about ${count} messages from ` +
        `${sequence} at ${position}, due at ${when}`,
    );
  }

  #writeHeader(buffer: Uint8Array): void {
    const { files, logId, base, identity, entries, crc32c } = this.#plan;
    const { count } = entries;
    const { order } = this.#sort;
    const last = count === 0 ? 0 : entries.when(order[count - 1]!);
    const page = buffer.subarray(0, DUE_PAGE_BYTES).fill(0);
    encodeDueHeader({ logId, base, identity: identity >>> 0, count, last }, page, crc32c);
    writeAll(files, this.#handle, [page], 0, (failure) => {
      if (failure !== undefined) return this.#fail(failure);
      const handle = this.#handle;
      this.#handle = -1;
      files.close(handle, (closeFailure) => {
        if (closeFailure !== undefined) this.#fail(closeFailure);
        else this.#done(undefined, duePages(count) * DUE_PAGE_BYTES);
      });
    });
  }

  #fail(failure: Error): void {
    const { files } = this.#plan;
    const remove = () => files.remove(DUE_TEMPORARY, () => this.#done(failure, 0));
    if (this.#handle < 0) remove();
    else files.close(this.#handle, remove);
  }
}

function fits(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < U48;
}
