// Folds the log back into buckets at start. Records count batch by batch, when their commit record
// is seen; what was settled is a bitmap of about a bit a message that lives until the end.

import {
  MARK_ATTEMPTS_AT,
  MARK_BYTES,
  MARK_COUNT_AT,
  MARK_SEQUENCE_AT,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_RETURNED,
  RECORD_SETTLED,
} from '../../assembly/layout.ts';
import type { Buckets, Part } from './buckets.ts';
import type { Position } from './ports.ts';
import type { Retention } from './retention.ts';
import {
  ATTEMPTS,
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  join,
  OFFSET,
  ROW_WORDS,
  RowList,
  sequenceOf,
  TYPE,
} from './rows.ts';

const PAGE = 65536;

/** A set of sequence numbers, a bit each, in pages that exist only where something is set. */
export class SequenceSet {
  readonly #pages = new Map<number, Uint32Array>();

  add(first: number, count: number): void {
    for (let sequence = first; sequence < first + count; sequence++) {
      const page = Math.floor(sequence / PAGE);
      let bits = this.#pages.get(page);
      if (bits === undefined) {
        bits = new Uint32Array(PAGE / 32);
        this.#pages.set(page, bits);
      }
      const end = Math.min(first + count, (page + 1) * PAGE);
      for (; sequence < end; sequence++) {
        const at = sequence % PAGE;
        bits[at >>> 5]! |= 1 << (at & 31);
      }
      sequence--;
    }
  }

  has(sequence: number): boolean {
    const bits = this.#pages.get(Math.floor(sequence / PAGE));
    const at = sequence % PAGE;
    return bits !== undefined && (bits[at >>> 5]! & (1 << (at & 31))) !== 0;
  }
}

/** Attempts by sequence, two bytes each, in pages that exist only where something came back. */
export class AttemptCounts {
  readonly #pages = new Map<number, Uint16Array>();

  /** Notes `attempts` for `count` sequences from `first` on; counts beyond 65,535 stay there. */
  set(first: number, count: number, attempts: number): void {
    for (let at = first; at < first + count; ) {
      const page = Math.floor(at / PAGE);
      let counts = this.#pages.get(page);
      if (counts === undefined) {
        counts = new Uint16Array(PAGE);
        this.#pages.set(page, counts);
      }
      const end = Math.min(first + count, (page + 1) * PAGE);
      counts.fill(Math.min(attempts, 65_535), at % PAGE, end - page * PAGE);
      at = end;
    }
  }

  /** Attempts of a message, or 0. */
  get(sequence: number): number {
    return this.#pages.get(Math.floor(sequence / PAGE))?.[sequence % PAGE] ?? 0;
  }
}

export class Replay {
  readonly #buckets: Buckets<unknown>;
  readonly #retention: Retention;
  readonly #settled = new SequenceSet();
  readonly #attempts = new AttemptCounts();
  readonly #rows = new RowList();
  #positions: Position[] = []; // of the first byte of the chunk that each staged row came from
  #marks: { type: number; sequence: number; count: number; attempts: number }[] = [];
  records = 0;
  messages = 0;

  constructor(buckets: Buckets<unknown>, retention: Retention) {
    this.#buckets = buckets;
    this.#retention = retention;
  }

  /** A segment begins. */
  segment(base: Position): void {
    this.#retention.open(base);
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
      this.#stageMarks(type, rows[at + COUNT]!, bytes, body);
    }
  }

  #stageMarks(type: number, count: number, bytes: Uint8Array, body: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + body, count * MARK_BYTES);
    for (let i = 0; i < count * MARK_BYTES; i += MARK_BYTES) {
      this.#marks.push({
        type,
        sequence: join(
          view.getUint32(i + MARK_SEQUENCE_AT, true),
          view.getUint32(i + MARK_SEQUENCE_AT + 4, true),
        ),
        count: view.getUint32(i + MARK_COUNT_AT, true),
        attempts: view.getUint32(i + MARK_ATTEMPTS_AT, true),
      });
    }
  }

  /** The batch is complete: what was staged counts. */
  commit(): void {
    const { words } = this.#rows;
    for (let i = 0; i < this.#rows.count; i++) {
      const at = i * ROW_WORDS;
      const slot = this.#buckets.open(words[at + BUCKET_LOW]!, words[at + BUCKET_HIGH]!);
      this.#buckets.push(slot, {
        position: this.#positions[i]! + words[at + OFFSET]!,
        sequence: sequenceOf(words, at),
        first: 0,
        count: words[at + COUNT]!,
        bodyBytes: words[at + BODY_BYTES]!,
        attempts: words[at + ATTEMPTS]!,
      });
    }
    for (const mark of this.#marks) {
      if (mark.type === RECORD_SETTLED) {
        this.#settled.add(mark.sequence, mark.count);
      } else {
        this.#attempts.set(mark.sequence, mark.count, mark.attempts);
      }
    }
    this.drop();
  }

  /** The batch turned out to be incomplete: what was staged never happened. */
  drop(): void {
    this.#rows.clear();
    this.#positions = [];
    this.#marks = [];
  }

  /** Leaves in the buckets what was not settled. */
  finish(): void {
    for (const slot of [...this.#buckets.slots()]) {
      this.#buckets.relineate(slot, (part) => this.#unsettled(part));
      this.messages += this.#buckets.readyOf(slot);
      this.#buckets.tidy(slot);
    }
  }

  // The runs of a part that still wait; a run has one number of attempts.
  #unsettled(part: Part): Part[] {
    const runs: Part[] = [];
    let run: Part | undefined;
    for (let i = 0; i < part.count; i++) {
      const sequence = part.sequence + i;
      if (this.#settled.has(sequence)) {
        run = undefined;
        continue;
      }
      const attempts = this.#attempts.get(sequence) || part.attempts;
      if (run !== undefined && run.attempts === attempts) {
        run.count++;
        continue;
      }
      run = { ...part, sequence, first: part.first + i, count: 1, attempts };
      runs.push(run);
    }
    for (const kept of runs) this.#retention.count(kept.position, kept.count);
    return runs;
  }
}
