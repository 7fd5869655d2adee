// Tells whoever follows messages what becomes of them. Where nobody does, it costs one branch for
// each batch and slice; an observer that throws is left out from then on, and the broker goes on.

import { KIND_SETTINGS } from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import type { Position } from '../ports/basics.ts';
import type { Notices } from '../ports/notices.ts';
import type {
  DeferredCause,
  Holder,
  Observer,
  RequeuedCause,
  Run,
  SettledCause,
} from '../ports/observer.ts';
import { kindOf } from '../records/placed.ts';
import {
  ATTEMPTS,
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  OFFSET,
  ROW_WORDS,
  type RowList,
  sequenceOf,
} from '../records/rows.ts';

/** Records of messages that are written together, from `base` on. */
interface Written {
  readonly base: Position;
  readonly rows: Pick<RowList, 'words' | 'count'>;
}

export interface FollowingOptions {
  readonly buckets: Pick<Buckets<unknown>, 'placeOf'>;
  readonly notices: Notices;
}

/** Callers ask `active` first. */
export class Following {
  #observer: Observer | undefined;
  readonly #buckets: FollowingOptions['buckets'];
  readonly #notices: Notices;
  // The one that is told, again and again.
  readonly #run: Run = {
    bucketLow: 0,
    bucketHigh: 0,
    sequence: 0,
    count: 0,
    position: 0,
    bytes: 0,
    attempts: 0,
  };

  constructor(observer: Observer | undefined, { buckets, notices }: FollowingOptions) {
    this.#observer = observer;
    this.#buckets = buckets;
    this.#notices = notices;
  }

  /** Whether anybody follows. */
  get active(): boolean {
    return this.#observer?.active === true;
  }

  /** A batch is complete. */
  sealed(batch: Written): void {
    this.#each(batch, (observer, run) => observer.sealed(run));
  }

  /** A batch is on disk. */
  durable(batch: Written): void {
    this.#each(batch, (observer, run) => observer.durable(run));
  }

  /** A part is being sent. */
  delivered(part: Slice, to: Holder | undefined): void {
    this.#one(part, 0, part.count, (observer, run) => observer.delivered(run, to));
  }

  /** The `count` messages of a part behind its first `at` are gone. */
  settled(
    part: Slice,
    at: number,
    count: number,
    cause: SettledCause,
    by: Holder | undefined,
  ): void {
    this.#one(part, at, count, (observer, run) => observer.settled(run, cause, by));
  }

  /** The `count` messages of a part behind its first `at` are ready again. */
  requeued(
    part: Slice,
    at: number,
    count: number,
    attempts: number,
    cause: RequeuedCause,
    by: Holder | undefined,
  ): void {
    this.#one(part, at, count, (observer, run) => {
      run.attempts = attempts;
      observer.requeued(run, cause, by);
    });
  }

  /** The `count` messages of a part behind its first `at` are put off. */
  deferred(
    part: Slice,
    at: number,
    count: number,
    attempts: number,
    cause: DeferredCause,
    by: Holder | undefined,
  ): void {
    this.#one(part, at, count, (observer, run) => {
      run.attempts = attempts;
      observer.deferred(run, cause, by);
    });
  }

  #each({ base, rows }: Written, tell: (observer: Observer, run: Run) => void): void {
    const { words, count } = rows;
    const run = this.#run;
    for (let at = 0; at < count * ROW_WORDS; at += ROW_WORDS) {
      if (kindOf(words, at) === KIND_SETTINGS) continue;
      run.bucketLow = words[at + BUCKET_LOW]!;
      run.bucketHigh = words[at + BUCKET_HIGH]!;
      run.sequence = sequenceOf(words, at);
      run.count = words[at + COUNT]!;
      run.position = base + words[at + OFFSET]!;
      run.bytes = words[at + BODY_BYTES]!;
      run.attempts = words[at + ATTEMPTS]!;
      this.#tell(tell);
    }
  }

  #one(part: Slice, at: number, count: number, tell: (observer: Observer, run: Run) => void): void {
    const run = this.#run;
    const { low, high } = this.#buckets.placeOf(part.slot);
    run.bucketLow = low;
    run.bucketHigh = high;
    run.sequence = part.sequence + at;
    run.count = count;
    run.position = part.position;
    run.bytes = part.bodyBytes;
    run.attempts = part.attempts;
    this.#tell(tell);
  }

  #tell(tell: (observer: Observer, run: Run) => void): void {
    const observer = this.#observer;
    if (observer === undefined) return;
    try {
      tell(observer, this.#run);
    } catch (error) {
      this.#observer = undefined;
      const why = error instanceof Error ? error.message : String(error);
      const text = `what follows messages failed: ${why}. It is told nothing more until the next start; messages go on`;
      this.#notices.notice('error', 'following.failed', text);
    }
  }
}
