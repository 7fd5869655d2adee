// One broker at a time on a data folder, by operating system locks (flock) that die with the
// process. Node has no call for it, so a helper takes the lock on a descriptor it inherits: the
// lock belongs to the open file, which stays ours when the helper has ended.
//
//   the folder itself   cannot be removed from under its lock: this one decides
//   LOCK in it          says to people who has the folder, and keeps out the releases that lock
//                       only this file

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { isOutOfDescriptors } from './descriptors.ts';
import { follow, identityOf } from './identity.ts';

/** A lock that was not had. `held`: another process has it; otherwise there is no way to take it. */
export class LockError extends Error {
  override name = 'LockError';
  readonly held: boolean;

  constructor(message: string, held: boolean) {
    super(message);
    this.held = held;
  }
}

/** Name of the file that says who has a data folder. */
export const LOCK_NAME = 'LOCK';

const PYTHON = `import fcntl,sys
how = fcntl.LOCK_SH if sys.argv[1] == '-s' else fcntl.LOCK_EX
try: fcntl.flock(3, how | fcntl.LOCK_NB)
except BlockingIOError: sys.exit(1)
except OSError: sys.exit(2)`;
const PERL =
  'open(F, "<&=3") or exit 2; exit 0 if flock(F, $ARGV[0] eq "-s" ? 5 : 6); exit($!{EAGAIN} ? 1 : 2)';

type How = '-x' | '-s';
// All three use flock(2), so brokers that found different helpers still exclude each other.
const HELPERS: { command: string; args: (how: How) => string[] }[] = [
  { command: 'flock', args: (how) => ['-n', how, '3'] },
  { command: 'python3', args: (how) => ['-c', PYTHON, how] },
  { command: 'perl', args: (how) => ['-e', PERL, '--', how] },
];
const NO_HELPER = 'none of flock, python3 and perl could be run to lock it';

// Who asks whether a folder is in use has it for a moment (holderOf).
const ATTEMPTS = 6;
const ATTEMPT_MS = 100;

type Tried = 'taken' | 'held' | 'refused' | 'no helper';

function tryLock(fd: number, how: How): Tried {
  let ran = false;
  for (const { command, args } of HELPERS) {
    const { error, status } = spawnSync(command, args(how), {
      stdio: ['ignore', 'ignore', 'ignore', fd],
    });
    if (isOutOfDescriptors(error)) throw error;
    if (error !== undefined) continue;
    if (status === 0) return 'taken';
    if (status === 1) return 'held';
    ran = true;
  }
  return ran ? 'refused' : 'no helper';
}

// What closes a descriptor once: the number may belong to another file later.
function closer(fd: number): () => void {
  let open = true;
  return () => {
    if (open) fs.closeSync(fd);
    open = false;
  };
}

interface LockedFile {
  fd: number;
  identity: string;
  release: () => void;
}

/**
 * Locks a file, made if absent, and writes `text` for people into it. Throws LockError, or what the
 * system said about the file.
 */
export function lockFile(file: string, text: string): LockedFile {
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW;
  const fd = fs.openSync(file, flags, 0o600);
  const release = closer(fd);
  try {
    const tried = tryLock(fd, '-x');
    if (tried === 'taken') {
      tell(fd, text);
      return { fd, identity: identityOf(fs.fstatSync(fd, { bigint: true })), release };
    }
    if (tried === 'held') throw new LockError(fs.readFileSync(file, 'utf8').trim(), true);
    throw new LockError(tried === 'refused' ? 'its file system refuses locks' : NO_HELPER, false);
  } catch (error) {
    release();
    throw error;
  }
}

// A full disk keeps nobody from the lock; then nothing is said, rather than who had it before.
function tell(fd: number, text: string): void {
  try {
    fs.writeSync(fd, text, 0);
    fs.ftruncateSync(fd, Buffer.byteLength(text));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    fs.ftruncateSync(fd);
  }
}

