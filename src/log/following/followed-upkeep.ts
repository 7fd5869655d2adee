// What a log that is followed needs beside its batches: indexes of complete segments and their
// entries released, smaller segments, checkpoints, and ids that are over. All of it goes by what
// was applied here: each copy of a log is kept small by itself, none by what another one says.

import type { Failure, Position } from '../../core/ports/basics.ts';
import { Compaction } from '../../core/segments/compaction.ts';
import { IdWindows } from '../../core/segments/id-windows.ts';
import { Indexing } from '../../core/segments/indexing.ts';
import { checkpointOf, type State } from '../../core/segments/state.ts';
import type { FileLog } from '../file-log.ts';
import { isGivenUp } from '../index/given-up.ts';
import type { EndlessReplay } from './replay.ts';

export interface FollowedUpkeepOptions {
  log: FileLog;
  replay: EndlessReplay;
  state: State<unknown>;
  /** Records of messages in a segment, about: memory has an entry of each. */
  segmentEntriesMax: number;
  wallMs: () => number;
  /** Calls back in a turn of its own. */
  soon: (call: () => void) => void;
  /** A line for the operator. */
  note: (level: 'warn', text: string) => void;
  /** Where the log ends: all before that is durable. */
  at: () => { base: Position; end: Position };
  /** Something ended that somebody may wait for. */
  changed: () => void;
  /** It cannot be known what the log holds. */
  failed: (failure: Error) => void;
}

const RETRY_MS = 1000;

export class FollowedUpkeep {
  readonly #options: FollowedUpkeepOptions;
  readonly #indexing: Indexing;
  readonly #compaction: Compaction;
  readonly #windows: IdWindows;
  #counting = false;
  #ending = false;
  #retriedMs = 0;
  #stepping = false;

  /** Over a log that was just opened. */
  constructor(options: FollowedUpkeepOptions) {
    this.#options = options;
    const { log, replay, state, segmentEntriesMax, note } = options;
    const { buckets, retention, times } = state;
    const { builder } = replay;
    this.#windows = new IdWindows(state, options.wallMs);
    this.#indexing = new Indexing({
      buckets,
      retention,
      index: log.ports.index,
      dueLog: log.ports.due,
      dueTimes: {
        entriesOf: (base) => builder.inMemory.find((each) => each.base === base)?.due,
        indexed: (base) => {
          const found = builder.inMemory.find((each) => each.base === base);
          if (found !== undefined) delete found.due;
        },
      },
      indexed: () => this.#indexed(),
      failed: (base, failure) => {
        // Of a log that is closed nobody needs it: a start makes it.
        if (!isGivenUp(failure))
          note('warn', `the index of the segment at ${base} cannot be written: ${failure.message}`);
        options.changed();
      },
      soon: () => this.#stepSoon(),
    });
    for (const { base, from } of builder.inMemory) this.#indexing.open(base, from);
    this.#compaction = new Compaction({
      buckets,
      retention,
      times,
      space: log.ports.space,
      upkeep: log.ports.upkeep,
      memoryFrom: () => this.#indexing.memoryFrom,
      entriesMax: segmentEntriesMax,
      moved: (base, end) => builder.merged(base, end),
      ended: (failure, smaller) => this.#compacted(failure, smaller),
      isAwaited: () => this.#ending,
    });
  }

  /** Whether memory has no room for the entries of a further segment. */
  get lags(): boolean {
    return this.#indexing.lag !== 'none';
  }

  /** Compactions that made something smaller. */
  get compactions(): number {
    return this.#compaction.count;
  }

  /** The log goes on in the segment at `base`, of which the state knows. */
  opened(base: Position): void {
    const { inMemory } = this.#options.replay.builder;
    this.#indexing.open(base, inMemory.at(-1)!.from);
  }

  /** Monotonic time. Begins what is worth it. */
  advance(nowMs: number): void {
    const { log, state } = this.#options;
    state.retention.nowMs = nowMs;
    this.#windows.advance(nowMs);
    this.#shrinkIds();
    this.#indexing.advance(nowMs);
    if (nowMs - this.#retriedMs >= RETRY_MS) {
      this.#retriedMs = nowMs;
      log.retry();
    }
    if (!this.#counting && !this.#ending) this.#compaction.advance(nowMs, log.full);
  }

  // What is on its way and fails is tried again with the windows.
  #shrinkIds(): void {
    const { state, at, wallMs } = this.#options;
    if (!state.ids.isLarge || state.ids.isLeaving || this.#ending) return;
    const { base, end } = at();
    state.ids.shrink(base, end, wallMs(), () => {});
  }

  /**
   * Whether all has ended that was begun, and nothing is in doubt: then somebody else may go on.
   * From the first call on nothing is begun but what that needs; `changed` comes when it is so.
   */
  end(): boolean {
    this.#ending = true;
    while (this.#indexing.releasing) this.#indexing.step();
    if (!this.#indexing.rests || this.#compaction.running || this.#counting) return false;
    if (!this.#options.replay.isInDoubt) return true;
    this.#count(() => {});
    return false;
  }

  #stepSoon(): void {
    if (this.#stepping) return;
    this.#stepping = true;
    this.#options.soon(() => {
      this.#stepping = false;
      this.#indexing.step();
    });
  }

  // Entries of the oldest segment in memory were released.
  #indexed(): void {
    this.#options.replay.builder.inMemory.shift();
    this.#save(false);
    this.#options.changed();
  }

  // A checkpoint says how much each segment holds, so nothing may be in doubt.
  #save(now: boolean): void {
    if (!this.#options.replay.isInDoubt) this.#checkpoint(now);
    else if (!this.#counting && !this.#compaction.running) this.#count(() => this.#checkpoint(now));
  }

  #checkpoint(now: boolean): void {
    const { log, state, replay } = this.#options;
    const { memoryFrom } = this.#indexing;
    const { nextSequence } = replay.builder;
    log.upkeep.checkpoint(
      memoryFrom,
      () => checkpointOf(state, log.startPosition, memoryFrom, nextSequence, true),
      now,
    );
  }

  #count(then: () => void): void {
    this.#counting = true;
    const end = () => {
      this.#counting = false;
      this.#options.changed();
    };
    this.#options.replay.count().then(
      () => {
        // What was followed meanwhile may have left more in doubt.
        if (!this.#options.replay.isInDoubt) then();
        end();
      },
      (failure: Error) => {
        this.#counting = false;
        this.#options.failed(failure);
      },
    );
  }

  #compacted(failure: Failure, smaller: boolean): void {
    if (smaller) this.#save(true);
    if (failure !== undefined)
      this.#options.note('warn', `segments cannot be made smaller: ${failure.message}`);
    this.#options.changed();
  }
}
