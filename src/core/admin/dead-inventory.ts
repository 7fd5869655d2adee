// Which buckets have dead messages, where that is not known since a start, because their records
// are in indexes only and nobody asked for them. Looked up when somebody wants the list, in the
// segments that hold any, and now and then again; lines that are found are known from then on.
// What died since the look is not in it; what is gone since is not counted.

import { KIND_DEAD } from '../../../assembly/layout-placed.ts';
import type { Broker } from '../broker.ts';
import { idText } from '../buckets/subscription.ts';
import type { Position } from '../ports/basics.ts';
import type { SegmentIndex } from '../ports/segment-index.ts';

/** How long what was found is good enough, and how long a list waits for it at most. */
const FRESH_MS = 10_000;
const PATIENCE_MS = 2000;
/** Entries in memory looked at in one turn. */
const ENTRIES_MAX = 16_384;
/** Runs of neighbours that are remembered at most. */
const RUNS_MAX = 65_536;

export interface InventoryOptions {
  broker: Broker;
  index: Pick<SegmentIndex, 'visit'>;
  /** Calls back in a later turn of the event loop. */
  soon: (call: () => void) => void;
  /** Calls back after so many ms. */
  after: (ms: number, call: () => void) => void;
}

interface Found {
  low: number;
  high: number;
  /** Runs of neighbours: first sequence, end, first sequence, … */
  runs: number[];
}

type Inventory = Map<string, Found>;

export class DeadInventory {
  readonly #options: InventoryOptions;
  #found: Inventory = new Map();
  #runs = 0; // in the look that is under way
  #freshUntilMs = Number.NEGATIVE_INFINITY;
  #waiting: (() => void)[] | undefined; // a look is under way

  constructor(options: InventoryOptions) {
    this.#options = options;
  }

  /** Dead messages of a bucket, as of the last look. */
  of(id: string): number {
    const { runs } = this.#found.get(id) ?? { runs: [] };
    const { settled } = this.#options.broker.buckets.outcomes;
    let messages = 0;
    for (let i = 0; i < runs.length; i += 2) {
      const count = runs[i + 1]! - runs[i]!;
      messages += count - settled.within(runs[i]!, count);
    }
    return messages;
  }

  /** Looks, if that is worth it; `done` comes at once, at the end of the look, or before that if it
   * takes long. */
  look(done: () => void): void {
    const { broker, after } = this.#options;
    const { buckets } = broker;
    if (!buckets.isPartial || buckets.dead === 0) {
      this.#found.clear();
      done();
    } else if (this.#waiting !== undefined || broker.reportMs >= this.#freshUntilMs) {
      let isOver = false;
      const once = () => {
        if (!isOver) done();
        isOver = true;
      };
      after(PATIENCE_MS, once);
      if (this.#waiting === undefined) this.#begin();
      this.#waiting!.push(once);
    } else done();
  }

  #begin(): void {
    const { buckets, indexing } = this.#options.broker;
    this.#waiting = [];
    this.#runs = 0;
    this.#inEntries(new Map(), buckets.entries.from, indexing.memoryFrom);
  }

  #inEntries(found: Inventory, from: number, memoryFrom: Position): void {
    const { broker, soon } = this.#options;
    const { entries } = broker.buckets;
    const to = Math.min(entries.end, Math.max(from, entries.from) + ENTRIES_MAX);
    for (let entry = Math.max(from, entries.from); entry < to; entry++) {
      if (entries.kind(entry) !== KIND_DEAD) continue;
      const [low, high] = [entries.bucketLow(entry), entries.bucketHigh(entry)];
      this.#add(found, low, high, entries.sequence(entry), entries.count(entry));
    }
    if (to < entries.end) soon(() => this.#inEntries(found, to, memoryFrom));
    else this.#inIndexes(found, this.#segments(memoryFrom));
  }

  // Segments on disk that hold dead messages.
  #segments(memoryFrom: Position): Position[] {
    const { buckets, retention } = this.#options.broker;
    const { dead, settled } = buckets.outcomes;
    return retention.segments.flatMap(({ base, first }, i) => {
      if (base >= memoryFrom) return [];
      const end = retention.segments[i + 1]?.first ?? first;
      for (const [from, count] of dead.runs(first, end))
        if (settled.within(from, count) < count) return [base];
      return [];
    });
  }

  #inIndexes(found: Inventory, bases: Position[]): void {
    const { broker, index, soon } = this.#options;
    const base = bases.shift();
    if (base === undefined || broker.closing) {
      // Ends in a turn of its own: it may have had nothing to wait for.
      soon(() => this.#end(found));
      return;
    }
    // It may have become part of another one meanwhile: the next look finds it there.
    if (!broker.retention.has(base)) {
      this.#inIndexes(found, bases);
      return;
    }
    index.visit(
      base,
      (low, high, { sequence, messages, kind }) => {
        if (kind === KIND_DEAD) this.#add(found, low, high, sequence, messages);
      },
      // One that cannot be read is made again when somebody needs it.
      () => {
        broker.stir();
        this.#inIndexes(found, bases);
      },
    );
  }

  #add(found: Inventory, low: number, high: number, sequence: number, messages: number): void {
    const { settled } = this.#options.broker.buckets.outcomes;
    if (settled.within(sequence, messages) === messages) return;
    const id = idText(low, high);
    const known = found.get(id);
    if (known?.runs.at(-1) === sequence) known.runs[known.runs.length - 1] = sequence + messages;
    else if (this.#runs++ < RUNS_MAX) {
      const run = [sequence, sequence + messages];
      if (known === undefined) found.set(id, { low, high, runs: run });
      else known.runs.push(...run);
    }
  }

  #end(found: Inventory): void {
    const { broker } = this.#options;
    this.#found = found;
    this.#freshUntilMs = broker.reportMs + FRESH_MS;
    for (const { low, high } of found.values()) broker.buckets.open(low, high, KIND_DEAD);
    const waiting = this.#waiting!;
    this.#waiting = undefined;
    for (const done of waiting) done();
  }
}
