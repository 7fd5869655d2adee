// Limits how much a heavy producer may put into one commit while a light producer is active, so
// that the light one never waits for more than one bounded commit.
//
// A batch is written and synced as one, and every producer in it waits for all of it. So while a
// light producer is active, the heavy ones share one batch of bounded cost, and go on in the next;
// the light one always finds room. A message larger than a quantum comes in every other batch at
// most, so that a newcomer does not wait for two of them, and large messages take half of the time
// at most. When all producers are heavy none is held back: the largest batches cost the least.
//
// A new bucket costs more than its record: memory, a place in the bucket index, and work in every
// segment index. So heavy producers make a bounded number of them in a tick, each about as many,
// and go on in the next. What they publish to buckets that exist is not held up by that.
//
//   open batch   | heavy | heavy | light |         heavy: waits when the batch has cost enough
//                |<---- BATCH_COST_MAX --|---- what the log allows ----|

import { costOf } from '../commit/cost.ts';
import type { InboundFrames } from '../ports/codec.ts';
import { BUCKET_HIGH, BUCKET_LOW, ROW_WORDS } from '../records/rows.ts';

/** A producer that puts more than this into one batch is heavy. */
export const LIGHT_COST_MAX = 64 * 1024;
/** What a batch may cost before heavy producers wait. */
export const BATCH_COST_MAX = 256 * 1024;
/** Longest rest after a large message, in ms. */
export const COOL_DOWN_MS_MAX = 25;
/** Ticks after which a light producer that published nothing more does not count. */
export const SHARED_TICKS = 20;
/** Messages that are taken before that is asked again, and QUANTUM_BYTES at most. */
export const QUANTUM_MESSAGES = 64;
/** Buckets that heavy producers may make together in a ms, while a light one is active. */
export const NEW_BUCKETS_PER_MS = 50;

/** What one producer puts into batches. */
export class Usage {
  #batch = -1;
  #cost = 0;
  #most = 0; // in one batch, since the last tick
  #heavy = false;
  /** Buckets that were not there, since the last tick; counted while it matters. */
  bucketsMade = 0;

  /** Messages went into the open batch, which is number `batch`. */
  add(batch: number, bytes: number, rows: number): void {
    if (batch !== this.#batch) this.#cost = 0;
    this.#batch = batch;
    this.#cost += costOf(bytes, rows);
    this.#most = Math.max(this.#most, this.#cost);
  }

  /** Whether it is heavy: of late, and until it has published little for a tick. */
  get heavy(): boolean {
    return this.#heavy || this.#most > LIGHT_COST_MAX;
  }

  /** Whether it has published something since the last call, and little of it. */
  tick(): boolean {
    const most = this.#most;
    this.#most = 0;
    this.bucketsMade = 0;
    if (most === 0) return false;
    this.#heavy = most > LIGHT_COST_MAX;
    return !this.#heavy;
  }
}

/** A producer, as far as it waits for room. */
export interface SharingProducer {
  /** Messages that were taken from it. */
  readonly messages: number;
  readonly usage: Usage;
  /** Whether its next message is larger than a quantum. */
  readonly large: boolean;
  /** There may be room again; it waits again if there is none. */
  roomAgain(): void;
}

/** The open batch of a commit. */
export interface OpenBatch {
  /** Tells it from the batches before. */
  readonly openNumber: number;
  /** What its messages cost. */
  readonly openCost: number;
  /** Whether what is left of the open segment must do until the next one can be begun. */
  readonly scarce: boolean;
  /** Whether a message larger than a quantum is being written. */
  readonly writesLarge: boolean;
}

/** What the share of each depends on. */
export interface FairShareParts {
  commit: OpenBatch;
  codec: Pick<InboundFrames, 'rows'>;
  /** Slot of a bucket, or 0: it is not there yet. */
  buckets: { find(low: number, high: number): number };
}

export class FairShare {
  readonly #parts: FairShareParts;
  #waiting: SharingProducer[] = [];
  #waitingToMakeBuckets: SharingProducer[] = []; // they wait for the next tick
  #ticks = 0; // for so many it is shared yet
  #largeTicks = 0; // for so many others publish large messages
  #coolingDown = false;
  #toMake = 0; // buckets, in this tick
  #share = 0; // of them, for each who made some in the last one

