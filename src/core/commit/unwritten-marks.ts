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
export type MarkedSegment = Pick<OpenSegment, 'places' | 'markRoom' | 'raise'>;

export class UnwrittenMarks {
  readonly settled: WaitingMarks;
  readonly requeued: WaitingMarks;
  readonly deferred = new WaitingDeferrals();
  readonly #codec: CommitOptions['codec'];
  readonly #segment: MarkedSegment;

  constructor(
    { codec, marksMax }: Pick<CommitOptions, 'codec' | 'marksMax'>,
    segment: MarkedSegment,
  ) {
    this.#codec = codec;
    this.#segment = segment;
    this.settled = new WaitingMarks(marksMax, settledBySequence);
    this.requeued = new WaitingMarks(marksMax, attemptsBySequence);
  }

  /** How many there are. */
  get count(): number {
    return this.settled.count + this.requeued.count + this.deferred.count;
  }

  /** How many can be written: deferrals wait for a segment that may hold them. */
  get ready(): number {
    return this.#segment.places ? this.count : this.count - this.deferred.count;
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
    if (!this.#segment.places || deferred.count === 0) return settled || requeued;
    deferred.pack(into, this.#codec, this.#segment.markRoom());
    return settled || requeued || deferred.count === 0;
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
