// The log of this node through its changes of form, one after the other: opened anew as a copy, or
// set aside and begun again from what the other nodes have.

import type { Place } from '../core/cluster/counting.ts';
import { LocalLog, type LocalLogOptions } from './local-log.ts';

export interface LogTurnsOptions extends LocalLogOptions {
  local: LocalLog;
  /** A change failed: nothing can be done with the log. */
  failed: (failure: Error) => void;
}

export class LogTurns {
  readonly #options: LogTurnsOptions;
  #local: LocalLog;
  #turn: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(options: LogTurnsOptions) {
    this.#options = options;
    this.#local = options.local;
  }

  /** As it is now. */
  get local(): LocalLog {
    return this.#local;
  }

  /** Opens it anew, once nothing is on its way to it; then calls back. */
  reopen(then: () => void): void {
    this.#next(async () => {
      await this.#local.close();
      await this.#open(then);
    });
  }

  /** Sets it aside and begins it anew; then calls back with where that stands in the stream. */
  beginAnew(then: (place: Place | undefined) => void): void {
    const { folder, log, bases, around } = this.#options;
    this.#next(async () => {
      await this.#local.close();
      const aside = await folder.setLogAside(new Date());
      if (aside !== undefined)
        log.warn({ event: 'log.set-aside', folder: aside }, `the log of before is in ${aside} now`);
      const found = await bases.build(around.logId);
      await this.#open(() => then(found?.place));
    });
  }

  async #open(then: () => void): Promise<void> {
    if (this.#ended) return;
    this.#local = await LocalLog.open(this.#options);
    if (!this.#ended) then();
  }

  #next(change: () => Promise<void>): void {
    this.#turn = this.#turn.then(async () => {
      if (this.#ended) return;
      try {
        await change();
      } catch (error) {
        this.#options.failed(error as Error);
      }
    });
  }

  /** No change is begun any more; settles when the one under way is over. */
  end(): Promise<void> {
    this.#ended = true;
    return this.#turn;
  }
}
