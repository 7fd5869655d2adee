// What the records that a compaction keeps say of times, for the file of due times of the segment
// that it makes.

import { DUE_READY, DueEntries, emptyDueEntry } from '../../core/records/due.ts';
import { dueOfDeferral } from '../../core/records/due-of.ts';
import type { Deferral, Head } from '../../core/records/placed.ts';

/** What the header of a record says of its messages. */
export interface Named {
  sequence: number;
  bucketLow: number;
  bucketHigh: number;
  count: number;
  kind?: number;
}

export class KeptDueTimes extends DueEntries {
  readonly #entry = emptyDueEntry();

  /** A placed record with this head, at `position` now. */
  placed(fields: Named, head: Head, position: number, bodyBytes: number): void {
    if (head.dueMs === 0) return;
    this.add({
      when: head.dueMs,
      low: fields.bucketLow,
      high: fields.bucketHigh,
      sequence: fields.sequence,
      position,
      turn: head.turn,
      count: fields.count,
      bodyBytes,
      kind: fields.kind ?? 0,
      what: DUE_READY,
    });
  }

  /** Marks that are kept, on their way into a record. */
  *noted(deferrals: Iterable<Deferral>): Generator<Deferral> {
    for (const deferral of deferrals) {
      if (dueOfDeferral(deferral, this.#entry)) this.add(this.#entry);
      yield deferral;
    }
  }
}
