// The Files port on node:fs: one directory, private to its owner. Decides nothing.

import fs from 'node:fs';
import path from 'node:path';
import type { Done, Files, Handle } from '../log/files.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = fs.constants;

export class NodeFiles implements Files {
  readonly #directory: string;
  readonly #readOnly: boolean;

  /** `readOnly`: for tools that must not change a byte. */
  constructor(directory: string, readOnly = false) {
    this.#directory = directory;
    this.#readOnly = readOnly;
  }

  #path(name: string): string {
    return path.join(this.#directory, name);
  }

  list(done: (failure: Error | undefined, names: string[]) => void): void {
    const read = () =>
      fs.readdir(this.#directory, (failure, names) => done(failure ?? undefined, names ?? []));
    if (this.#readOnly) {
      read();
      return;
    }
    fs.mkdir(this.#directory, { recursive: true, mode: 0o700 }, (failure, made) => {
      if (failure !== null) return done(failure, []);
      // Also if it was there: the process that made it may have ended before it synced.
      const last = path.resolve(this.#directory);
      const first = made === undefined ? last : path.resolve(made);
      syncParents(last, first, (syncFailure) =>
        syncFailure === undefined ? read() : done(syncFailure, []),
      );
    });
  }

  open(
    name: string,
    create: boolean,
    done: (failure: Error | undefined, handle: Handle, bytes: number) => void,
  ): void {
    const access = this.#readOnly ? O_RDONLY : O_RDWR;
    const flags = access | O_NOFOLLOW | (create ? O_CREAT | O_EXCL : 0);
    fs.open(this.#path(name), flags, 0o600, (failure, fd) => {
      if (failure !== null) return done(failure, -1, 0);
      fs.fstat(fd, (statFailure, stat) => {
        if (statFailure === null) return done(undefined, fd, stat.size);
        fs.close(fd, () => done(statFailure, -1, 0));
      });
    });
  }

  read(
    handle: Handle,
    into: Uint8Array,
    at: number,
    done: (failure: Error | undefined, bytes: number) => void,
  ): void {
    fs.read(handle, into, 0, into.length, at, (failure, bytes) =>
      done(failure ?? undefined, bytes),
    );
  }

  write(
    handle: Handle,
    bytes: Uint8Array,
    at: number,
    done: (failure: Error | undefined, bytes: number) => void,
  ): void {
    fs.write(handle, bytes, 0, bytes.length, at, (failure, written) =>
      done(failure ?? undefined, written),
    );
  }

  sync(handle: Handle, done: Done): void {
    fs.fdatasync(handle, (failure) => done(failure ?? undefined));
  }

  syncDirectory(done: Done): void {
    syncFolder(this.#directory, done);
  }

  rename(from: string, to: string, done: Done): void {
    fs.rename(this.#path(from), this.#path(to), (failure) => done(failure ?? undefined));
  }

  remove(name: string, done: Done): void {
    fs.unlink(this.#path(name), (failure) => done(failure ?? undefined));
  }

  close(handle: Handle, done: Done): void {
    fs.close(handle, (failure) => done(failure ?? undefined));
  }

  free(done: (failure: Error | undefined, bytes: number) => void): void {
    fs.statfs(this.#directory, (failure, stats) =>
      done(failure ?? undefined, failure === null ? stats.bavail * stats.bsize : 0),
    );
  }
}

function syncFolder(folder: string, done: Done): void {
  fs.open(folder, O_RDONLY, (failure, fd) => {
    if (failure !== null) return done(failure);
    fs.fsync(fd, (syncFailure) => fs.close(fd, () => done(syncFailure ?? undefined)));
  });
}

// Directories are durable when the ones that name them are synced: those above `last`, up to the one
// above `first`.
function syncParents(last: string, first: string, done: Done): void {
  const parent = path.dirname(last);
  syncFolder(parent, (failure) => {
    if (failure !== undefined || last === first) return done(failure);
    syncParents(parent, first, done);
  });
}