  constructor(parts: FairShareParts) {
    this.#parts = parts;
  }

  /** Whether a light producer is active: then messages are taken a quantum at a time. */
  get shared(): boolean {
    return this.#ticks > 0;
  }

  /** Whether others publish messages larger than a quantum meanwhile. */
  get large(): boolean {
    return this.#largeTicks > 0;
  }

  /** Whether time that passes changes anything. */
  get busy(): boolean {
    return this.#ticks > 0 || this.#largeTicks > 0 || this.#waitingToMakeBuckets.length > 0;
  }

  /** A producer's messages went into the open batch: the codec's first `rows` rows. */
  took(usage: Usage, bytes: number, rows: number): void {
    const { commit, codec, buckets } = this.#parts;
    usage.add(commit.openNumber, bytes, rows);
    if (!this.shared || !usage.heavy) return;
    const words = codec.rows;
    let made = 0;
    for (let at = 0; at < rows * ROW_WORDS; at += ROW_WORDS)
      if (buckets.find(words[at + BUCKET_LOW]!, words[at + BUCKET_HIGH]!) === 0) made++;
    usage.bucketsMade += made;
    this.#toMake -= made;
  }

  /** A large message took so long to write: gives how long the next one is to wait, in ms. */
  coolDown(ms: number): number {
    if (this.shared) this.#largeTicks = SHARED_TICKS;
    this.#coolingDown = this.shared && ms > 0;
    return this.#coolingDown ? Math.min(ms, COOL_DOWN_MS_MAX) : 0;
  }

  /** That time is over. */
  cooledDown(): void {
    this.#coolingDown = false;
  }

  /** Whether a producer that publishes much must wait: for a batch, a rest or a tick. */
  mustWait(producer: SharingProducer): boolean {
    if (!this.shared || !producer.usage.heavy) return false;
    const { commit } = this.#parts;
    if (commit.openCost >= BATCH_COST_MAX || commit.scarce) return true;
    if (producer.large && (this.#coolingDown || commit.writesLarge)) return true;
    return this.#hasMadeEnough(producer);
  }

  #hasMadeEnough({ usage }: SharingProducer): boolean {
    return this.#toMake <= 0 && usage.bucketsMade > this.#share;
  }

  /** Calls `roomAgain` of the producer when there may be room. */
  wait(producer: SharingProducer): void {
    if (this.shared && this.#hasMadeEnough(producer)) this.#waitingToMakeBuckets.push(producer);
    else this.#waiting.push(producer);
  }

  /**
   * There is room: those who wait take of it in turn. Who got some and waits again comes behind
   * those who got none.
   */
  roomAgain(): boolean {
    if (this.#waiting.length === 0) return false;
    const waiting = this.#waiting;
    const behind: SharingProducer[] = [];
    this.#waiting = [];
    for (const producer of waiting) {
      // To find that out itself it would move all it has to the inbox, and back.
      if (this.mustWait(producer)) {
        this.wait(producer);
        continue;
      }
      const before = producer.messages;
      producer.roomAgain();
      if (producer.messages > before && this.#waiting.at(-1) === producer)
        behind.push(this.#waiting.pop()!);
    }
    this.#waiting = this.#waiting.concat(behind);
    return true;
  }

  /**
   * So many ms have passed; `producers`: those who sent something meanwhile, and maybe others. True:
   * some need not wait any more.
   */
  tick(producers: Iterable<SharingProducer>, ms: number): boolean {
    const before = this.#ticks;
    this.#ticks = Math.max(0, before - 1);
    this.#largeTicks = Math.max(0, this.#largeTicks - 1);
    let makers = 0;
    for (const { usage } of producers) {
      if (usage.bucketsMade > 0) makers++;
      if (usage.tick()) this.#ticks = SHARED_TICKS;
    }
    const more = NEW_BUCKETS_PER_MS * ms;
    this.#toMake = Math.min(0, this.#toMake) + more;
    this.#share = more / Math.max(1, makers);
    const held = this.#waitingToMakeBuckets;
    this.#waitingToMakeBuckets = [];
    this.#waiting = this.#waiting.concat(held);
    return held.length > 0 || (before > 0 && this.#ticks === 0);
  }
}
