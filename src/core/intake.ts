// How much of a producer's messages goes into the open batch, and in which order those go on that
// had to wait. A batch is written and synced as one, and whoever is in it waits for all of it. So
// while somebody publishes little, those who publish much share one batch of bounded cost, and go
// on in the next; who publishes little always finds room. When all publish much nobody is held
// back: the largest batches cost the least.
//
//   open batch   | much | much | little |            much: waits when the batch has cost enough
//                |<--- BATCH_COST_MAX ---|---- what the log allows ----|

/** What a record costs beside its bytes, for its entry and index: so many bytes' time. */
export const ROW_COST = 2048;
/** Who puts more than this into one batch publishes much. */
export const LITTLE_COST_MAX = 64 * 1024;
/** What a batch may cost before those wait who publish much. */
export const BATCH_COST_MAX = 256 * 1024;
/** Ticks after which nobody counts any more who published little. */
export const SHARED_TICKS = 20;
/** What is taken before that is asked again. */
export const PORTION_BYTES = 128 * 1024;
export const PORTION_MESSAGES = 64;

/** What messages cost that take so many bytes and records. */
export function costOf(bytes: number, rows: number): number {
  return bytes + rows * ROW_COST;
}

/** What one producer puts into batches. */
export class Spending {
  #batch = -1;
  #cost = 0;
  #most = 0; // in one batch, since the last tick
  #much = false;

  /** Messages went into the open batch, which is number `batch`. */
  add(batch: number, bytes: number, rows: number): void {
    if (batch !== this.#batch) this.#cost = 0;
    this.#batch = batch;
    this.#cost += costOf(bytes, rows);
    this.#most = Math.max(this.#most, this.#cost);
  }

  /** Whether it publishes much: of late, and until it has published little for a tick. */
  get much(): boolean {
    return this.#much || this.#most > LITTLE_COST_MAX;
  }

  /** Whether it has published something since the last call, and little of it. */
  tick(): boolean {
    const most = this.#most;
    this.#most = 0;
    if (most === 0) return false;
    this.#much = most > LITTLE_COST_MAX;
    return !this.#much;
  }
}

/** A producer, as far as it waits for room. */
export interface Waiting {
  /** Messages that were taken from it. */
  readonly messages: number;
  readonly spending: Spending;
  /** There may be room again; it waits again if there is none. */
  room(): void;
}

/** The open batch of a commit. */
export interface OpenBatch {
  /** What its messages cost. */
  readonly openCost: number;
  /** Whether what is left of the open segment must do until the next one can be begun. */
  readonly scarce: boolean;
}

export class Intake {
  readonly #commit: OpenBatch;
  #waiting: Waiting[] = [];
  #ticks = 0; // for so many it is shared yet

  constructor(commit: OpenBatch) {
    this.#commit = commit;
  }

  /** Whether somebody publishes little: then messages are taken in portions. */
  get shared(): boolean {
    return this.#ticks > 0;
  }

  /** Whether a producer that publishes much must wait for the next batch. */
  mustWait({ spending }: Waiting): boolean {
    if (!this.shared || !spending.much) return false;
    return this.#commit.openCost >= BATCH_COST_MAX || this.#commit.scarce;
  }

  /** Calls `room` of the producer when there may be room. */
  wait(producer: Waiting): void {
    this.#waiting.push(producer);
  }

  /**
   * There is room: those who wait take of it in turn. Who got some and waits again comes behind
   * those who got none.
   */
  roomAgain(): boolean {
    if (this.#waiting.length === 0) return false;
    const waiting = this.#waiting;
    const behind: Waiting[] = [];
    this.#waiting = [];
    for (const producer of waiting) {
      const before = producer.messages;
      producer.room();
      if (producer.messages > before && this.#waiting.at(-1) === producer)
        behind.push(this.#waiting.pop()!);
    }
    this.#waiting.push(...behind);
    return true;
  }

  /** Time passes; `producers`: all of them. True: nobody has to wait any more. */
  tick(producers: Iterable<Waiting>): boolean {
    const before = this.#ticks;
    this.#ticks = Math.max(0, before - 1);
    for (const { spending } of producers) if (spending.tick()) this.#ticks = SHARED_TICKS;
    return before > 0 && this.#ticks === 0;
  }
}
