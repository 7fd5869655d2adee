// Planted bugs in src/log/scan.

import type { Mutant } from '../../mutant.ts';

export const LOG_SCAN: readonly Mutant[] = [
  {
    name: 'file that ends while it is read taken for the end of the log',
    file: 'src/log/scan/scan.ts',
    member: 'readChunk',
    find: 'got < into.length',
    replace: 'false',
    test: 'test/log/recovery/recovery.test.ts',
    caughtBy: 'a file that gives less than it has is no end of the log, whichever read it is',
  },
  {
    name: 'record of an older life believed',
    file: 'src/log/scan/scan.ts',
    member: 'follows',
    find: 'rows[at + EPOCH] >= result.epoch',
    replace: 'true',
    test: 'test/log/recovery/recovery.test.ts',
    caughtBy: 'not even where they stand exactly behind the end of the newer life',
  },
  {
    name: 'rest of another batch believed',
    file: 'src/log/scan/scan.ts',
    member: 'follows',
    find: 'here - rows[at + BACK] === result.committed',
    replace: 'true',
    test: 'test/log/recovery/recovery.test.ts',
    caughtBy: 'the rest of a batch that another one was written over is not taken for a batch',
  },
  {
    name: 'batch without its commit believed',
    file: 'src/log/scan/scan.ts',
    member: 'scanChunk',
    find: 'codec.rows[at + TYPE] === RECORD_COMMIT',
    replace: 'true',
    test: 'test/log/recovery/recovery.test.ts',
    caughtBy: 'a clean end: everything is there and nothing is cut',
  },
  {
    name: 'proof of the bad batch itself counts',
    file: 'src/log/scan/scan.ts',
    member: 'lookBeyond',
    find: 'offset - codec.rows[BACK] > bad',
    replace: 'offset - codec.rows[BACK] >= from',
    test: 'test/log/recovery/recovery.test.ts',
    caughtBy: 'a tail torn at any byte, with zeros behind: only whole batches before it are kept',
  },
];
