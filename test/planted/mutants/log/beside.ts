// Planted bugs in what works beside a log while it is written: backups, and the tools that look
// into it.

import type { Mutant } from '../../mutant.ts';

export const LOG_BESIDE: readonly Mutant[] = [
  {
    name: 'backup does not keep the files it copies',
    file: 'src/log/backup.ts',
    member: 'cutAt',
    find: 'segments.hold(segment.base)',
    replace: '{ ...segment }',
    test: 'test/log/backup.test.ts',
    caughtBy: 'a start on a backup finds what was acked',
  },
  {
    name: 'backup copies what was written behind its cut',
    file: 'src/log/backup.ts',
    member: 'cutAt',
    find: 'segment === segments.open || segment.end > end',
    replace: 'false',
    test: 'test/log/backup.test.ts',
    caughtBy: 'a start on a backup finds what was acked',
  },
  {
    name: 'a file of a backup let go under a read',
    file: 'src/log/backup.ts',
    member: 'Pinned.release',
    find: '!this.#reading',
    replace: 'true',
    test: 'test/log/backup.test.ts',
    caughtBy: 'a file is let go only when the read of it that is under way has ended, and once',
  },
  {
    name: 'a segment that moved is judged by what its file became',
    file: 'src/log/tools/look.ts',
    member: 'isThere',
    find: 'head === undefined',
    replace: 'segment.base >= 0',
    test: 'test/log/tools/look.test.ts',
    caughtBy: 'dump: no gap is told where none is, nor that a file cannot be read',
  },
  {
    name: 'what was on its way at the first look is called damage',
    file: 'src/log/tools/look.ts',
    member: 'Looking.#again',
    find: 'await this.#look.doubt?.()',
    replace: 'undefined',
    test: 'test/log/tools/look.test.ts',
    caughtBy: 'verify: what is damaged is found beside all of that, and nothing else',
  },
];
