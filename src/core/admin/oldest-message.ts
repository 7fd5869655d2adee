// Which bucket keeps the oldest segment on disk: the one of the oldest message that is not settled.
// Found in the background, as the index of a segment has to be read for it; once known it stays the
// oldest until it is settled, so that a message that waits for long costs no further search.

import { KIND_SETTINGS } from '../../../assembly/layout-placed.ts';
import type { Entries } from '../buckets/entries.ts';
import { idText } from '../buckets/subscription.ts';
import type { Outcomes } from '../collections/outcomes.ts';
import type { Failure, Found, Position } from '../ports/basics.ts';
import type { Retention } from '../segments/retention.ts';

export interface OldestOptions {
  retention: Retention;
  entries: Entries;
  fates: Outcomes;
  /** From where on what waits is in entries. */
  memoryFrom: () => Position;
  /** Whether part of a segment is in neither entries nor its index: then nothing is looked for. */
  releasing: () => boolean;
  /** Gives all records of an indexed segment, in any order, a number of them a turn. */
  visit: (
    base: Position,
    record: (low: number, high: number, found: Found) => void,
    done: (failure: Failure) => void,
  ) => void;
}

/** A message that waits for longest. */
export interface OldestMessage {
  bucket: string;
  /** Of the line (layout.ts). */
  kind: number;
  sequence: number;
}

// How often it is looked for at most: on disk, and where it costs no more than what came since.
const EVERY_MS = 5000;
const MEMORY_EVERY_MS = 1000;
// Entries looked at in one turn.
const ENTRIES_MAX = 16_384;

export class OldestMessages {
  readonly #options: OldestOptions;
  #found: OldestMessage | undefined;
  #busy = false;
  #nextMs = 0;
  #from = 0;
  #entry = 0; // where the search in entries goes on

  constructor(options: OldestOptions) {
    this.#options = options;
  }

  /** The oldest message that is not settled; undefined if there is none, or it is not known yet. */
  get message(): OldestMessage | undefined {
    const found = this.#found;
    return found === undefined || this.#isSettled(found.sequence) ? undefined : found;
  }

  /** No message before this sequence waits. */
  get from(): number {
    const segment = this.#options.retention.oldestLive();
    return Math.max(this.#from, segment?.first ?? 0);
  }

  // What was settled long ago may be forgotten.
  #isSettled(sequence: number): boolean {
    const { retention, fates } = this.#options;
    return sequence < retention.oldestSequence || fates.settled.has(sequence);
  }

  /** When `advance` has something to look for, if nothing comes in before that. */
  get dueMs(): number {
    const none = this.#busy || this.message !== undefined || this.#options.retention.live === 0;
    return none ? Number.POSITIVE_INFINITY : this.#nextMs;
  }

  /** Time passes: looks for it if it is not known. */
  advance(nowMs: number): void {
    if (this.#busy || nowMs < this.#nextMs || this.message !== undefined) return;
    const { retention, memoryFrom, releasing } = this.#options;
    if (releasing()) return;
    this.#found = undefined;
    const segment = retention.oldestLive();
    if (segment === undefined) this.#nextMs = nowMs + MEMORY_EVERY_MS;
    else if (segment.base >= memoryFrom()) this.#inMemory(nowMs);
    else {
      this.#nextMs = nowMs + EVERY_MS;
      this.#inRun(segment.base);
    }
  }

  // Entries are in the order of the log.
  #inMemory(nowMs: number): void {
    const { entries } = this.#options;
    const from = Math.max(this.#entry, entries.from);
    const to = Math.min(entries.end, from + ENTRIES_MAX);
    for (let entry = from; entry < to; entry++) {
      const sequence = this.#unsettled(entries.sequence(entry), entries.count(entry));
      if (sequence === undefined || entries.kind(entry) === KIND_SETTINGS) continue;
      this.#found = {
        bucket: idText(entries.bucketLow(entry), entries.bucketHigh(entry)),
        kind: entries.kind(entry),
        sequence,
      };
      this.#from = sequence;
      this.#entry = entry;
      this.#nextMs = nowMs + MEMORY_EVERY_MS;
      return;
    }
    this.#entry = to;
    if (to === entries.end) this.#nextMs = nowMs + MEMORY_EVERY_MS;
  }

  #inRun(base: Position): void {
    this.#busy = true;
    this.#entry = 0;
    let oldest: OldestMessage | undefined;
    this.#options.visit(
      base,
      (low, high, { sequence, messages, kind }) => {
        if (kind === KIND_SETTINGS) return;
        if (oldest !== undefined && sequence >= oldest.sequence) return;
        const first = this.#unsettled(sequence, messages);
        if (first === undefined || (oldest !== undefined && first >= oldest.sequence)) return;
        oldest = { bucket: idText(low, high), kind, sequence: first };
      },
      (failure) => {
        this.#busy = false;
        // An index that cannot be read is made again when somebody needs it.
        if (failure === undefined) this.#found = oldest;
        this.#from = Math.max(this.#from, oldest?.sequence ?? 0);
      },
    );
  }

  // The first message of a record that is not settled.
  #unsettled(sequence: number, count: number): number | undefined {
    const { settled } = this.#options.fates;
    if (settled.within(sequence, count) === count) return undefined;
    let first = sequence;
    while (settled.has(first)) first++;
    return first;
  }
}
