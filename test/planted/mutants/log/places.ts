// Planted bugs in what format version 3 added.

import type { Mutant } from '../../mutant.ts';

const PLACES = 'test/log/places.test.ts';

export const LOG_PLACES: readonly Mutant[] = [
  {
    name: 'a compacted move still settles',
    file: 'src/log/compaction/compact.ts',
    member: 'Compaction.#keepLive',
    find: 'hasFields(rows, at) ? FORM_FIELDS : 0',
    replace: '(hasFields(rows, at) ? FORM_FIELDS : 0) | (settlesFrom(rows, at) ? 2 : 0)',
    test: PLACES,
    caughtBy:
      'a start finds the same after a compaction: a move is a mark then, the higher turn stays',
  },
  {
    name: 'what a move settled goes with its message',
    file: 'src/log/compaction/compact.ts',
    member: 'Compaction.#keepPlaced',
    find: 'settlesFrom(rows, at)',
    replace: 'settlesFrom(rows, at) && !this.#options.isSettled(sequenceOf(rows, at))',
    test: PLACES,
    caughtBy: 'what a move settled stays settled, though the moved message itself is left out',
  },
  {
    name: 'deferral left out for an ack that is not durable',
    file: 'src/log/compaction/folded-marks.ts',
    member: 'FoldedMarks.#deferralsLeft',
    find: 'sequence < this.first ? !this.#settled.has(sequence) : this.#kept.has(sequence)',
    replace: '!this.#options.isSettled(sequence)',
    test: PLACES,
    caughtBy:
      'a deferral of a message of an older segment stays, whatever is known of it in memory',
  },
  {
    name: 'deferral left out for an ack that came after its message was copied',
    file: 'src/log/compaction/folded-marks.ts',
    member: 'FoldedMarks.#deferralsLeft',
    find: 'this.#kept.has(sequence)',
    replace: '!this.#options.isSettled(sequence)',
    test: PLACES,
    caughtBy: 'what is acked after it was copied keeps its turn, its time and its attempts',
  },
  {
    name: 'compaction keeps the lower turn',
    file: 'src/log/compaction/deferrals.ts',
    member: 'FoldedDeferrals.add',
    find: 'before.turn <= deferral.turn',
    replace: 'before.turn >= deferral.turn',
    test: 'test/log/compaction/deferrals.test.ts',
    caughtBy: 'random deferrals: each message keeps what a start would fold, if it is kept at all',
  },
  {
    name: 'a lower turn wins',
    file: 'src/core/segments/apply.ts',
    member: 'Apply.#fold',
    find: 'turns.get(at) <= turn && !this.#gone.has(at)',
    replace: '!this.#gone.has(at)',
    test: 'test/core/segments/apply.test.ts',
    caughtBy:
      'random moves and deferrals: the highest turn of each message counts, and it is in one place',
  },
  {
    name: 'header of version 3 not synced before the segment before it is closed',
    file: 'src/log/segments/making.ts',
    member: 'raiseSegment',
    find: '(next) => files.sync(handle, next)',
    replace: '(next) => next(undefined)',
    test: PLACES,
    caughtBy: 'after a crash at any step of a move the message is in one place',
  },
  {
    name: 'segment before closed although the header is not raised',
    file: 'src/core/commit/open-segment.ts',
    member: 'OpenSegment.raise',
    find: 'this.#space.raise()',
    replace: 'this.#space.nextReady()',
    test: PLACES,
    caughtBy: 'version 3 begins with the first record that needs it, in a segment of its own',
  },
  {
    name: 'a move settles and does not store',
    file: 'src/core/segments/state-builder.ts',
    member: 'StateBuilder.#placed',
    find: 'this.#apply.placed(words, at, position, head)',
    replace: '0',
    test: PLACES,
    caughtBy: 'version 3 begins with the first record that needs it, in a segment of its own',
  },
];
