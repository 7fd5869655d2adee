// Deliberate faults (plants.ts) in what stands or works beside a broker and its log: checkpoints,
// backups, and the tools that look into the log while it is written.

import type { Plant } from '../plant.ts';

const BACKUP = { file: 'src/log/backup.ts', test: 'test/log/backup.test.ts' };
const LOOK = { file: 'src/log/tools/look.ts', test: 'test/log/tools/look.test.ts' };
const CHECKPOINT = {
  file: 'src/log/index/checkpoint.ts',
  test: 'test/log/index/checkpoint.test.ts',
};

export const BACKUP_PLANTS: readonly Plant[] = [
  {
    ...CHECKPOINT,
    name: 'checkpoint without attempts',
    find: 'const attempts = [...state.attempts.pages()];',
    replace: 'const attempts = [];',
    caughtBy: 'what is written is read again',
  },
  {
    ...CHECKPOINT,
    name: 'checksum of the checkpoint ignored',
    find: 'if (view.getUint32(12, true) !== crc32c(bytes.subarray(CRC_FROM)))',
    replace: 'if (false)',
    caughtBy: 'no truncation, no addition and no flipped bit is believed',
  },
  {
    ...CHECKPOINT,
    name: 'checkpoint of another log believed',
    find: 'if (view.getBigUint64(16, true) !== logId)',
    replace: 'if (false)',
    caughtBy: 'neither another log nor another version is believed, whole as it may be',
  },
  {
    ...BACKUP,
    name: 'backup does not keep the files it copies',
    find: 'const held = segments.hold(segment.base);',
    replace: 'const held = { ...segment };',
    caughtBy: 'a start on a backup finds what was acked',
  },
  {
    ...BACKUP,
    name: 'backup copies what was written behind its cut',
    find: 'segment === segments.open || segment.end > end',
    replace: 'false',
    caughtBy: 'a start on a backup finds what was acked',
  },
  {
    ...BACKUP,
    name: 'a file of a backup let go under a read',
    find: 'if (!this.#reading)',
    replace: 'if (true)',
    caughtBy: 'a file is let go only when the read of it that is under way has ended, and once',
  },
  {
    ...LOOK,
    name: 'a segment that moved is judged by what its file became',
    find: 'if (head === undefined)',
    replace: 'if (segment.base >= 0)',
    caughtBy: 'dump: no gap is told where none is, nor that a file cannot be read',
  },
  {
    ...LOOK,
    name: 'what was on its way at the first look is called damage',
    find: 'await this.#look.doubt?.()',
    replace: 'undefined',
    caughtBy: 'verify: what is damaged is found beside all of that, and nothing else',
  },
];
