// Work beside the traffic, on segments that are complete: their indexes, making them smaller, and
// the checkpoint of what they come to. What comes of it for others, and what the operator is told
// when it fails; in an orderly stop it is only given up.

import type { BrokerOptions, Log } from './broker-options.ts';
import type { Buckets } from './buckets/buckets.ts';
import type { Slice } from './buckets/slice.ts';
import type { Batch } from './commit/batch.ts';
import type { InFlight } from './delivery/in-flight.ts';
import * as notices from './delivery/notices.ts';
import type { SourceSearchParts } from './delivery/search-parts.ts';
import { FOUND_MAX, SourceSearch } from './delivery/source-search.ts';
import type { Sweeper } from './delivery/sweeper.ts';
import type { Failure, Position } from './ports/basics.ts';
import type { Notices } from './ports/notices.ts';
import { Compaction } from './segments/compaction.ts';
import { IdWindows } from './segments/id-windows.ts';
import { Indexing } from './segments/indexing.ts';
import { checkpointOf, type State } from './segments/state.ts';
import type { InMemory } from './segments/state-builder.ts';
import type { StoringTimes } from './segments/storing-times.ts';
import { Waiting } from './waiting.ts';

/** The parts of the broker that it looks after or asks. */
export interface MaintenanceParts extends Pick<State<unknown>, 'retention'> {
  readonly dispatcher: SourceSearchParts['dispatcher'];
  readonly counters: SourceSearchParts['counters'];
  readonly commit: { readonly marks: { readonly places: boolean } };
  readonly buckets: Buckets<unknown>;
  readonly notices: Notices;
  /** Who holds messages, and parts of records that may come to stand elsewhere. */
  readonly consumers: Iterable<{ readonly inFlight: InFlight }>;
  readonly mover: {
    relocated(base: Position, end: Position, where: (part: Slice) => void): void;
    each(take: (sequence: number, count: number) => void): void;
  };
  readonly rulesInForce: { readonly sweeper: Pick<Sweeper, 'merged'> } | undefined;
  readonly nextSequence: number;
  readonly closing: boolean;
  /** Something is done: ticks go on. */
  stir(): void;
  flushSoon(): void;
  dispatch(slot: number): void;
  /** Producers may go on that wait until an index is written. */
  roomAgain(): void;
}

export type MaintenanceOptions = Pick<
  BrokerOptions,
  'log' | 'limits' | 'releaseMax' | 'times' | 'wallMs' | 'ids'
>;

export class Maintenance {
  readonly waiting: Waiting;
  readonly windows: IdWindows;
  readonly indexing: Indexing;
  readonly compaction: Compaction;
  /** Looks for what virtual buckets are given. */
  readonly search: SourceSearch;
  readonly #parts: MaintenanceParts;
  readonly #log: Log;
  readonly #times: StoringTimes;

  constructor(parts: MaintenanceParts, options: MaintenanceOptions) {
    const { log, limits, releaseMax, wallMs, ids } = options;
    this.#parts = parts;
    this.#times = options.times;
    this.#log = log;
    const { buckets, retention } = parts;
    buckets.delayed.holders = (take) => {
      for (const consumer of parts.consumers) consumer.inFlight.each(take);
      parts.mover.each(take);
    };
    this.waiting = new Waiting(parts, log, wallMs, (low, high) => this.search.open(low, high));
    this.windows = new IdWindows({ retention: parts.retention, ids }, wallMs);
    ids.told = () => {
      parts.stir();
      parts.roomAgain();
    };
    this.indexing = new Indexing({
      buckets,
      retention,
      index: log.index,
      dueLog: log.due,
      dueTimes: this.waiting.due,
      indexed: () => this.#indexed(),
      failed: (base, failure) => this.#notIndexed(base, failure),
      soon: () => parts.flushSoon(),
      releaseMax,
    });
    this.search = new SourceSearch(parts, {
      index: log.index,
      memoryFrom: () => this.indexing.memoryFrom,
      most: Math.min(FOUND_MAX, buckets.slotsMax / 2),
    });
    this.compaction = new Compaction({
      buckets,
      retention,
      times: options.times,
      space: log.space,
      upkeep: log.upkeep,
      memoryFrom: () => this.indexing.memoryFrom,
      entriesMax: limits.segmentEntriesMax,
      moved: (base, end, where) => {
        this.waiting.merged(base, end);
        parts.rulesInForce?.sweeper.merged(base, end);
        this.search.merged(base, end);
        buckets.indexed.moved(base, end, where);
        for (const consumer of parts.consumers) consumer.inFlight.moved(base, end, where);
        parts.mover.relocated(base, end, where);
      },
      ended: (failure, smaller) => this.#compacted(failure, smaller),
    });
    this.waiting.inMemoryFrom(() => this.indexing.memoryFrom);
  }

  /** Goes on after a start; `inMemory`: segments whose entries are in memory, the open one last. */
  resume(inMemory: readonly InMemory[]): void {
    this.waiting.resume(inMemory);
    for (const { base, from } of inMemory) this.indexing.open(base, from);
  }

  /** A batch became durable. How old its messages are is known before anybody is given them. */
  stored({ end, storedMs }: Batch): void {
    this.#times.note(end, storedMs);
  }

  /** The batch is applied: what it says of times counts from now on. */
  durable(batch: Batch): void {
    this.waiting.durable(batch);
    this.windows.durable(batch);
  }

  /** Others had their turn: goes on with what was begun. */
  turn(): void {
    this.indexing.step();
    this.waiting.firing.turn();
    this.search.turn();
  }

  /** Lets the log save what the indexed segments come to; with `now`, in any case. */
  saveCheckpoint(now = false, done = () => {}): void {
    const parts = this.#parts;
    const { memoryFrom } = this.indexing;
    const { startPosition } = this.#log.journal;
    const { buckets, commit, retention } = parts;
    const { places } = commit.marks;
    const state = { buckets, retention, times: this.#times };
    this.#log.upkeep.checkpoint(
      memoryFrom,
      () => checkpointOf(state, startPosition, memoryFrom, parts.nextSequence, places),
      now,
      done,
    );
  }

  // A segment's entries are in its index only: whoever waited for that goes on.
  #indexed(): void {
    const parts = this.#parts;
    const { buckets } = parts;
    parts.stir();
    this.saveCheckpoint();
    for (const share of [...buckets.subscriptions()]) {
      if (share.waiting.size > 0) parts.dispatch(share.slot);
      if (share.consumers === 0) buckets.tidy(share.slot);
    }
    parts.roomAgain();
  }

  #notIndexed(base: Position, failure: Error): void {
    this.#parts.stir();
    this.#warn('index.write', notices.notIndexed(base, failure), { position: base });
  }

  #compacted(failure: Failure, smaller: boolean): void {
    this.#parts.stir();
    if (smaller) this.saveCheckpoint(true);
    if (failure !== undefined) this.#warn('log.compaction', notices.notCompacted(failure));
  }

  #warn(kind: string, text: string, fields?: { position: Position }): void {
    if (!this.#parts.closing) this.#parts.notices.notice('warn', kind, text, fields);
  }
}
