// Marks that a compaction goes through, folded as a start would fold them. What is left of them,
// about messages of older segments, and deferrals of its own messages, becomes records again.

import {
  MARK_BYTES,
  RECORD_DEFERRED,
  RECORD_PRODUCERS,
  RECORD_RETURNED,
  RECORD_SETTLED,
} from '../../../assembly/layout.ts';
import { DEFERRAL_BYTES, PRODUCER_BYTES } from '../../../assembly/layout-placed.ts';
import { AttemptCounts, SequenceSet } from '../../core/collections/sequence-set.ts';
import type { Position } from '../../core/ports/basics.ts';
import { type Mark, marksIn } from '../../core/records/marks.ts';
import { type Deferral, deferralsIn, type Head, writeDeferral } from '../../core/records/placed.ts';
import { FoldedDeferrals } from './deferrals.ts';
import { KeptDueTimes, type Named } from './due-times.ts';
import { writeMark } from './pieces.ts';
import { NewestProducers } from './producers.ts';

/** Marks that stand as a record's body where they were asked for. */
export interface PackedMarks {
  type: number;
  count: number;
  bytes: number;
}

export interface FoldedMarksOptions {
  /** Marks about messages before this sequence are left out. */
  oldestNeeded: number;
}

type Run = [first: number, count: number, attempts?: number];

export class FoldedMarks {
  readonly #options: FoldedMarksOptions;
  readonly #settled = new SequenceSet();
  readonly #returned = new AttemptCounts();
  readonly #deferrals = new FoldedDeferrals();
  readonly #producers = new NewestProducers();
  // Messages of these segments that are in the new one: decided once, as they are copied.
  readonly #kept = new SequenceSet();
  /** What records say of times that are kept, these marks included. */
  readonly due = new KeptDueTimes();

  /** Sequence that the segments begin with, once that is known: marks about messages from there on,
   * but for deferrals, are in effect already. */
  first = Number.MAX_SAFE_INTEGER;

  constructor(options: FoldedMarksOptions) {
    this.#options = options;
  }

  /** Takes the `count` marks of a record whose body begins at offset `body` of `bytes`; nothing if
   * records of its type have none. */
  add(type: number, bytes: Uint8Array, body: number, count: number): void {
    if (type === RECORD_SETTLED) {
      for (const mark of marksIn(bytes, body, count)) this.settle(mark.sequence, mark.count);
    } else if (type === RECORD_RETURNED) {
      for (const mark of marksIn(bytes, body, count)) this.#return(mark);
    } else if (type === RECORD_DEFERRED) {
      for (const deferral of deferralsIn(bytes, body, count))
        this.#deferrals.add(deferral, this.#options.oldestNeeded);
    } else if (type === RECORD_PRODUCERS) {
      this.#producers.add(bytes, body, count);
    }
  }

  /** Messages of these segments are in the new one, in a record at `position`. */
  keep(fields: Named, position: Position, bodyBytes: number, head?: Head): void {
    this.#kept.add(fields.sequence, fields.count);
    if (head !== undefined) this.due.placed(fields, head, position, bodyBytes);
  }

  /** Messages are settled by what was read, so on disk. */
  settle(sequence: number, count: number): void {
    const from = Math.max(sequence, this.#options.oldestNeeded);
    const left = this.#leftBehind(from, sequence + count);
    if (left > 0) this.#settled.add(from, left);
  }

  #return({ sequence, count, attempts }: Mark): void {
    const from = Math.max(sequence, this.#options.oldestNeeded);
    const left = this.#leftBehind(from, sequence + count);
    if (left > 0) this.#returned.set(from, left, attempts);
  }

  // What is outside is left out in any case: noted, it would only take memory.
  #leftBehind(from: number, end: number): number {
    return Math.min(end, this.first) - from;
  }

  /** What is left, as bodies of records that are laid out in `into` one after the other: each is to be
   * used up before the next one is asked for. `first` must be known. */
  *records(into: Uint8Array): Generator<PackedMarks> {
    const { oldestNeeded } = this.#options;
    const settled = this.#settled.runs(oldestNeeded, this.first);
    yield* packed(RECORD_SETTLED, MARK_BYTES, settled, into, writeMark);
    yield* packed(RECORD_RETURNED, MARK_BYTES, this.#unsettledReturns(), into, writeMark);
    const deferrals = this.due.noted(this.#deferralsLeft());
    yield* packed(RECORD_DEFERRED, DEFERRAL_BYTES, deferrals, into, writeDeferral);
    const producers = this.#producers.marks();
    yield* packed(RECORD_PRODUCERS, PRODUCER_BYTES, producers, into, writeProducer);
  }

  // A message may be settled in memory only: if that is lost, and a checkpoint says that it waits,
  // nothing but its deferral would say until when. So one of another segment keeps it until a mark
  // that was read here, which is on disk, settles it; one of these for as long as it is there
  // itself, also if it was settled since it was put into the new segment.
  #deferralsLeft(): Iterable<Deferral> {
    return this.#deferrals.left((sequence) =>
      sequence < this.first ? !this.#settled.has(sequence) : this.#kept.has(sequence),
    );
  }

  // What was settled in these segments needs no attempts any more.
  *#unsettledReturns(): Generator<Run> {
    const { oldestNeeded } = this.#options;
    for (const [first, count, attempts] of this.#returned.runs(oldestNeeded, this.first)) {
      let from = first;
      for (let sequence = first; sequence <= first + count; sequence++) {
        if (sequence < first + count && !this.#settled.has(sequence)) continue;
        if (sequence > from) yield [from, sequence - from, attempts];
        from = sequence + 1;
      }
    }
  }
}

// Marks as bodies of records of a type, as many in each as `into` holds; `each`: bytes of a mark.
function* packed<Mark>(
  type: number,
  each: number,
  marks: Iterable<Mark>,
  into: Uint8Array,
  write: (view: DataView, i: number, mark: Mark) => void,
): Generator<PackedMarks> {
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  const most = Math.floor(into.byteLength / each);
  let count = 0;
  for (const mark of marks) {
    write(view, count++, mark);
    if (count < most) continue;
    yield { type, count, bytes: count * each };
    count = 0;
  }
  if (count > 0) yield { type, count, bytes: count * each };
}

function writeProducer(view: DataView, i: number, mark: Uint8Array): void {
  new Uint8Array(view.buffer, view.byteOffset).set(mark, i * PRODUCER_BYTES);
}
