// What is known of messages and stands in no batch yet: which are settled, which came back, which
// are deferred. A batch takes of them what fits when it is sealed; the rest rides in the next one.

import { MARKS_MAX, RECORD_RETURNED, RECORD_SETTLED } from '../../../assembly/layout.ts';
import type { Deferral } from '../records/placed.ts';
import type { Batch } from './batch.ts';
import type { OpenSegment } from './open-segment.ts';
import type { CommitOptions } from './options.ts';
import { WaitingDeferrals } from './waiting-deferrals.ts';
import { attemptsBySequence, settledBySequence, WaitingMarks } from './waiting-marks.ts';

/** The segment that they are written into. */
export type MarkedSegment = Pick<
  OpenSegment,
  'places' | 'markRoom' | 'deferralRoom' | 'entries' | 'ending' | 'raise'
>;

export class UnwrittenMarks {
  readonly settled: WaitingMarks;
  readonly requeued: WaitingMarks;
  readonly deferred = new WaitingDeferrals();
  readonly #codec: CommitOptions['codec'];
  readonly #segment: MarkedSegment;
  readonly #most: number;

  constructor(
    { codec, marksMax }: Pick<CommitOptions, 'codec' | 'marksMax'>,
    segment: MarkedSegment,
  ) {
    this.#codec = codec;
    this.#segment = segment;
    this.#most = marksMax;
    this.settled = new WaitingMarks(marksMax, settledBySequence);
    this.requeued = new WaitingMarks(marksMax, attemptsBySequence);
  }

  /** How many there are. */
  get count(): number {
    return this.settled.count + this.requeued.count + this.deferred.count;
  }

  /**
   * As many deferrals wait as may. Nothing more is to be given out that could come back; on a full
   * disk that goes on, as it may be what brings room back.
   */
  get isFull(): boolean {
    return this.deferred.count >= this.#most;
  }

  /** Whether one more may wait: on a disk that has no room, if it can be written all the same. */
  mayDefer(refuses: boolean): boolean {
    if (!refuses) return true;
    return !this.isFull && this.#segment.places && this.#segment.deferralRoom() > 0;
  }

  /** Whether the open segment may hold deferrals. */
  get places(): boolean {
    return this.#segment.places;
  }

  /** How many can be written: deferrals wait for a segment that may hold them, and has room. */
  get ready(): number {
    return this.#mayDefer ? this.count : this.count - this.deferred.count;
  }

  get #mayDefer(): boolean {
    return this.deferred.count > 0 && this.#segment.places && this.#segment.deferralRoom() > 0;
  }

  /** The broker stops: what has an entry does not take memory for long. Gives `ready`. */
  drain(): number {
    this.#segment.ending = true;
    return this.ready;
  }

  /** Messages are deferred once that is durable; a segment that may say so is seen to. */
  defer(deferral: Deferral): void {
    this.deferred.add(deferral);
    if (!this.#segment.places) this.#segment.raise();
  }

  /**
   * Packs as many as fit into the open batch, which is told how far it is with those of settled
   * messages. Whether nothing is left of some sort that there was.
   */
  pack(into: Batch): boolean {
    const settled = this.#pack(RECORD_SETTLED, this.settled, into);
    const requeued = this.#pack(RECORD_RETURNED, this.requeued, into);
    into.settledMarks = this.settled.written;
    const { deferred } = this;
    if (!this.#mayDefer) return settled || requeued;
    deferred.pack(into, this.#codec, this.#segment.deferralRoom());
    this.#segment.entries += into.deferred.length;
    return settled || requeued || !this.#mayDefer;
  }

  #pack(type: number, marks: WaitingMarks, into: Batch): boolean {
    const count = Math.min(marks.count, MARKS_MAX, this.#segment.markRoom());
    if (count === 0) return false;
    marks.unload(count, this.#codec.marks);
    this.#codec.packMarks(type, count);
    into.records++;
    return marks.count === 0;
  }
}
