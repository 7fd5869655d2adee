// One broker at a time on a data folder, by an operating system lock (flock) that dies with the
// process. Node has no call for it, so a helper takes the lock on a descriptor it inherits: the
// lock belongs to the open file, which stays ours when the helper has ended.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { isOutOfDescriptors } from './descriptors.ts';

/** A lock that was not had. `held`: another process has it; otherwise there is no way to take it. */
export class LockError extends Error {
  override name = 'LockError';
  readonly held: boolean;

  constructor(message: string, held: boolean) {
    super(message);
    this.held = held;
  }
}

// All three use flock(2), so brokers that found different helpers still exclude each other.
const HELPERS: { command: string; args: string[] }[] = [
  { command: 'flock', args: ['-n', '-x', '3'] },
  {
    command: 'python3',
    args: [
      '-c',
      'import fcntl,sys\ntry: fcntl.flock(3, fcntl.LOCK_EX | fcntl.LOCK_NB)\nexcept OSError: sys.exit(1)',
    ],
  },
  { command: 'perl', args: ['-e', 'open(F, ">&=3") or exit 2; exit(flock(F, 6) ? 0 : 1)'] },
];

/**
 * Locks the file at `path`, made if absent, and writes `text` for people into it. Returns what
 * releases it. Throws LockError, or what the system said about the file.
 */
export function lock(path: string, text: string): () => void {
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW;
  const fd = fs.openSync(path, flags, 0o600);
  for (const { command, args } of HELPERS) {
    const ran = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'ignore', fd] });
    if (isOutOfDescriptors(ran.error)) {
      fs.closeSync(fd);
      throw ran.error;
    }
    if (ran.error !== undefined) continue;
    if (ran.status === 0) {
      fs.ftruncateSync(fd);
      fs.writeSync(fd, text, 0);
      let held = true;
      return () => {
        if (held) fs.closeSync(fd); // once: the number may belong to another file by then
        held = false;
      };
    }
    if (ran.status === 1) {
      const holder = fs.readFileSync(path, 'utf8').trim();
      fs.closeSync(fd);
      throw new LockError(holder, true);
    }
  }
  fs.closeSync(fd);
  throw new LockError('none of flock, python3 and perl could be run to lock it', false);
}
