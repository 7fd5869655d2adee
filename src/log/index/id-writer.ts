// Writes a file of ids from slots in order: some that leave memory, or those of several files that
// become one. A piece at a time, so that others go on meanwhile.

import { SLOT_WORDS, untilMs } from '../../core/collections/id-page.ts';
import { type Files, type Handle, writeAll } from '../files/files.ts';
import { settle } from '../files/promises.ts';
import type { Throttle } from '../files/throttle.ts';
import type { ListedRun } from './id-list.ts';
import {
  ID_PAGE_BYTES,
  type IdFilter,
  idRunName,
  idSlotAt,
  PAGE_SLOTS,
  sealIdPage,
} from './id-run.ts';
import type { Checksum } from './index-file.ts';

/** Pages that are written, or read, in one go. */
export const PIECE_PAGES = 32;

/** A file of ids that is open, and what is in memory of it. */
export interface OpenRun {
  number: number;
  handle: Handle;
  pages: number;
  sum: number;
  count: number;
  untilMs: number;
  /** First word of the first id of each page. */
  firsts: Uint32Array;
  filter: IdFilter | undefined;
}

/** A file that counts. */
export interface IdRun extends OpenRun {
  level: number;
  upTo: ListedRun['upTo'];
  /** Reads under way. */
  reads: number;
  retired: boolean;
}

export interface IdRunsOptions {
  /** The folder of the indexes. */
  files: Files;
  logId: bigint;
  crc32c: Checksum;
  soon: (call: () => void) => void;
  pace: Throttle;
  note: (level: 'info' | 'warn' | 'error', text: string) => void;
  /** What was written is on disk when the log says so: a later start may believe these files. */
  synced: boolean;
}

/** What a file is told apart by: the CRCs of its pages, and where each begins. */
export class PageList {
  #firsts: Uint32Array;
  readonly #crcs: number[] = [];

  constructor(pages = 16) {
    this.#firsts = new Uint32Array(pages);
  }

