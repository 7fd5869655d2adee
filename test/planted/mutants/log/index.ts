// Planted bugs in src/log/index.

import type { Mutant } from '../../mutant.ts';

export const LOG_INDEX: readonly Mutant[] = [
  {
    name: 'checkpoint without attempts',
    file: 'src/log/index/checkpoint.ts',
    member: 'encodeCheckpoint',
    find: '[...state.attempts.pages()]',
    replace: '[]',
    test: 'test/log/index/checkpoint.test.ts',
    caughtBy: 'what is written is read again',
  },
  {
    name: 'checksum of the checkpoint ignored',
    file: 'src/log/index/checkpoint.ts',
    member: 'decodeCheckpoint',
    find: 'view.getUint32(12, true) !== crc32c(bytes.subarray(CRC_FROM))',
    replace: 'false',
    test: 'test/log/index/checkpoint.test.ts',
    caughtBy: 'no truncation, no addition and no flipped bit is believed',
  },
  {
    name: 'checkpoint of another log believed',
    file: 'src/log/index/checkpoint.ts',
    member: 'decodeCheckpoint',
    find: 'view.getBigUint64(16, true) !== logId',
    replace: 'false',
    test: 'test/log/index/checkpoint.test.ts',
    caughtBy: 'neither another log nor another version is believed, whole as it may be',
  },
  {
    name: 'index of another segment believed',
    file: 'src/log/index/index-file.ts',
    member: 'decodeIndexHeader',
    find: 'header.base !== expected.base',
    replace: 'false',
    test: 'test/log/index/index-file.test.ts',
    caughtBy: 'another state of the segment, another log, another name: absent, and said so',
  },
  {
    name: 'stale checkpoint believed',
    file: 'src/log/index/index-store.ts',
    member: 'IndexStore.open',
    find: '!(await this.#precedes(checkpoint, segments))',
    replace: 'false',
    test: 'test/log/index/index-store.test.ts',
    caughtBy: 'checkpoint and indexes of another log are not used',
  },
  {
    name: 'index made again because the log is closed',
    file: 'src/log/index/index-store.ts',
    member: 'IndexStore.find',
    find: 'failure === undefined || this.#closed',
    replace: 'failure === undefined',
    test: 'test/log/file-log.test.ts',
    caughtBy: 'what is asked of a log that is being closed is not begun',
  },
];
