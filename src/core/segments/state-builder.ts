// Folds the log back into buckets at start, segment by segment. Records count batch by batch, when
// their commit record is seen. What a checkpoint knows is taken over; entries of segments that have
// an index are released, so that memory holds those of the newest ones only.

import {
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_RETURNED,
  RECORD_SETTLED,
} from '../../../assembly/layout.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { EntrySource, Position } from '../ports/basics.ts';
import { type Mark, marksIn } from '../records/ack-ranges.ts';
import {
  ATTEMPTS,
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  OFFSET,
  ROW_WORDS,
  RowList,
  recordBytesOf,
  sequenceOf,
  TYPE,
} from '../records/rows.ts';
import type { Retention } from './retention.ts';

export class Fold {
  readonly #buckets: Buckets<unknown>;
  readonly #retention: Retention;
  readonly #rows = new RowList();
  #positions: Position[] = []; // of the first byte of the chunk that each staged row came from
  #marks: ({ type: number } & Mark)[] = [];
  #nextSequence = 1;
  // Segments whose holes in sequences are not known from marks, and that marks spoke of.
  readonly #doubtful = new Set<Position>();
  readonly #sparse = new Set<Position>();
  // Sequence behind the last message of each segment, as far as it was read or is known.
  readonly #ends = new Map<Position, number>();
  /** Segments whose entries are in memory, and where these begin. */
  readonly inMemory: { base: Position; from: number }[] = [];
  records = 0;

  constructor(buckets: Buckets<unknown>, retention: Retention) {
    this.#buckets = buckets;
    this.#retention = retention;
  }

  /** Unsettled messages, once `finish` was called. */
  get messages(): number {
    return this.#retention.live;
  }