// As tryLock, with `release` called where the system let nothing be tried.
function tryOrRelease(fd: number, release: () => void): Tried {
  try {
    return tryLock(fd, '-x');
  } catch (error) {
    release();
    throw error;
  }
}

// The lock on the folder; undefined: its file system has none for folders.
function lockDirectory(folder: string): (() => void) | undefined {
  const fd = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  const release = closer(fd);
  for (let attempt = 1; ; attempt++) {
    const tried = tryOrRelease(fd, release);
    if (tried === 'taken') return release;
    if (tried === 'held' && attempt < ATTEMPTS) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ATTEMPT_MS);
      continue;
    }
    release();
    if (tried === 'refused') return undefined;
    if (tried === 'held') throw new LockError(textIn(folder) ?? 'its LOCK is gone', true);
    throw new LockError(NO_HELPER, false);
  }
}

/** What the holder of a folder wrote about itself; undefined where that cannot be read. */
export function textIn(folder: string): string | undefined {
  try {
    return fs.readFileSync(path.join(folder, LOCK_NAME), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** The locks on a data folder, as long as they are held. */
export class FolderLock {
  /** Whether the folder itself is locked; else only LOCK is, as its file system allows no more. */
  readonly isWhole: boolean;
  readonly #text: string;
  readonly #releaseFolder: () => void;
  #file: LockedFile;
  #released = false;

  /**
   * Locks a folder that is there, and writes `text` for people into LOCK. Throws LockError, or what
   * the system said about folder or file.
   */
  constructor(folder: string, text: string) {
    const release = lockDirectory(folder);
    this.isWhole = release !== undefined;
    this.#releaseFolder = release ?? (() => {});
    this.#text = text;
    try {
      this.#file = lockFile(path.join(folder, LOCK_NAME), text);
    } catch (error) {
      this.#releaseFolder();
      throw error;
    }
  }

  release(): void {
    this.#released = true;
    this.#file.release();
    this.#releaseFolder();
  }

  /**
   * Looks whether LOCK in `folder` is still the file that is locked. One that was removed or replaced
   * is made again, and `again` called. Calls back with LockError if another process has it.
   */
  check(folder: string, again: () => void, done: (failure: Error | undefined) => void): void {
    const name = path.join(folder, LOCK_NAME);
    follow(name, this.#file.fd, this.#file.identity, (failure, leads) => {
      if (this.#released) return done(undefined);
      if (failure !== undefined || leads === 'to it') return done(failure);
      try {
        const made = lockFile(name, this.#text);
        this.#file.release();
        this.#file = made;
      } catch (error) {
        done(error as Error);
        return;
      }
      again();
      done(undefined);
    });
  }
}

/**
 * Whether a process has a data folder: by trying to share its lock for a moment, which holders keep
 * from happening wherever on this machine they run. `unknown`: it cannot be tried.
 */
export function holderOf(folder: string): 'somebody' | 'nobody' | 'unknown' {
  const tried = sharedBy(folder);
  return tried === 'nobody' && isLocked(path.join(folder, LOCK_NAME)) ? 'somebody' : tried;
}

function sharedBy(folder: string): 'somebody' | 'nobody' | 'unknown' {
  let fd: number;
  try {
    fd = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  } catch {
    return 'unknown';
  }
  try {
    const tried = tryLock(fd, '-s');
    if (tried === 'held') return 'somebody';
    return tried === 'taken' ? 'nobody' : 'unknown';
  } finally {
    fs.closeSync(fd);
  }
}

// Releases that lock only LOCK do not try again, so for them the kernel's list is asked, which shows
// less: not what processes in other containers hold.
function isLocked(file: string): boolean {
  try {
    const { ino } = fs.statSync(file);
    const locks = fs.readFileSync('/proc/locks', 'utf8').split('\n');
    return locks.some((line) => / FLOCK .*WRITE/.test(line) && line.includes(`:${ino} `));
  } catch {
    return false;
  }
}
