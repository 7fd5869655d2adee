// Writes one run under a temporary name: sorts the records of a segment by the pages of their
// buckets, a slice of them a turn, so that a large segment does not hold up the event loop. Needs
// 4 bytes of memory for each entry, and a slice's bytes. Nothing is synced: what a power cut leaves
// of the file does not match its checksums.
//
//   count ──► lay out ──► place ──► write the entries ──► write header and tables ──► close
//   entries   the pages   entries   page by page, with
//   of each               in pages  their checksums
//   page                  (stable)

import { RECORD_HEADER_BYTES, RING_BYTES } from '../../../assembly/layout.ts';
import { KIND_LIVE, KIND_MAX } from '../../../assembly/layout-placed.ts';
import type { EntrySource, Failure, Position } from '../../core/ports/basics.ts';
import { type Files, type Handle, writeAll } from '../files/files.ts';
import type { Throttle } from '../files/throttle.ts';
import { ENTRY_BYTES, encodeEntry } from './index-entry.ts';
import {
  type Checksum,
  encodeIndexHeader,
  entryAt,
  INDEX_HEADER_BYTES,
  INDEX_TEMPORARY,
  indexName,
  pageBitsFor,
  pageOf,
  Table,
  tableBytes,
} from './index-file.ts';

export interface IndexPlan {
  files: Files;
  crc32c: Checksum;
  pace: Throttle;
  logId: bigint;
  hashSeed: number;
  base: Position;
  identity: number;
  source: EntrySource;
  /** Why the run is not wanted any more; asked before every slice. */
  stopped: () => Failure;
}

/** Most entries that are worked on in one turn. */
export const SLICE_ENTRIES = 16_384;
// The same while others are not to wait: at least one chunk, of 2340.
const SMALL_SLICE_ENTRIES = 512;
// More records than that fit no segment.
const ENTRIES_MAX = Math.floor(RING_BYTES / RECORD_HEADER_BYTES);
const U32 = 2 ** 32;

/**
 * Writes the run to the temporary file; `done` with its size in bytes. After a failure (of the
 * system, of the source or `stopped`) nothing is left of the file, unless its removal failed too.
 */
export function writeIndex(plan: IndexPlan, done: (failure: Failure, bytes: number) => void): void {
  new RunWriter(plan, done).start();
}

class RunWriter {
  readonly #plan: IndexPlan;
  readonly #done: (failure: Failure, bytes: number) => void;
  readonly #pageBits: number;
  readonly #starts: Uint32Array; // entries of each page; from `#layOut` on its first entry
  #first = Number.POSITIVE_INFINITY;
  #last = 0;
  #kinds = false;
  #problem: Failure;
  #image = new Uint8Array(0); // header and tables
  #table: Table | undefined;
  #order = new Uint32Array(0); // index in the source of each entry in file order
  #handle: Handle = -1;

  constructor(plan: IndexPlan, done: (failure: Failure, bytes: number) => void) {
    this.#plan = plan;
    this.#done = done;
    this.#pageBits = pageBitsFor(Math.min(plan.source.count, ENTRIES_MAX));
    this.#starts = new Uint32Array(2 ** this.#pageBits + 1);
  }

