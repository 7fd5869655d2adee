// The Files port on node:fs: one directory, private to its owner. Decides nothing.

import fs from 'node:fs';
import path from 'node:path';
import type { Done, Files, Handle } from '../log/files.ts';
import { DirectFiles, isRefusal, type Move } from './direct.ts';
import { PIECE_BYTES, Release } from './release.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = fs.constants;

export class NodeFiles implements Files {
  readonly #directory: string;
  readonly #readOnly: boolean;
  readonly #direct: DirectFiles;
  readonly #release = new Release();
  // The files behind the handles. One that has no name any more may still be read.
  readonly #inodes = new Map<Handle, number>();
  #opening = 0;
  readonly #leaving = new Set<number>();

  /**
   * `readOnly`: for tools that must not change a byte. `memory`: the module's; whole blocks of it
   * are written past the system's cache.
   */
  constructor(directory: string, readOnly = false, memory?: ArrayBufferLike) {
    this.#directory = directory;
    this.#readOnly = readOnly;
    this.#direct = new DirectFiles(memory);
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
    this.#opening++;
    const end = (failure: Error | undefined, fd: Handle, bytes: number) => {
      this.#opening--;
      done(failure, fd, bytes);
    };
    fs.open(this.#path(name), flags, 0o600, (failure, fd) => {
      if (failure !== null) return end(failure, -1, 0);
      fs.fstat(fd, (statFailure, stat) => {
        if (statFailure !== null) return fs.close(fd, () => end(statFailure, -1, 0));
        this.#inodes.set(fd, stat.ino);
        end(undefined, fd, stat.size);
      });
    });
  }

  read(
    handle: Handle,
    into: Uint8Array,
    at: number,
    done: (failure: Error | undefined, bytes: number) => void,
    once = false,
  ): void {
    if (!once) {
      readFrom(handle, into, at, done);
      return;
    }
    const move: Move = (fd, end) =>
      readFrom(fd, into, at, (failure, bytes) => {
        // Not every file system says EINVAL; the usual way has the last word.
        if (failure !== undefined && fd !== handle && !isRefusal(failure))
          readFrom(handle, into, at, end);
        else end(failure, bytes);
      });
    this.#direct.use(handle, [into], at, move, done);
  }

  write(
    handle: Handle,
    parts: readonly Uint8Array[],
    at: number,
    done: (failure: Error | undefined, bytes: number) => void,
  ): void {
    this.#direct.use(handle, parts, at, (fd, end) => writeTo(fd, parts, at, end), done);
  }

  truncate(handle: Handle, bytes: number, done: Done): void {
    fs.fstat(handle, (failure, stat) => {
      if (failure !== null) return done(failure);
      this.#release.shrink(handle, stat.size, bytes, done);
    });
  }

  sync(handle: Handle, done: Done): void {
    fs.fdatasync(handle, (failure) => done(failure ?? undefined));
  }

  syncDirectory(done: Done): void {
    syncFolder(this.#directory, done);
  }

  rename(from: string, to: string, done: Done): void {
    this.#taking(to, (leave) =>
      fs.rename(this.#path(from), this.#path(to), (failure) =>
        leave(() => done(failure ?? undefined)),
      ),
    );
  }

  remove(name: string, done: Done): void {
    this.#taking(name, (leave) =>
      fs.unlink(this.#path(name), (failure) => leave(() => done(failure ?? undefined))),
    );
  }

  close(handle: Handle, done: Done): void {
    this.#direct.close(handle, () => this.#close(handle, done));
  }

  // Holds the file that is about to lose its name, if there is one, until `leave`, so that its
  // space is given back in pieces.
  #taking(name: string, act: (leave: (done: () => void) => void) => void): void {
    fs.open(this.#path(name), O_RDWR | O_NOFOLLOW, (failure, fd) => {
      if (failure !== null) act((done) => done());
      else act((done) => this.#close(fd, () => done()));
    });
  }

  #close(fd: number, done: Done): void {
    this.#inodes.delete(fd);
    const close = () => fs.close(fd, (failure) => done(failure ?? undefined));
    fs.fstat(fd, (failure, stat) => {
      if (failure !== null || stat.nlink > 0 || stat.size <= PIECE_BYTES) return close();
      if (this.#readOnly || this.#opening > 0 || this.#isOpen(stat.ino)) return close();
      this.#leaving.add(stat.ino);
      this.#release.leave(fd, stat.size, () => {
        this.#leaving.delete(stat.ino);
        done(undefined);
      });
    });
  }

  #isOpen(inode: number): boolean {
    if (this.#leaving.has(inode)) return true; // by way of another descriptor
    for (const open of this.#inodes.values()) if (open === inode) return true;
    return false;
  }

  free(done: (failure: Error | undefined, bytes: number) => void): void {
    fs.statfs(this.#directory, (failure, stats) =>
      done(failure ?? undefined, failure === null ? stats.bavail * stats.bsize : 0),
    );
  }
}

function readFrom(
  fd: number,
  into: Uint8Array,
  at: number,
  done: (failure: Error | undefined, bytes: number) => void,
): void {
  fs.read(fd, into, 0, into.length, at, (failure, bytes) => done(failure ?? undefined, bytes));
}

function writeTo(
  fd: number,
  parts: readonly Uint8Array[],
  at: number,
  done: (failure: Error | undefined, bytes: number) => void,
): void {
  const end = (failure: Error | null, written: number) => done(failure ?? undefined, written);
  const [first] = parts;
  if (parts.length === 1) fs.write(fd, first!, 0, first!.length, at, end);
  else fs.writev(fd, parts, at, end);
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
