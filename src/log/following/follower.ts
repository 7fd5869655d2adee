// A log that somebody else goes on writing: whole commit batches come, a few at a time, are looked
// at by the rules of a recovery, written and synced here, and only then become state. So a copy is
// what a start would read from it, at any time, and who is to be the owner goes on as after one.
//
//   apply ─► checked ─► room for it ─► written and synced ─► state ─► LAST: rolled, indexed ─► done
//
// What comes together is written and synced together: nobody waits for a copy's disk, and syncs are
// what it costs. A batch that says PROOF claims that all before it was synced first, which is not
// true here then: a start takes damage in what was written last for a tear (LogOptions.syncedTo).
// One that says LAST waits until the next segment is there, and ends what is written together.

import { RECORD_HEADER_BYTES, SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import type { Failure, Position } from '../../core/ports/basics.ts';
import type { Resume } from '../../core/ports/journal.ts';
import type { State } from '../../core/segments/state.ts';
import type { InMemory } from '../../core/segments/state-builder.ts';
import { FileLog } from '../file-log.ts';
import type { LogOptions } from '../recovery/log-options.ts';
import type { Recovered } from '../recovery/recovery.ts';
import type { FollowedBatch } from './batch.ts';
import { FollowedUpkeep } from './followed-upkeep.ts';
import { type Group, gather } from './gathering.ts';
import { EndlessReplay } from './replay.ts';

export interface FollowerOptions {
  /** Of the folder that the copy is in; `isCopy` need not be said. */
  log: LogOptions;
  /** What is read goes in here: empty, and the broker's when the log is taken over. */
  state: State<unknown>;
  /** Records of messages in a segment, about: memory has an entry of each. */
  segmentEntriesMax: number;
}

/** What a broker begins with, as after a start. */
export interface TakenOver {
  resume: Resume;
  inMemory: readonly InMemory[];
}

/** Two records of a broker that is about to begin, and what closes a segment. */
const CLOSING_BYTES = 4 * RECORD_HEADER_BYTES;

/** How many of the batches are applied, or why none can be. */
export type Applied = (failure: Failure, count: number) => void;

export class Follower {
  readonly log: FileLog;
  /** What the start found. */
  readonly recovered: Recovered;
  readonly #options: FollowerOptions;
  readonly #replay: EndlessReplay;
  readonly #upkeep: FollowedUpkeep;
  #resume: Resume;
  #isBegun: boolean;
  #failure: Error | undefined;
  #busy = false;
  #over = false;
  #waiting: (() => void) | undefined; // goes on when something has changed
  #turning = false;

  private constructor(
    options: FollowerOptions,
    replay: EndlessReplay,
    { log, resume, recovered }: Awaited<ReturnType<typeof FileLog.open>>,
  ) {
    this.#options = options;
    this.#replay = replay;
    this.log = log;
    this.recovered = recovered;
    // Its own life begins when it is taken over.
    this.#resume = { ...resume, epoch: resume.epoch - 1 };
    this.#isBegun = recovered.records > 0 || replay.builder.nextSequence > 1;
    const { wallMs, soon, note } = options.log;
    this.#upkeep = new FollowedUpkeep({
      log,
      replay,
      state: options.state,
      segmentEntriesMax: options.segmentEntriesMax,
      wallMs,
      soon,
      note,
      at: () => ({ base: this.#resume.base, end: this.end }),
      changed: () => this.#changed(),
      failed: (failure) => this.#failed(failure),
    });
    log.listen({
      segmentChanged: () => this.#changed(),
      failed: (failure) => this.#failed(failure),
      wrote: () => {},
    });
  }

  #failed(failure: Error): void {
    this.#failure ??= failure;
    this.#changed();
  }

  /**
   * Opens the copy in a folder, or begins one. Throws LogError: `other` if it holds another log, or
   * one of another layout; else as FileLog.open does.
   */
  static async open(options: FollowerOptions): Promise<Follower> {
    const replay = new EndlessReplay(options.state);
    const opened = await FileLog.open({ ...options.log, isCopy: true }, replay);
    return new Follower(options, replay, opened);
  }

  /** Where the next batch has to stand. */
  get end(): Position {
    return this.#resume.base + this.#resume.offset;
  }

  /** Which life wrote the last batch; 0: none did. */
  get epoch(): number {
    return this.#resume.epoch;
  }

  /** Sequence number behind the last batch. */
  get sequence(): number {
    return this.#resume.sequence;
  }

  /** Compactions of its own that made something smaller. */
  get compactions(): number {
    return this.#upkeep.compactions;
  }

  /** Whether marks left it open how much some segments hold: as counted, or less. */
  get isInDoubt(): boolean {
    return this.#replay.isInDoubt;
  }

  /** Why nothing is followed any more. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Takes the next batches, or the first few; their bytes are copied within the call. `done` comes
   * later, when so many are on disk and part of the state: at least one, or it failed. After
   * LogError `damaged` or `version` nothing has changed: the first one was none of this log. After
   * any other failure all further ones fail, too. One call at a time.
   */
  apply(batches: readonly FollowedBatch[], done: Applied): void {
    const { soon } = this.#options.log;
    const failure = this.#failure ?? this.#refusal();
    if (failure !== undefined) {
      soon(() => done(failure, 0));
      return;
    }
    let group: Group;
    try {
      const behind = { resume: this.#resume, isBegun: this.#isBegun };
      group = gather(batches, this.#options.log.codec, this.#replay, behind);
    } catch (error) {
      soon(() => done(error as Error, 0));
      return;
    }
    this.#busy = true;
    this.#when(
      () => !group.last || (this.log.nextReady() && !this.#upkeep.lags),
      () => this.#write(group, done),
      (failed) => done(failed, 0),
    );
  }

  #refusal(): Error | undefined {
    if (this.#over) return new Error('the log was taken over: nothing is followed any more');
    return this.#busy ? new Error('bug: two batches at once') : undefined;
  }

  #write(group: Group, done: Applied): void {
    this.log.append(group.position, group.bytes, (failure) => {
      this.#busy = false;
      if (failure !== undefined) {
        this.#failure ??= failure;
        this.#replay.drop();
        done(this.#failure, 0);
        return;
      }
      this.#durable(group);
      done(undefined, group.count);
    });
  }

  #durable({ bytes, epoch, last, sequence, trim }: Group): void {
    const { offset } = this.#resume;
    this.#resume = { ...this.#resume, offset: offset + bytes, epoch, sequence };
    this.#isBegun = true;
    this.log.epoch = epoch;
    this.#replay.commit();
    if (trim > 0) {
      this.#replay.builder.trimmed(trim);
      this.log.trim(trim);
    }
    if (last) this.#roll();
  }

  #roll(): void {
    const base = this.#resume.base + this.#resume.segmentBytes;
    const { segmentBytes } = this.log;
    this.#resume = { ...this.#resume, base, offset: SEGMENT_DATA_AT, segmentBytes, places: true };
    this.log.roll(base);
    this.#replay.segment(base);
    this.#upkeep.opened(base);
  }

  /** Monotonic time in ms; about ten times a second. Keeps the log small. */
  advance(nowMs: number): void {
    if (this.#over || this.#failure !== undefined) return;
    this.#upkeep.advance(nowMs);
  }

  /**
   * Gives what a broker begins with as the owner, with an epoch above that of any batch; the log
   * is its own from then on, and nothing can be followed any more. Waits for what is under way
   * beside the batches, and for room for what a broker begins with. Fails where the log failed.
   */
  takeOver(epoch: number, done: (failure: Failure, taken?: TakenOver) => void): void {
    const { soon } = this.#options.log;
    const isLater = epoch > this.epoch;
    const why = isLater ? undefined : `epoch ${epoch} is no later one than ${this.epoch}`;
    const failure =
      this.#failure ?? this.#refusal() ?? (why === undefined ? undefined : new Error(why));
    if (failure !== undefined) {
      soon(() => done(failure));
      return;
    }
    this.#busy = true;
    const isRoomy = () =>
      this.#resume.segmentBytes - this.#resume.offset >= CLOSING_BYTES || this.log.nextReady();
    soon(() =>
      this.#when(
        () => this.#upkeep.end() && isRoomy(),
        () => {
          this.#over = true;
          this.#replay.finished();
          this.#resume = { ...this.#resume, epoch };
          done(undefined, { resume: this.#resume, inMemory: this.#replay.builder.inMemory });
        },
        done,
      ),
    );
  }

  #when(ready: () => boolean, call: () => void, failed: (failure: Failure) => void): void {
    const look = () => {
      if (this.#failure !== undefined) {
        this.#busy = false;
        failed(this.#failure);
      } else if (ready()) call();
      else this.#waiting = look;
    };
    look();
  }

  // Whoever says so may be in the middle of its work.
  #changed(): void {
    if (this.#turning || this.#waiting === undefined) return;
    this.#turning = true;
    this.#options.log.soon(() => {
      this.#turning = false;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.();
    });
  }

  /** Ends what is under way and closes the files; no batch may be on its way. */
  close(): Promise<void> {
    this.#over = true;
    return this.log.close();
  }
}
