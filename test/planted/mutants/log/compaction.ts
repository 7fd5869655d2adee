// Planted bugs in src/log/compaction.

import type { Mutant } from '../../mutant.ts';

export const LOG_COMPACTION: readonly Mutant[] = [
  {
    name: 'compaction forgets a record',
    file: 'src/log/compaction/compact.ts',
    member: 'Compaction.#keepLive',
    find: 'i === count',
    replace: 'i >= count - 1',
    test: 'test/log/compaction/compact.test.ts',
    caughtBy: 'any neighbours, again and again, while messages come and go: a start finds the same',
  },
  {
    name: 'compaction loses attempts',
    file: 'src/log/compaction/compact.ts',
    member: 'Compaction.#keepLive',
    find: 'Math.max(carried, this.#options.attemptsOf(sequence))',
    replace: '0',
    test: 'test/log/compaction/compact.test.ts',
    caughtBy: 'any neighbours, again and again, while messages come and go: a start finds the same',
  },
  {
    name: 'compaction loses acks',
    file: 'src/log/compaction/folded-marks.ts',
    member: 'FoldedMarks.records',
    find: 'this.#settled.runs(oldestNeeded, this.first)',
    replace: '[]',
    test: 'test/log/compaction/compact.test.ts',
    caughtBy: 'any neighbours, again and again, while messages come and go: a start finds the same',
  },
  {
    name: 'compacted segment not synced before it counts',
    file: 'src/log/compaction/compact.ts',
    member: 'Compaction.run',
    find: 'await settle((done) => files.sync(this.#handle, done));',
    replace: '',
    test: 'test/log/compact-crash.test.ts',
    caughtBy: 'a crash at any step of a compaction: the same log, and a broker goes on with it',
  },
  {
    name: 'compaction goes on over damage',
    file: 'src/log/compaction/compact.ts',
    member: 'Compaction.#readAll',
    find: '!found.last',
    replace: 'false',
    test: 'test/log/compaction/compact.test.ts',
    caughtBy: 'segments that do not verify, or are not what they are called, are refused',
  },
  {
    name: 'replaced files removed before the folder sync',
    file: 'src/log/compaction/swap.ts',
    member: 'removeReplaced',
    find: 'const { handle, bytes, replaced, spare } = made;',
    replace:
      'const { handle, bytes, spare } = made; await Promise.all(made.replaced.map(remove)); const replaced = [];',
    test: 'test/log/compact-crash.test.ts',
    caughtBy: 'a crash at any step of a compaction: the same log, and a broker goes on with it',
  },
];
