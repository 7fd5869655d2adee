// The log of this node in the form that it has at a time: a copy that follows the owner's, or the
// owner's own. It becomes one or the other without being read again; from an owner's it becomes a
// copy again only by being opened anew, as what an owner has in memory may be more than is on disk.

import type { BrokerConfig } from '../config/load.ts';
import type { StartSnapshot } from '../contract/snapshot.ts';
import type { CountedBatch, Place } from '../core/cluster/counting.ts';
import type { Failure, Position } from '../core/ports/basics.ts';
import type { DataFolder } from '../data-folder.ts';
import { openHealing } from '../healing.ts';
import type { Logger } from '../io/logger.ts';
import { type Applied, Follower } from '../log/following/follower.ts';
import { type Publisher, ShippedJournal, ShippedSpace } from '../log/following/shipped-journal.ts';
import {
  emptyState,
  logOptions,
  type OpenedLog,
  type Surroundings,
  tellRecovered,
} from '../opening.ts';
import type { Bases } from './bases.ts';

export interface LocalLogOptions {
  config: BrokerConfig;
  log: Logger;
  folder: DataFolder;
  /** With the LOG_ID of the cluster. */
  around: Surroundings;
  bases: Bases;
  /** Up to where the log here was synced at an earlier time; undefined: nobody remembers. */
  syncedTo: () => Position | undefined;
  progress?: ((progress: StartSnapshot) => void) | undefined;
}

const soon = (call: () => void) => void setImmediate(call);

export class LocalLog {
  readonly follower: Follower;
  /** Where it stands in the stream, if it was damaged and is built anew of a base. */
  readonly built: Place | undefined;
  readonly #options: LocalLogOptions;
  readonly #state: ReturnType<typeof emptyState>;
  readonly #report: OpenedLog['report'];
  #journal: ShippedJournal | undefined;
  // What is under way and uses the files.
  #applying = 0;
  #rested: (() => void)[] = [];

  /** Throws as Follower.open and Bases.build do; a damaged log is set aside, and built anew. */
  static open(options: LocalLogOptions): Promise<LocalLog> {
    const { config, folder, around, bases } = options;
    const { codec } = around;
    let isAgain = false;
    return openHealing(
      folder,
      options.log,
      () => new Date(),
      async (traces) => {
        const found = isAgain ? await bases.build(around.logId) : undefined;
        isAgain = true;
        const begun = performance.now();
        // Nothing of an earlier form may be taken for what the segment holds.
        codec.memory.fill(0, codec.coldBytes, codec.coldBytes + config.limits.segmentBytes);
        const state = emptyState(config);
        const follower = await Follower.open({
          log: { ...logOptions(options, folder, around), traces, syncedTo: options.syncedTo() },
          state,
          segmentEntriesMax: config.limits.segmentEntriesMax,
        });
        const messages = follower.recovered.resume.sequence - 1;
        const report = tellRecovered(options.log, follower.recovered, messages, begun);
        const built = found?.place;
        return new LocalLog({ ...options, follower, built, state, report });
      },
    );
  }

  private constructor(
    parts: LocalLogOptions &
      Pick<LocalLog, 'follower' | 'built'> &
      Pick<OpenedLog, 'report'> & { state: ReturnType<typeof emptyState> },
  ) {
    this.#options = parts;
    this.follower = parts.follower;
    this.built = parts.built;
    this.#state = parts.state;
    this.#report = parts.report;
  }

  /** Behind the last batch on disk: of a copy; of an owner's log, what is synced. */
  get end(): Position {
    return this.#journal === undefined ? this.follower.end : this.#journal.syncedPosition;
  }

  get failure(): Error | undefined {
    return this.follower.failure;
  }

  /** Whether a batch is on its way to the disk. */
  get isWriting(): boolean {
    return this.#applying > 0 || this.#journal?.isWriting === true;
  }

  /**
   * Takes batches that count, or the first few of them: writes them, or, if the first is there
   * already, compares what can be.
   */
  apply(batches: readonly CountedBatch[], done: Applied): void {
    const [first] = batches;
    if (first !== undefined && first.position < this.follower.end) {
      soon(() => done(this.#compare(first), 1));
      return;
    }
    this.#applying++;
    this.follower.apply(batches, (failure, count) => {
      this.#under(-1);
      done(failure, count);
    });
  }

  // Complete segments may have been made smaller here, so records stand elsewhere. The open one is
  // in memory as it is on disk.
  #compare({ position, bytes }: CountedBatch): Failure {
    const { log } = this.follower;
    if (position < log.bases().at(-1)!) return undefined;
    const here = log.placeOf(position, bytes.length);
    if (here.every((byte, i) => byte === bytes[i])) return undefined;
    return new Error(`the log here has another batch at position ${position} than the stream`);
  }

  /** To be called about ten times a second while it is a copy: keeps it small. */
  advance(nowMs: number): void {
    if (this.#journal === undefined) this.follower.advance(nowMs);
  }

  /**
   * Makes it the owner's, as of `epoch`: each batch goes to `publisher` first. Rejects where the
   * log failed.
   */
  takeOver(epoch: number, publisher: Publisher): Promise<OpenedLog> {
    const { follower } = this;
    const { around } = this.#options;
    this.#applying++;
    return new Promise((resolve, reject) => {
      follower.takeOver(epoch, (failure, taken) => {
        this.#under(-1);
        if (failure !== undefined || taken === undefined) {
          reject(failure);
          return;
        }
        const { log } = follower;
        const journal = new ShippedJournal(log, publisher, soon);
        this.#journal = journal;
        resolve({
          codec: around.codec,
          log,
          ports: { ...log.ports, journal, space: new ShippedSpace(log, publisher) },
          foreground: around.foreground,
          state: this.#state,
          recovered: [taken.resume, taken.inMemory],
          report: this.#report,
        });
      });
    });
  }

  /** Somebody else owns the log: nothing is called done any more. */
  depose(failure: Error): void {
    this.#journal?.fail(failure);
  }

  #under(change: number): void {
    this.#applying += change;
    if (this.#applying === 0) for (const call of this.#rested.splice(0)) call();
  }

  /** Closes the files once nothing is on its way to them. */
  async close(): Promise<void> {
    if (this.#applying > 0) await new Promise<void>((resolve) => this.#rested.push(resolve));
    const journal = this.#journal;
    if (journal !== undefined) await new Promise<void>((resolve) => journal.whenRested(resolve));
    await this.follower.close();
  }
}
