// Compaction of a log in service: has the compacted segment written (compact.ts), puts it into the
// place of the old ones for everybody who reads, and sees to it that their files are used again.

import type { Position } from '../../core/ports/basics.ts';
import type { CompactionRequest } from '../../core/ports/upkeep.ts';
import type { DueSource } from '../../core/records/due.ts';
import { closedError } from '../files/errors.ts';
import type { Files } from '../files/files.ts';
import type { Throttle } from '../files/throttle.ts';
import type { IndexStore } from '../index/index-store.ts';
import type { Indexed } from '../index/indexed.ts';
import type { ReadCache } from '../read-cache/read-cache.ts';
import type { Segment, Segments } from '../segments/segments.ts';
import { compact } from './compact.ts';
import { abandon, type Compacted, removeReplaced, swap } from './swap.ts';

export interface CompactorOptions {
  files: Files;
  segments: Segments;
  cold: ReadCache;
  store: IndexStore;
  due: {
    replace(base: Position, entries: DueSource): void;
    drop(base: Position): void;
  };
  ids: {
    compacted(base: Position, end: Position, identity: number, bases: readonly Position[]): void;
  };
  logId: bigint;
  wallMs: () => number;
  pace: Throttle;
  /** Everything before it is on disk. */
  synced: () => Position;
  /** The segment that stands for a position. */
  indexed: (base: Position) => Indexed;
  /** What had to wait while a segment took another one's name may go on. */
  swapped: () => void;
}

export class Compactor {
  readonly #options: CompactorOptions;
  #working: Promise<unknown> = Promise.resolve();
  #closed = false;
  /** Whether a segment is taking another one's name; until that is durable, none is given back. */
  swapping = false;
  /** Whether a file may have a name whose segment is not the one in the list yet. */
  renaming = false;

  constructor(options: CompactorOptions) {
    this.#options = options;
  }

  /** Makes one segment of several; false: it would not have been smaller, nothing changed. */
  compact(request: CompactionRequest): Promise<boolean> {
    const work = this.#compact(request);
    this.#working = work.catch(() => {});
    return work;
  }

  /** Ends what is under way at its next pause. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
  }

  async #compact({ bases, moved, hurry, ...fates }: CompactionRequest): Promise<boolean> {
    const { files, segments, store, pace, logId, wallMs, synced, indexed } = this.#options;
    if (this.#closed) throw closedError();
    const sources = bases.map(indexed);
    const newest = segments.find(bases.at(-1)!);
    if (newest === undefined || synced() < newest.end) return false;
    const held = bases.map((base) => segments.hold(base));
    const into = segments.lend();
    let made: Compacted | undefined;
    try {
      made = await store.alone((codec) =>
        compact({
          ...fates,
          files,
          codec,
          logId,
          segments: sources,
          into,
          wallMs,
          pace,
          turn: () => this.#pace(hurry()),
        }),
      );
      if (made !== undefined && (this.#closed || held.some(({ retired }) => retired))) {
        await abandon(files, made, into);
        made = undefined;
      }
      if (made === undefined) return false;
      this.swapping = true;
      segments.returned(true); // whatever becomes of the new name
      this.renaming = true;
      await swap(files, made);
    } catch (error) {
      this.renaming = false;
      this.#swapped();
      throw error;
    } finally {
      if (!this.swapping) segments.returned(false);
      for (const segment of held) segments.readDone(segment);
    }
    const replaced = this.#replace(made, moved);
    this.renaming = false;
    try {
      await removeReplaced(files, made, (name) => this.#giveBack(replaced, name));
    } catch (error) {
      // Without power their names may come to count again: they stay for the next start to remove.
      for (const each of replaced.values())
        if (!each.retired) segments.retire(each, true, () => {});
      throw error;
    } finally {
      this.#swapped();
    }
    return true;
  }

  #replace(made: Compacted, moved: CompactionRequest['moved']): Map<string, Segment> {
    const { segments, cold, store, due, ids, indexed } = this.#options;
    const { base, bytes, end, handle, identity, places, entries } = made;
    const segment = { base, bytes, end, handle, identity, places, reads: 0, retired: false };
    const replaced = new Map<string, Segment>();
    const old = segments.replace(segment);
    cold.forget(base, end);
    store.replace(indexed(base), entries);
    due.replace(base, made.due);
    ids.compacted(
      base,
      end,
      identity,
      old.map((each) => each.base),
    );
    moved(base, end, entries);
    for (const [i, each] of old.entries()) {
      if (each.base !== base) store.drop(each.base);
      if (each.base !== base) due.drop(each.base);
      if (i === 0) segments.retire(each, true, () => {});
      else replaced.set(made.replaced[i - 1]!, each);
    }
    return replaced;
  }

  #giveBack(replaced: Map<string, Segment>, name: string): Promise<void> {
    const { segments } = this.#options;
    return new Promise((resolve) => segments.retire(replaced.get(name)!, false, resolve));
  }

  #swapped(): void {
    this.swapping = false;
    this.#options.swapped();
  }

  // Leaves most of the time of disk and processor to everything else.
  #pace(hurry: boolean): Promise<void> {
    if (this.#closed) return Promise.reject(closedError());
    const { pace } = this.#options;
    return new Promise((resolve) => pace.later(resolve, hurry));
  }
}