  /** A segment begins whose records follow; `sparse`: it was compacted. */
  segment(base: Position, sparse = false): void {
    this.#retention.open(base, this.#nextSequence);
    this.inMemory.push({ base, from: this.#buckets.entries.end });
    if (sparse) this.#sparse.add(base);
  }

  /** Takes over what a checkpoint says of messages. */
  restore(checkpoint: {
    settled: [number: number, bits: Uint32Array | undefined][];
    attempts: [number: number, page: number | Uint16Array][];
  }): void {
    const { settled, attempts } = this.#buckets.fates;
    for (const [number, bits] of checkpoint.settled) settled.restore(number, bits);
    for (const [number, page] of checkpoint.attempts) attempts.restore(number, page);
  }

  /** A segment that a checkpoint and an index on disk know; its records do not follow. */
  known(state: {
    base: Position;
    first: number;
    end: number;
    messages: number;
    live: number;
  }): void {
    this.#retention.open(state.base, state.first, state.messages, state.live);
    this.#ends.set(state.base, state.end);
    this.#nextSequence = Math.max(this.#nextSequence, state.end);
    this.#ends.set(state.base, state.end);
  }

  /**
   * The last segment is complete, and another one follows: the entries for its index. Undefined if
   * those of an older one could not be written: then all stay in memory.
   */
  complete(): EntrySource | undefined {
    const { entries } = this.#buckets;
    if (this.inMemory.length > 1) return undefined;
    return entries.source(this.inMemory[0]!.from, entries.end);
  }

  /** What `complete` gave is in an index now. */
  indexed(): void {
    this.#buckets.release(this.#buckets.entries.end, Number.POSITIVE_INFINITY);
    this.inMemory.pop();
  }

  /**
   * Takes one verified record: row `at` of `rows`, found in a chunk whose first byte stands at log
   * position `chunk` and in `bytes` at offset 0. Counts when `commit` follows.
   */
  record(rows: Uint32Array, at: number, chunk: Position, bytes: Uint8Array): void {
    const type = rows[at + TYPE]!;
    this.records++;
    if (type === RECORD_MESSAGES) {
      this.#rows.add(rows.subarray(at, at + ROW_WORDS), 1);
      this.#positions.push(chunk);
    } else if (type === RECORD_SETTLED || type === RECORD_RETURNED) {
      const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
      for (const mark of marksIn(bytes, body, rows[at + COUNT]!))
        this.#marks.push({ type, ...mark });
    }
  }

  /** The batch is complete: what was staged counts. */
  commit(): void {
    const { words } = this.#rows;
    for (let i = 0; i < this.#rows.count; i++) {
      const at = i * ROW_WORDS;
      const slot = this.#buckets.open(words[at + BUCKET_LOW]!, words[at + BUCKET_HIGH]!);
      const position = this.#positions[i]! + words[at + OFFSET]!;
      const sequence = sequenceOf(words, at);
      const count = words[at + COUNT]!;
      const body = words[at + BODY_BYTES]!;
      this.#buckets.push(slot, position, sequence, count, body, words[at + ATTEMPTS]!);
      this.#retention.add(position, sequence, count, recordBytesOf(words, at));
      // A checkpoint may know of messages whose segment is read all the same.
      const settled = this.#buckets.fates.settled.within(sequence, count);
      if (settled > 0) this.#retention.settle(position, settled);
      this.#nextSequence = Math.max(this.#nextSequence, sequence + count);
      this.#ends.set(this.inMemory.at(-1)!.base, sequence + count);
    }
    for (const { type, sequence, count, attempts } of this.#marks) {
      if (type === RECORD_SETTLED) this.#settle(sequence, count);
      else this.#attempted(sequence, count, attempts);
    }
    this.drop();
  }

  // Attempts only grow: a mark that says less is older than what a checkpoint said.
  #attempted(first: number, count: number, times: number): void {
    const { attempts } = this.#buckets.fates;
    for (let at = first; at < first + count; ) {
      if (attempts.get(at) >= times) {
        at++;
        continue;
      }
      let to = at + 1;
      while (to < first + count && attempts.get(to) < times) to++;
      attempts.set(at, to - at, times);
      at = to;
    }
  }

  // A range may reach over several segments.
  #settle(first: number, count: number): void {
    const { segments } = this.#retention;
    // What is older is gone, and with it what a mark says of it.
    const oldest = segments[0]?.first ?? 0;
    for (let at = Math.max(first, oldest); at < first + count; ) {
      const index = this.#retention.indexOf(at);
      const end = Math.min(first + count, segments[index + 1]?.first ?? Number.POSITIVE_INFINITY);
      const to = end > at ? end : first + count;
      const { base } = segments[index]!;
      // Behind its last message are those that the next one held before it was compacted.
      const last = this.#ends.get(base) ?? Number.POSITIVE_INFINITY;
      const within = Math.max(at, Math.min(to, last));
      const settled = this.#buckets.fates.settled.add(at, within - at);
      this.#buckets.fates.settled.add(within, to - within);
      if (settled > 0) {
        if (this.#sparse.has(base)) this.#doubtful.add(base);
        else this.#retention.settleSequences(at, settled);
      }
      at = to;
    }
  }

  /** The batch turned out to be incomplete: what was staged never happened. */
  drop(): void {
    this.#rows.clear();
    this.#positions = [];
    this.#marks = [];
  }

  /** Segments whose records must be counted again, because marks spoke of what is not in them. */
  get doubtful(): Iterable<Position> {
    return this.#doubtful;
  }

  /** Messages of a record that are unsettled. */
  unsettledIn(sequence: number, messages: number): number {
    return messages - this.#buckets.fates.settled.within(sequence, messages);
  }

  /** Unsettled messages of a segment whose entries are in memory; undefined if they are not. */
  unsettledInMemory(base: Position): number | undefined {
    const at = this.inMemory.findIndex((each) => each.base === base);
    if (at < 0) return undefined;
    const { entries } = this.#buckets;
    const to = this.inMemory[at + 1]?.from ?? entries.end;
    let live = 0;
    for (let entry = this.inMemory[at]!.from; entry < to; entry++)
      live += this.unsettledIn(entries.sequence(entry), entries.count(entry));
    return live;
  }

  /** A segment holds so many unsettled messages. */
  recount(base: Position, live: number): void {
    this.#retention.recount(base, live);
  }

  /** Every record was seen, and every segment in doubt was counted again. */
  finished(): void {
    const memoryFrom = this.inMemory[0]?.base ?? 0;
    const forgetful = this.#retention.segments.some(
      ({ base, live }) => base < memoryFrom && live > 0,
    );
    this.#buckets.recovered(this.#nextSequence, this.#retention.live, forgetful);
  }
}