  add(first: number, crc: number): void {
    const { length } = this.#crcs;
    if (length === this.#firsts.length) {
      const grown = new Uint32Array(2 * length);
      grown.set(this.#firsts);
      this.#firsts = grown;
    }
    this.#firsts[length] = first;
    this.#crcs.push(crc);
  }

  get firsts(): Uint32Array {
    return this.#firsts.slice(0, this.#crcs.length);
  }

  sum(crc32c: Checksum): number {
    // A checksum is made of little at a time.
    let sum = 0;
    for (let at = 0; at < this.#crcs.length; at += 1024) {
      const part = Uint32Array.of(sum, ...this.#crcs.slice(at, at + 1024));
      sum = crc32c(new Uint8Array(part.buffer)) >>> 0;
    }
    return sum;
  }
}

export interface RunPlan {
  files: Files;
  crc32c: Checksum;
  pace: Throttle;
  number: number;
  /** At most so many ids come. */
  count: number;
  /** What is over by then is left out; ms since 1970. */
  nowMs: number;
  filter: IdFilter | undefined;
  /** Why the file is not wanted any more; asked before every piece. */
  stopped: () => Error | undefined;
}

/** Writes and syncs a file of slots that come in order. Undefined: nothing is left of them. */
export async function writeRun(
  plan: RunPlan,
  slots: AsyncIterable<Uint32Array> | Iterable<Uint32Array>,
): Promise<OpenRun | undefined> {
  const { files, number } = plan;
  const name = idRunName(number);
  await settle((done) => files.remove(name, () => done(undefined)));
  const handle = await new Promise<Handle>((resolve, reject) =>
    files.open(name, true, (failure, made) =>
      failure === undefined ? resolve(made) : reject(failure),
    ),
  );
  try {
    const run = await new RunWriter(plan, handle).write(slots);
    await settle((done) => files.sync(handle, done));
    if (run.pages > 0) return run;
  } catch (error) {
    await discard(files, handle, name);
    throw error;
  }
  await discard(files, handle, name);
  return undefined;
}

async function discard(files: Files, handle: Handle, name: string): Promise<void> {
  await new Promise<void>((resolve) => files.close(handle, () => resolve()));
  await new Promise<void>((resolve) => files.remove(name, () => resolve()));
}

class RunWriter {
  readonly #plan: RunPlan;
  readonly #handle: Handle;
  readonly #list = new PageList();
  #buffer = new Uint8Array(PIECE_PAGES * ID_PAGE_BYTES);
  #words = new Uint32Array(this.#buffer.buffer);
  #full = 0; // pages of the buffer
  #slots = 0; // in the page behind them
  #pages = 0;
  #count = 0;
  #untilMs = 0;

  constructor(plan: RunPlan, handle: Handle) {
    this.#plan = plan;
    this.#handle = handle;
  }

  async write(slots: AsyncIterable<Uint32Array> | Iterable<Uint32Array>): Promise<OpenRun> {
    const { crc32c, number, filter, stopped } = this.#plan;
    for await (const piece of slots) {
      const problem = stopped();
      if (problem !== undefined) throw problem;
      for (let at = 0; at < piece.length; at += SLOT_WORDS)
        if (!this.#add(piece, at)) {
          await this.#flush();
          this.#add(piece, at);
        }
    }
    this.#seal(this.#slots);
    await this.#flush();
    return {
      number,
      handle: this.#handle,
      pages: this.#pages,
      sum: this.#list.sum(crc32c),
      count: this.#count,
      untilMs: this.#untilMs,
      firsts: this.#list.firsts,
      filter,
    };
  }

  // False: there is no room before the buffer is written.
  #add(piece: Uint32Array, at: number): boolean {
    const until = untilMs(piece, at);
    if (until <= this.#plan.nowMs) return true;
    if (this.#slots === PAGE_SLOTS) {
      // Ids with the same first word stand in one page.
      const moved = this.#sameAtEnd(piece[at]!);
      const from = this.#slotAt(this.#slots - moved);
      const kept = this.#words.slice(from, from + moved * SLOT_WORDS);
      this.#seal(this.#slots - moved);
      if (this.#full === PIECE_PAGES) this.#carried = kept;
      else this.#begin(kept);
    }
    if (this.#full === PIECE_PAGES) return false;
    const to = this.#slotAt(this.#slots);
    for (let i = 0; i < SLOT_WORDS; i++) this.#words[to + i] = piece[at + i]!;
    this.#slots++;
    this.#count++;
    if (until > this.#untilMs) this.#untilMs = until;
    this.#plan.filter?.add(piece, at);
    return true;
  }

  // Slots that go into the first page behind a buffer that is to be written.
  #carried = new Uint32Array();

  #begin(slots: Uint32Array): void {
    this.#words.set(slots, this.#slotAt(0));
    this.#slots = slots.length / SLOT_WORDS;
  }

  #slotAt(i: number): number {
    return (this.#full * ID_PAGE_BYTES + idSlotAt(i)) / 4;
  }

  // How many slots at the end of the page have this first word.
  #sameAtEnd(word: number): number {
    let same = 0;
    while (same < PAGE_SLOTS - 1 && this.#words[this.#slotAt(this.#slots - 1 - same)] === word)
      same++;
    return same;
  }

  // The page behind the full ones is complete with so many slots.
  #seal(slots: number): void {
    if (slots === 0) return;
    const { number, crc32c } = this.#plan;
    const at = this.#full * ID_PAGE_BYTES;
    const page = this.#buffer.subarray(at, at + ID_PAGE_BYTES);
    const first = this.#words[this.#slotAt(0)]!;
    this.#list.add(first, sealIdPage(page, slots, this.#pages + this.#full, number, crc32c));
    this.#full++;
    this.#slots = 0;
  }

  async #flush(): Promise<void> {
    const { files, pace } = this.#plan;
    if (this.#full > 0) {
      const bytes = this.#buffer.subarray(0, this.#full * ID_PAGE_BYTES);
      const at = this.#pages * ID_PAGE_BYTES;
      await settle((done) => writeAll(files, this.#handle, [bytes], at, done));
      await new Promise<void>((resolve) => pace.resume(resolve));
    }
    this.#pages += this.#full;
    this.#full = 0;
    this.#begin(this.#carried);
    this.#carried = new Uint32Array();
  }
}