  start(): void {
    const { count } = this.#plan.source;
    if (!Number.isInteger(count) || count < 0 || count > ENTRIES_MAX)
      this.#problem = this.#refusal(`${count} entries, it holds 0 … ${ENTRIES_MAX}`);
    this.#inSlices(
      (i) => this.#count(i),
      () => this.#layOut(),
    );
  }

  #page(i: number): number {
    const { source, hashSeed } = this.#plan;
    const { lines } = source;
    const [low, high] = [lines.bucketLow(i), lines.bucketHigh(i)];
    return pageOf(low, high, hashSeed, this.#pageBits, lines.kind(i));
  }

  // Calls `each` for every entry, a slice of them a turn; `then` unless there was a problem.
  #inSlices(each: (i: number) => void, then: () => void): void {
    const { source, pace, stopped } = this.#plan;
    let at = 0;
    const turn = () => {
      this.#problem ??= stopped();
      const end = Math.min(source.count, at + pace.piece(SMALL_SLICE_ENTRIES, SLICE_ENTRIES));
      while (at < end) {
        if (this.#problem !== undefined) break;
        each(at++);
      }
      if (this.#problem !== undefined) this.#fail(this.#problem);
      else if (at < source.count) pace.next(turn);
      else then();
    };
    pace.next(turn);
  }

  #count(i: number): void {
    const { source, base } = this.#plan;
    const { lines } = source;
    const sequence = source.sequence(i);
    this.#first = Math.min(this.#first, sequence);
    this.#last = Math.max(this.#last, sequence);
    const wrong =
      unfit('bucketLow', lines.bucketLow(i)) ??
      unfit('bucketHigh', lines.bucketHigh(i)) ??
      unfit('position less the base', source.position(i) - base) ??
      unfit('messages', source.messages(i), 1) ??
      unfit('bodyBytes', source.bodyBytes(i)) ??
      unfit('attempts', source.attempts(i)) ??
      unfit('kind', lines.kind(i), 0, KIND_MAX) ??
      unfit('sequence', sequence, 0, Number.MAX_SAFE_INTEGER) ??
      unfit('distance of sequences', this.#last - this.#first);
    if (wrong !== undefined) this.#problem = this.#refusal(`${wrong}, in entry ${i}`);
    else this.#starts[this.#page(i)]!++;
    this.#kinds ||= lines.kind(i) !== KIND_LIVE;
  }

  #refusal(what: string): Error {
    return new RangeError(`${indexName(this.#plan.base)} can't be written: ${what}`);
  }

  #layOut(): void {
    let entry = 0;
    for (let page = 0; page < this.#starts.length; page++) {
      const length = this.#starts[page]!;
      this.#starts[page] = entry;
      entry += length;
    }
    this.#table = Table.of(this.#starts, (chunks) => {
      this.#image = new Uint8Array(INDEX_HEADER_BYTES + tableBytes(this.#pageBits, chunks));
      return this.#image.subarray(INDEX_HEADER_BYTES);
    });
    this.#order = new Uint32Array(entry);
    // `starts` goes on as the place of each page's next entry.
    this.#inSlices(
      (i) => {
        this.#order[this.#starts[this.#page(i)]!++] = i;
      },
      () => this.#create(),
    );
  }

  #create(): void {
    const { files } = this.#plan;
    // A failed removal may have left one, which no other is to trip over.
    files.remove(INDEX_TEMPORARY, () => {
      files.open(INDEX_TEMPORARY, true, (failure, handle) => {
        if (failure !== undefined) return this.#done(failure, 0);
        this.#handle = handle;
        const buffer = new Uint8Array(Math.min(this.#order.length, SLICE_ENTRIES) * ENTRY_BYTES);
        this.#writeEntries(0, 0, buffer);
      });
    });
  }

  // Writes the entries from one that begins a chunk, a slice of whole chunks at a time.
  #writeEntries(page: number, entry: number, buffer: Uint8Array): void {
    const { files, pace, stopped, crc32c } = this.#plan;
    const table = this.#table!;
    const problem = stopped();
    const most = pace.piece(SMALL_SLICE_ENTRIES, SLICE_ENTRIES);
    const chunks = table.chunksFrom(page, entry, most);
    const last = chunks.at(-1);
    if (problem !== undefined || last === undefined) {
      if (problem !== undefined) this.#fail(problem);
      else this.#writeTables();
      return;
    }
    this.#encode(entry, last.to, new DataView(buffer.buffer));
    for (const chunk of chunks) {
      const from = (chunk.from - entry) * ENTRY_BYTES;
      const to = (chunk.to - entry) * ENTRY_BYTES;
      table.setCrc(chunk, crc32c(buffer.subarray(from, to)));
    }
    const bytes = buffer.subarray(0, (last.to - entry) * ENTRY_BYTES);
    const at = entryAt(this.#pageBits, table.chunks, entry);
    writeAll(files, this.#handle, [bytes], at, (failure) => {
      if (failure !== undefined) this.#fail(failure);
      else pace.resume(() => this.#writeEntries(last.page, last.to, buffer));
    });
  }

  #encode(from: number, to: number, view: DataView): void {
    const { source, base } = this.#plan;
    const origin = { first: this.#first, base, kinds: this.#kinds };
    for (let entry = from; entry < to; entry++)
      encodeEntry(view, (entry - from) * ENTRY_BYTES, source, this.#order[entry]!, origin);
  }

  #writeTables(): void {
    const { files, logId, base, identity, hashSeed, source, crc32c } = this.#plan;
    const { bytes, chunks } = this.#table!;
    const { count } = source;
    const header = {
      pageBits: this.#pageBits,
      logId,
      base,
      first: count === 0 ? 0 : this.#first,
      count,
      identity,
      seed: hashSeed,
      tableCrc: crc32c(bytes),
      chunks,
      kinds: this.#kinds,
    };
    encodeIndexHeader(header, this.#image, crc32c);
    writeAll(files, this.#handle, [this.#image], 0, (failure) => {
      if (failure !== undefined) return this.#fail(failure);
      const handle = this.#handle;
      this.#handle = -1;
      files.close(handle, (closeFailure) => {
        if (closeFailure !== undefined) this.#fail(closeFailure);
        else this.#done(undefined, entryAt(this.#pageBits, chunks, count));
      });
    });
  }

  #fail(failure: Error): void {
    const { files } = this.#plan;
    const remove = () => files.remove(INDEX_TEMPORARY, () => this.#done(failure, 0));
    if (this.#handle < 0) remove();
    else files.close(this.#handle, remove);
  }
}

// What is wrong with a number that must be whole and within its bounds, or undefined.
function unfit(name: string, value: number, least = 0, most = U32 - 1): string | undefined {
  if (Number.isInteger(value) && value >= least && value <= most) return undefined;
  return `${name} is ${value}, not a whole number in ${least} … ${most}`;
}
