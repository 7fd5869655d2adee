// Deferrals that wait for the next commit. Neighbours that are deferred alike become one. How many
// may wait is their owner's to bound: each stands for messages that it holds back until then.

import { MARK_BYTES, RECORD_DEFERRED } from '../../../assembly/layout.ts';
import { DEFERRAL_BYTES, DEFERRALS_MAX } from '../../../assembly/layout-placed.ts';
import type { RecordWriter } from '../ports/codec.ts';
import { type Deferral, writeDeferral } from '../records/placed.ts';
import type { Batch } from './batch.ts';

export class WaitingDeferrals {
  #list: Deferral[] = [];

  get count(): number {
    return this.#list.length;
  }

  add(deferral: Deferral): void {
    const last = this.#list.at(-1);
    if (last !== undefined && isBehind(last, deferral)) last.count += deferral.count;
    else this.#list.push({ ...deferral });
  }

  /** Packs as many as fit the room of `marks` marks into a record of a batch that has none yet. */
  pack(into: Batch, codec: Pick<RecordWriter, 'marks' | 'packMarks'>, marks: number): void {
    const most = Math.min(DEFERRALS_MAX, Math.floor((marks * MARK_BYTES) / DEFERRAL_BYTES));
    const packed = this.#list.splice(0, most);
    for (const [i, deferral] of packed.entries()) writeDeferral(codec.marks, i, deferral);
    if (packed.length === 0) return;
    codec.packMarks(RECORD_DEFERRED, packed.length);
    into.deferred = packed;
    into.records++;
  }
}

// Whether the second goes on where the first ends, and says the same.
function isBehind(first: Deferral, second: Deferral): boolean {
  return (
    first.sequence + first.count === second.sequence &&
    first.turn === second.turn &&
    first.dueMs === second.dueMs &&
    first.bucket === second.bucket &&
    first.kind === second.kind &&
    first.attempts === second.attempts &&
    first.level === second.level &&
    first.cause === second.cause
  );
}
