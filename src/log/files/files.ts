// The file system reduced to what the log needs, with what each method promises. io/files.ts is the
// real one; test/support has one in memory. Callbacks rather than promises, so that a simulator
// owns the order of completions. No callback comes before its call returned.
//
// Names are plain file names within one directory. A handle stays usable after a rename.

/** An open file. */
export type Handle = number;

export type Done = (failure: Error | undefined) => void;

/** Where a name leads, compared with a file or folder that is open. */
export type Leads = 'to it' | 'elsewhere' | 'nowhere';

export interface Files {
  /** Names in the directory, which is made if it is absent. */
  list(done: (failure: Error | undefined, names: string[]) => void): void;
  /** Opens for reading and writing; `create` makes it and fails if it is there. */
  open(
    name: string,
    create: boolean,
    done: (failure: Error | undefined, handle: Handle, bytes: number) => void,
  ): void;
  /**
   * Reads at a position; fewer bytes than asked for mean the end of the file. `once`: nobody will
   * want these bytes again soon, so whole blocks of them, as with `write`, may bypass the cache.
   */
  read(
    handle: Handle,
    into: Uint8Array,
    at: number,
    done: (failure: Error | undefined, bytes: number) => void,
    once?: boolean,
  ): void;
  /**
   * Writes at a position, the parts one behind the other. May write fewer bytes than given without
   * a failure. Parts of whole blocks at a block's boundary, of memory and of file, may bypass the
   * system's cache: they must not change before the call is done.
   */
  write(
    handle: Handle,
    parts: readonly Uint8Array[],
    at: number,
    done: (failure: Error | undefined, bytes: number) => void,
  ): void;
  /** Makes a file smaller. That is durable with its next sync, or when it happens to be. */
  truncate(handle: Handle, bytes: number, done: Done): void;
  /** Makes what was written durable (fdatasync). After a failure nothing may be believed. */
  sync(handle: Handle, done: Done): void;
  /** Makes creations, renames and removals durable. */
  syncDirectory(done: Done): void;
  rename(from: string, to: string, done: Done): void;
  remove(name: string, done: Done): void;
  close(handle: Handle, done: Done): void;
  /**
   * Says where the name leads by which a file was opened, or which it was given since. A failure
   * means that it could not be found out.
   */
  follow(
    name: string,
    handle: Handle,
    done: (failure: Error | undefined, leads: Leads) => void,
  ): void;
  /**
   * The same for the directory, as it was when it was first listed; and the names in it, unless
   * none can have changed since the last call.
   */
  followDirectory(
    done: (failure: Error | undefined, leads: Leads, names: string[] | undefined) => void,
  ): void;
  /** Bytes that an unprivileged process could still allocate. */
  free(done: (failure: Error | undefined, bytes: number) => void): void;
}

/** What reading a log needs of it; a tool that takes no more can change nothing. */
export type FilesToRead = Pick<Files, 'list' | 'open' | 'read' | 'close'>;

/** Writes all parts, going on after short writes. */
export function writeAll(
  files: Files,
  handle: Handle,
  parts: readonly Uint8Array[],
  at: number,
  done: Done,
): void {
  files.write(handle, parts, at, (failure, written) => {
    if (failure !== undefined) return done(failure);
    const rest = behind(parts, written);
    if (rest.length === 0) return done(undefined);
    if (written <= 0) return done(wroteNothing(sizeOf(parts)));
    writeAll(files, handle, rest, at + written, done);
  });
}

// The system neither failed nor moved a byte: as good as an error of the device.
function wroteNothing(bytes: number): Error {
  const message = `EIO: a write of ${bytes} bytes wrote nothing`;
  return Object.assign(new Error(message), { code: 'EIO', syscall: 'write' });
}

// What is left of the parts behind their first `bytes` bytes.
function behind(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = bytes;
  for (const part of parts) {
    if (part.length > skip) rest.push(skip === 0 ? part : part.subarray(skip));
    skip = Math.max(0, skip - part.length);
  }
  return rest;
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** Whether a failure means that there is no room: retry later, nothing is wrong with the disk. */
export function isNoSpace(failure: Error): boolean {
  const { code } = failure as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EMFILE' || code === 'ENFILE';
}

/** Runs steps one after the other until one fails. */
export function sequence(steps: ((done: Done) => void)[], done: Done): void {
  const [first, ...rest] = steps;
  if (first === undefined) {
    done(undefined);
    return;
  }
  first((failure) => {
    if (failure !== undefined) done(failure);
    else sequence(rest, done);
  });
}
