// Pauses that an earlier version kept in a file beside the log: they become settings of the log,
// and then the file goes. Until it is gone none of them can be resumed: a start after a crash would
// read it again.

import type { Failure } from './ports/basics.ts';
import type { Notices } from './ports/notices.ts';

/** What such a file says. */
export interface Earlier {
  /** What the file is called. */
  readonly name: string;
  /** Ids of buckets. */
  readonly ids: readonly string[];
  /** Removes the file; `done` comes, in a later turn, when that is durable, or with why it is not. */
  remove(done: (failure: Failure) => void): void;
}

/** How pauses get into the log. */
interface Taking {
  readonly notices: Notices;
  isDurable(id: string): boolean;
  /** Packs one; false: there is no room for it just now. */
  store(id: string): boolean;
  /** The file is gone. */
  done(): void;
}

export class EarlierPauses {
  readonly #earlier: Earlier;
  readonly #taking: Taking;
  readonly #ids: ReadonlySet<string>;
  readonly #left: string[]; // not packed yet
  #isRemoving = false;
  #failure: string | undefined;

  constructor(earlier: Earlier, taking: Taking) {
    this.#earlier = earlier;
    this.#taking = taking;
    this.#ids = new Set(earlier.ids);
    this.#left = [...this.#ids].filter((id) => !taking.isDurable(id));
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Why one of them cannot be resumed just now. The file, if it is still there, is tried again. */
  hold(): string {
    const { name } = this.#earlier;
    if (this.#failure !== undefined) {
      const why = `its pause stands in ${name}, which cannot be removed (${this.#failure}): remove it, and ask again`;
      this.#remove();
      return why;
    }
    const full = this.#left.length > 0 ? ', as soon as the disk has room for it' : '';
    return `its pause is being taken over from ${name}${full}: ask again then`;
  }

  /** Goes on, as far as there is room. */
  goOn(): void {
    while (this.#left.length > 0) {
      if (!this.#taking.store(this.#left.at(-1)!)) return;
      this.#left.pop();
    }
    if (this.#isRemoving || ![...this.#ids].every((id) => this.#taking.isDurable(id))) return;
    this.#remove();
  }

  #remove(): void {
    this.#isRemoving = true;
    this.#failure = undefined;
    this.#earlier.remove((failure) => {
      const { notices, done } = this.#taking;
      const { name } = this.#earlier;
      this.#failure = failure?.message;
      if (failure === undefined) {
        const text = `the buckets that ${name} says are paused (${this.#ids.size}) are paused by the log now, and the file is gone`;
        notices.notice('info', 'pauses.taken-over', text);
        done();
        return;
      }
      const text = `${name} cannot be removed: ${failure.message}. The log says by now which buckets are paused; remove the file, or those that it names are paused again at the next start`;
      notices.notice('warn', 'pauses.left', text);
    });
  }
}
