// Upkeep of the log: compaction by whoever writes the smaller segment, and checkpoints of what is
// certain to be on disk.

import type { Failure, Position } from '../core/ports/basics.ts';
import type { CheckpointSource, CompactionRequest, Upkeep } from '../core/ports/upkeep.ts';
import type { Compactor } from './compaction/compactor.ts';
import type { IndexStore } from './index/index-store.ts';
import type { IndexedSegments } from './indexed-segments.ts';
import type { LogOptions } from './recovery/log-options.ts';
import type { Segments } from './segments/segments.ts';

interface UpkeepParts {
  compactor: Compactor;
  segments: Segments;
  store: IndexStore;
  index: IndexedSegments;
}

export class LogUpkeep implements Upkeep {
  readonly #options: Pick<LogOptions, 'mode' | 'soon'>;
  readonly #compactor: Compactor;
  readonly #segments: Segments;
  readonly #store: IndexStore;
  readonly #index: IndexedSegments;

  constructor(options: Pick<LogOptions, 'mode' | 'soon'>, parts: UpkeepParts) {
    this.#options = options;
    this.#compactor = parts.compactor;
    this.#segments = parts.segments;
    this.#store = parts.store;
    this.#index = parts.index;
  }

  compact(request: CompactionRequest, done: (failure: Failure, smaller: boolean) => void): void {
    this.#compactor.compact(request).then(
      (smaller) => done(undefined, smaller),
      (failure: Error) => done(failure, false),
    );
  }

  checkpoint(
    end: Position,
    state: () => CheckpointSource,
    now = false,
    done: () => void = () => {},
  ): void {
    const { mode, soon } = this.#options;
    // What the weaker modes have written may not be there after a loss of power.
    if (mode !== 'commit' || this.#segments.find(end) === undefined) {
      soon(done);
      return;
    }
    const identityOf = (base: Position) => this.#segments.find(base)?.identity;
    const behind = this.#index.of(end);
    const held = this.#segments.hold(end);
    this.#store.save(behind, now, state, identityOf, () => {
      done();
      this.#segments.readDone(held);
    });
  }
}
