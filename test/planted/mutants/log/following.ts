// Planted bugs in what follows a log that somebody else writes, and in what publishes it.

import type { Mutant } from '../../mutant.ts';

const FOLLOWER = 'test/log/following/follower.test.ts';
const BATCH = 'test/log/following/batch.test.ts';
const UPKEEP = 'test/log/following/followed-upkeep.test.ts';
const SHIPPED = 'test/log/following/shipped-journal.test.ts';
const TAKING_OVER = 'test/log/following/taking-over.test.ts';

export const LOG_FOLLOWING: readonly Mutant[] = [
  {
    name: 'a followed batch counts before it is durable',
    file: 'src/log/following/follower.ts',
    member: 'Follower.apply',
    find: 'const { length } = bytes;',
    replace: 'const { length } = bytes;\n    this.#replay.commit();',
    test: FOLLOWER,
    caughtBy: 'each batch is synced before the next one is written, and counts only then',
  },
  {
    name: 'a follower takes two batches at once',
    file: 'src/log/following/follower.ts',
    member: 'Follower.#refusal',
    find: "this.#busy ? new Error('bug: two batches at once') : undefined",
    replace: 'undefined',
    test: FOLLOWER,
    caughtBy: 'each batch is synced before the next one is written, and counts only then',
  },
  {
    name: 'a follower does not roll',
    file: 'src/log/following/follower.ts',
    member: 'Follower.#durable',
    find: 'if (last) this.#roll()',
    replace: 'if (last && sequence < 0) this.#roll()',
    test: FOLLOWER,
    caughtBy: 'after each batch it is what a start finds, byte for byte and message for message',
  },
  {
    name: 'a last batch is written though there is no next segment',
    file: 'src/log/following/follower.ts',
    member: 'Follower.apply',
    find: '!said.last || (this.log.nextReady() && !this.#upkeep.lags)',
    replace: 'true',
    test: FOLLOWER,
    caughtBy: 'a batch that is the last of its segment waits for the next one',
  },
  {
    name: 'a follower waits for no index',
    file: 'src/log/following/follower.ts',
    member: 'Follower.apply',
    find: 'this.log.nextReady() && !this.#upkeep.lags',
    replace: 'this.log.nextReady()',
    test: UPKEEP,
    caughtBy: 'where an index cannot be written it is written later, and memory holds few segments',
  },
  {
    name: 'a follower keeps what is trimmed',
    file: 'src/log/following/follower.ts',
    member: 'Follower.#durable',
    find: 'trim > 0',
    replace: 'trim < 0',
    test: FOLLOWER,
    caughtBy: 'after each batch it is what a start finds, byte for byte and message for message',
  },
  {
    name: 'a follower takes sequences for granted',
    file: 'src/log/following/batch.ts',
    member: 'BatchReader.#goOn',
    find: 'sequence === this.#sequence || (!this.#isBegun && sequence > this.#sequence)',
    replace: 'sequence >= this.#sequence',
    test: BATCH,
    caughtBy: 'a batch of another log, or one that leaves sequences out, is refused',
  },
  {
    name: 'a follower believes which life a batch is of',
    file: 'src/log/following/batch.ts',
    member: 'BatchReader.record',
    find: 'rows[at + EPOCH] !== this.#epoch',
    replace: 'false',
    test: BATCH,
    caughtBy: 'what is not the next batch is refused, and the next one is taken after that',
  },
  {
    name: 'a batch that was refused is written all the same',
    file: 'src/log/following/shipped-journal.ts',
    member: 'ShippedJournal.append',
    find: 'failure !== undefined || this.#failure !== undefined',
    replace: 'position < 0',
    test: SHIPPED,
    caughtBy: 'what was refused is neither written nor acked, and nothing is published after it',
  },
  {
    name: 'disk first, stream second',
    file: 'src/log/following/shipped-journal.ts',
    member: 'ShippedJournal.append',
    find: 'this.#publisher.publish',
    replace:
      '((at: Position, image: Uint8Array, then: (f: Failure) => void) => this.#local.append(at, image.length, (f) => f === undefined ? this.#publisher.publish(at, image, then) : then(f)))',
    test: SHIPPED,
    caughtBy: 'nothing is written before it is published, nor acked before it is written',
  },
  {
    name: 'a refused publish is forgotten',
    file: 'src/log/following/shipped-journal.ts',
    member: 'ShippedJournal.append',
    find: 'this.#failure ??= failure;',
    replace: '',
    test: SHIPPED,
    caughtBy: 'what was refused is neither written nor acked, and nothing is published after it',
  },
  {
    name: 'who takes over has counted nothing',
    file: 'src/log/following/follower.ts',
    member: 'Follower.takeOver',
    find: 'this.#replay.finished();',
    replace: '',
    test: TAKING_OVER,
    caughtBy: 'who takes over has all that waits, and what it writes is followed by others',
  },
  {
    name: 'repair goes by where a record is, not by its segment',
    file: 'src/log/tools/live-pass.ts',
    member: 'LivePass.#record',
    find: 'segment.end <= start',
    replace: 'position < start',
    test: 'test/log/tools/repair.test.ts',
    caughtBy: 'what is left of segments that a copy made one, on both sides of a trim, comes back',
  },
];
