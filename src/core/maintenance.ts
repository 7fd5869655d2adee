// Work beside the traffic, on segments that are complete: their indexes, making them smaller, and
// the checkpoint of what they come to. What comes of it for others, and what the operator is told
// when it fails; in an orderly stop it is only given up.

import type { Buckets } from './buckets/buckets.ts';
import type { Slice } from './buckets/slice.ts';
import * as notices from './delivery/notices.ts';
import type { Failure, Position } from './ports/basics.ts';
import type { LogPorts } from './ports/log.ts';
import type { Notices } from './ports/notices.ts';
import { Compaction } from './segments/compaction.ts';
import { Indexing } from './segments/indexing.ts';
import { checkpointOf, type State } from './segments/state.ts';

/** The parts of the broker that it looks after or asks. */
export interface MaintenanceParts extends State<unknown> {
  readonly buckets: Buckets<unknown>;
  readonly notices: Notices;
  /** Who holds parts of records that may come to stand elsewhere. */
  readonly consumers: Iterable<{
    moved(base: Position, end: Position, where: (part: Slice) => void): void;
  }>;
  readonly nextSequence: number;
  readonly closing: boolean;
  /** Something is done: ticks go on. */
  stir(): void;
  flushSoon(): void;
  dispatch(slot: number): void;
  /** Producers may go on that wait until an index is written. */
  roomAgain(): void;
}

export interface MaintenanceOptions {
  log: LogPorts;
  /** Records that one segment should hold, about. */
  entriesMax: number;
  /** Entries released in one turn, where the default is not wanted. */
  releaseMax: number | undefined;
}

export class Maintenance {
  readonly indexing: Indexing;
  readonly compaction: Compaction;
  readonly #parts: MaintenanceParts;
  readonly #log: LogPorts;

  constructor(parts: MaintenanceParts, { log, entriesMax, releaseMax }: MaintenanceOptions) {
    this.#parts = parts;
    this.#log = log;
    const { buckets, retention } = parts;
    this.indexing = new Indexing({
      buckets,
      retention,
      index: log.index,
      indexed: () => this.#indexed(),
      failed: (base, failure) => this.#notIndexed(base, failure),
      soon: () => parts.flushSoon(),
      releaseMax,
    });
    this.compaction = new Compaction({
      buckets,
      retention,
      space: log.space,
      upkeep: log.upkeep,
      memoryFrom: () => this.indexing.memoryFrom,
      entriesMax,
      moved: (base, end, where) => {
        buckets.indexed.moved(base, end, where);
        for (const consumer of parts.consumers) consumer.moved(base, end, where);
      },
      ended: (failure, smaller) => this.#compacted(failure, smaller),
    });
  }

  /** Lets the log save what the indexed segments come to; with `now`, in any case. */
  saveCheckpoint(now = false, done = () => {}): void {
    const parts = this.#parts;
    const { memoryFrom } = this.indexing;
    this.#log.upkeep.checkpoint(
      memoryFrom,
      () => checkpointOf(parts, this.#log.journal.startPosition, memoryFrom, parts.nextSequence),
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
