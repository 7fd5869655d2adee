// The Files port on node:fs: one directory, private to its owner. Decides nothing.

import fs from 'node:fs';
import path from 'node:path';
import type { Done, Files, Handle, Leads } from '../log/files/files.ts';
import { DirectFiles, isRefusal, type Move } from './direct.ts';
import { follow, identityOf } from './identity.ts';
import { PIECE_BYTES, Release } from './release.ts';

const NOT_OPEN = new Error('it is not open');
// After so many looks without a change the names are not read again.
const QUIET_LOOKS = 5;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = fs.constants;

export class NodeFiles implements Files {
  readonly #where: () => string;
  readonly #readOnly: boolean;
  readonly #direct: DirectFiles;
  readonly #release = new Release();
  // The files behind the handles. One that has no name any more may still be read.
  readonly #identities = new Map<Handle, string>();
  // The directory as it was when it was first listed.
  #held: { fd: number; identity: string } | undefined;
  #changedNs = 0n;
  #quietLooks = 0;
  #opening = 0;
  readonly #leaving = new Set<string>();

  /**
   * `directory`: its path, or what tells it where it may change. `readOnly`: for tools that must not
   * change a byte. `memory`: the module's; whole blocks of it are written past the system's cache.
   */
  constructor(directory: string | (() => string), readOnly = false, memory?: ArrayBufferLike) {
    this.#where = typeof directory === 'string' ? () => directory : directory;
    this.#readOnly = readOnly;
    this.#direct = new DirectFiles(memory);
  }

  get #directory(): string {
    return this.#where();
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
        syncFailure === undefined ? this.#hold(read, done) : done(syncFailure, []),
      );
    });
  }

  #hold(read: () => void, done: (failure: Error, names: string[]) => void): void {
    if (this.#held !== undefined) {
      read();
      return;
    }
    fs.open(this.#directory, O_RDONLY, (failure, fd) => {
      if (failure !== null) return done(failure, []);
      fs.fstat(fd, { bigint: true }, (statFailure, stat) => {
        if (statFailure !== null) return fs.close(fd, () => done(statFailure, []));
        this.#held = { fd, identity: identityOf(stat) };
        read();
      });
    });
  }

  /** Lets go of the directory. */
  letGo(): void {
    if (this.#held !== undefined) fs.closeSync(this.#held.fd);
    this.#held = undefined;
  }

  /** What is open. */
  get handles(): Handle[] {
    return [...this.#identities.keys()];
  }

  follow(
    name: string,
    handle: Handle,
    done: (failure: Error | undefined, leads: Leads) => void,
  ): void {
    const identity = this.#identities.get(handle);
    if (identity === undefined) setImmediate(done, NOT_OPEN, 'to it');
    else follow(this.#path(name), handle, identity, (failure, leads) => done(failure, leads));
  }

  followDirectory(
    done: (failure: Error | undefined, leads: Leads, names: string[] | undefined) => void,
  ): void {
    if (this.#held === undefined) return void setImmediate(done, NOT_OPEN, 'to it', undefined);
    const { fd, identity } = this.#held;
    follow(this.#directory, fd, identity, (failure, leads, found) => {
      if (failure !== undefined || leads !== 'to it') return done(failure, leads, undefined);
      if (!this.#mayHaveChanged(found!.mtimeNs)) return done(undefined, leads, undefined);
      fs.readdir(this.#directory, (listFailure, names) =>
        done(listFailure ?? undefined, leads, names),
      );
    });
  }

  // Where another directory has its path now, no name is made, changed or removed.
  #ifThere(act: () => void, done: Done): void {
    if (this.#held === undefined) {
      act();
      return;
    }
    const { fd, identity } = this.#held;
    follow(this.#directory, fd, identity, (_failure, leads) => {
      if (leads === 'to it') act();
      else done(new Error(`${this.#directory} is not the folder any more that it was`));
    });
  }

  // Two changes may have one time on file systems that count in seconds.
  #mayHaveChanged(changedNs: bigint): boolean {
    this.#quietLooks = changedNs === this.#changedNs ? this.#quietLooks + 1 : 0;
    this.#changedNs = changedNs;
    return this.#quietLooks < QUIET_LOOKS;
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
    const open = () =>
      fs.open(this.#path(name), flags, 0o600, (failure, fd) => {
        if (failure !== null) return end(failure, -1, 0);
        fs.fstat(fd, { bigint: true }, (statFailure, stat) => {
          if (statFailure !== null) return fs.close(fd, () => end(statFailure, -1, 0));
          this.#identities.set(fd, identityOf(stat));
          end(undefined, fd, Number(stat.size));
        });
      });
    if (create) this.#ifThere(open, (failure) => end(failure, -1, 0));
    else open();
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
    const rename = () =>
      this.#taking(to, (leave) =>
        fs.rename(this.#path(from), this.#path(to), (failure) =>
          leave(() => done(failure ?? undefined)),
        ),
      );
    this.#ifThere(rename, done);
  }

  remove(name: string, done: Done): void {
    const remove = () =>
      this.#taking(name, (leave) =>
        fs.unlink(this.#path(name), (failure) => leave(() => done(failure ?? undefined))),
      );
    this.#ifThere(remove, done);
  }

  close(handle: Handle, done: Done): void {
    this.#direct.close(handle, () => this.#close(handle, done));
  }

  // Holds the file that loses its name until `leave`, as its space is given back in pieces.
  #taking(name: string, act: (leave: (done: () => void) => void) => void): void {
    fs.open(this.#path(name), O_RDWR | O_NOFOLLOW, (failure, fd) => {
      if (failure !== null) act((done) => done());
      else act((done) => this.#close(fd, () => done()));
    });
  }

  #close(fd: number, done: Done): void {
    this.#identities.delete(fd);
    const close = () => fs.close(fd, (failure) => done(failure ?? undefined));
    fs.fstat(fd, { bigint: true }, (failure, stat) => {
      if (failure !== null || stat.nlink > 0n || stat.size <= PIECE_BYTES) return close();
      const identity = identityOf(stat);
      if (this.#readOnly || this.#opening > 0 || this.#isOpen(identity)) return close();
      this.#leaving.add(identity);
      this.#release.leave(fd, Number(stat.size), () => {
        this.#leaving.delete(identity);
        done(undefined);
      });
    });
  }

  #isOpen(identity: string): boolean {
    if (this.#leaving.has(identity)) return true; // by way of another descriptor
    for (const open of this.#identities.values()) if (open === identity) return true;
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
