// Planted bugs in buckets that are paused and resumed while the broker runs.

import type { Mutant } from '../../mutant.ts';

const CHANGES = 'src/core/pause-changes.ts';
const EARLIER = 'src/core/earlier-pauses.ts';
const SETTINGS = 'src/core/segments/settings.ts';
const CHANGES_TEST = 'test/core/pause-changes.test.ts';
const LOG_TEST = 'test/log/pauses.test.ts';

export const CORE_PAUSES: readonly Mutant[] = [
  {
    name: 'pause answered before it is durable',
    file: CHANGES,
    member: 'PauseChanges.#carryOut',
    find: "if (stored === 'stored') return undefined",
    replace: "if (stored === 'stored') return ok",
    test: CHANGES_TEST,
    caughtBy: 'those asked together go into one batch; changes of one bucket one after the other',
  },
  {
    name: 'bucket resumed before its mark is durable',
    file: CHANGES,
    member: 'PauseChanges.#durable',
    find: 'settledMarks >= mark',
    replace: 'settledMarks >= 0',
    test: CHANGES_TEST,
    caughtBy: 'a batch that was sealed before the mark says nothing of it',
  },
  {
    name: 'changes of one bucket carried out together',
    file: CHANGES,
    member: 'PauseChanges.ask',
    find: 'others.push(asked)',
    replace: 'this.#turns.push(others[others.push(asked) - 1]!)',
    test: CHANGES_TEST,
    caughtBy: 'those asked together go into one batch; changes of one bucket one after the other',
  },
  {
    name: 'pause in force that was refused',
    file: CHANGES,
    member: 'PauseChanges.#finish',
    find: 'this.#parts.paused.settle(change, outcome.ok)',
    replace: 'this.#parts.paused.settle(change, true)',
    test: CHANGES_TEST,
    caughtBy: 'while the disk is full buckets are resumed, and none is paused',
  },
  {
    name: 'bucket resumed from one of two messages that pause it',
    file: CHANGES,
    member: 'PauseChanges.#carryOut',
    find: 'for (const sequence of pauses) commit.settle(sequence, 1)',
    replace: 'commit.settle(pauses[0]!, 1)',
    test: LOG_TEST,
    caughtBy:
      'a bucket that two messages say is paused, because a mark was lost, is resumed from both',
  },
  {
    name: 'pause of a file undone while the file is there',
    file: CHANGES,
    member: 'PauseChanges.#carryOut',
    find: 'this.#earlier?.has(id)',
    replace: 'this.#earlier?.has(id) && paused',
    test: CHANGES_TEST,
    caughtBy: 'cannot be resumed before the file is gone: it would pause them again',
  },
  {
    name: 'file of pauses removed before the log says them',
    file: EARLIER,
    member: 'EarlierPauses.goOn',
    find: '![...this.#ids].every((id) => this.#taking.isDurable(id))',
    replace: 'false',
    test: CHANGES_TEST,
    caughtBy: 'are in force at once, and the file goes when the log says them',
  },
  {
    name: 'pauses of a file not in force until the log says them',
    file: CHANGES,
    member: 'PauseChanges.takeOver',
    find: 'this.#parts.paused.restore(earlier.ids)',
    replace: 'void earlier.ids',
    test: CHANGES_TEST,
    caughtBy: 'are in force while the disk is full, and taken over when it is not any more',
  },
  {
    name: 'pause taken for a rule',
    file: SETTINGS,
    member: 'Settings.set',
    find: 'id === undefined',
    replace: "id !== ''",
    test: CHANGES_TEST,
    caughtBy: 'a pause is in force at once, answered when it is durable, and so is its end',
  },
  {
    name: 'pauses of the log not in force after a start',
    file: CHANGES,
    member: 'PauseChanges.constructor',
    find: 'parts.paused.restore(settings.paused)',
    replace: 'void settings.paused',
    test: LOG_TEST,
    caughtBy:
      'in segments that a start does not read pauses are in force, and in all that it reads',
  },
  {
    name: 'bucket paused after a start although it was resumed',
    file: SETTINGS,
    member: 'Settings.sequences',
    find: '[...this.#texts.keys(), ...this.#pauses.keys()]',
    replace: '[...this.#texts.keys()]',
    test: LOG_TEST,
    caughtBy:
      'in segments that a start does not read pauses are in force, and in all that it reads',
  },
  {
    name: 'pauses of an earlier version left out of a backup',
    file: 'src/io/backups.ts',
    member: 'Backups.#run',
    find: 'paused !== undefined',
    replace: 'false',
    test: 'test/io/backups.test.ts',
    caughtBy: 'a backup: the bytes before the cut, zeros, pauses beside it, and nothing incomplete',
  },
];
