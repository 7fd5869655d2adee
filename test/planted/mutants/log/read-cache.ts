// Planted bugs in src/log/read-cache.

import type { Mutant } from '../../mutant.ts';

export const LOG_READ_CACHE: readonly Mutant[] = [
  {
    name: 'bytes read back delivered without a check',
    file: 'src/log/read-cache/read-window.ts',
    member: 'verify',
    find: 'if (start >= bytes) return;',
    replace: 'window.valid = bytes; return;',
    test: 'test/log/read-cache/read-cache.test.ts',
    caughtBy: 'a damaged record is refused, and its neighbours are had all the same',
  },
  {
    name: 'read goes on into a segment that was replaced',
    file: 'src/log/read-cache/window-area.ts',
    member: 'WindowArea.forget',
    find: 'window.stale = true',
    replace: 'window.stale = false',
    test: 'test/log/read-cache/read-cache.test.ts',
    caughtBy: 'what is read while its segment is replaced is not believed, and asked for again',
  },
  {
    name: 'read ahead into the place that a delivery is made from',
    file: 'src/log/read-cache/window-area.ts',
    member: 'WindowArea.take',
    find: '(w.loading || w === used) && inTheWay(w)',
    replace: 'w.loading && inTheWay(w)',
    test: 'test/log/read-cache/read-cache.test.ts',
    caughtBy:
      'a window that was read ahead keeps its place when it is used, however long that took',
  },
  {
    name: 'read that waits looks at the old place of a record',
    file: 'src/log/read-cache/elevator.ts',
    member: 'Elevator.withdraw',
    find: 'this.#queue = this.#queue.filter(({ position }) => !within(position));',
    replace: '',
    test: 'test/log/read-cache/read-cache.test.ts',
    caughtBy: 'who waits for a read to begin while a segment is replaced is not told of damage',
  },
  {
    name: 'reads answered while another one is asked for',
    file: 'src/log/read-cache/read-cache.ts',
    member: 'ReadCache.load',
    find: 'this.#next(false);',
    replace: 'this.#next();',
    test: 'test/log/read-cache/read-cache.test.ts',
    caughtBy:
      'who asks for the next record when the last read of a pass ends is not answered within',
  },
];
