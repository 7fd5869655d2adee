// Writes and reads that bypass the system's page cache (O_DIRECT): about three times the rate of
// write and sync through it for large commits here, at less than half of the processor time; a
// backlog that is read back takes a third of the time of the threads that read. The kernel takes
// whole blocks only, of the file and of memory; file systems that cannot do it say so with EINVAL,
// and their files go through the cache from then on. It is done through a second descriptor, so
// that everything else still goes through the first; the kernel keeps both views alike.

import fs from 'node:fs';
import { BLOCK_BYTES } from '../../assembly/layout.ts';
import type { Handle } from '../log/files/files.ts';

type Moved = (failure: Error | undefined, bytes: number) => void;
/** Moves bytes by way of a descriptor. */
export type Move = (fd: number, end: Moved) => void;

// Not there on other systems than Linux.
const O_DIRECT: number | undefined = fs.constants.O_DIRECT;
const NONE = -1;

export class DirectFiles {
  // The second descriptor of each file used this way; NONE: the file system cannot do it.
  readonly #twins = new Map<Handle, number>();
  // Second descriptors that are not used any more.
  readonly #unused = new Map<Handle, number>();
  readonly #memory: ArrayBufferLike | undefined;
  #possible = O_DIRECT !== undefined;

  /** `memory`: begins at a page, as a module's does; only its parts are moved this way. */
  constructor(memory: ArrayBufferLike | undefined) {
    this.#memory = memory;
  }

  /**
   * Calls `move` with the descriptor that is right for these parts of memory at this place of the
   * file; with the file's own one again if the system does not want it the other way.
   */
  use(handle: Handle, parts: readonly Uint8Array[], at: number, move: Move, done: Moved): void {
    if (!this.#mayTake(parts, at)) {
      move(handle, done);
      return;
    }
    this.#twin(handle, (twin) => {
      if (twin === NONE) return move(handle, done);
      move(twin, (failure, bytes) => {
        if (!isRefusal(failure)) return done(failure, bytes);
        this.#refused(handle);
        move(handle, done);
      });
    });
  }

  #mayTake(parts: readonly Uint8Array[], at: number): boolean {
    if (!this.#possible || !isAligned(at)) return false;
    return parts.every(
      ({ buffer, byteOffset, length }) =>
        buffer === this.#memory && isAligned(byteOffset) && isAligned(length),
    );
  }

  // Calls back with the second descriptor, or NONE if there can be none.
  #twin(handle: Handle, done: (twin: number) => void): void {
    const known = this.#twins.get(handle);
    if (known !== undefined) {
      done(known);
      return;
    }
    this.#twins.set(handle, NONE); // for whoever comes before it is open
    // By way of the open file, because its name may have changed since.
    fs.open(`/proc/self/fd/${handle}`, fs.constants.O_RDWR | O_DIRECT!, (failure, fd) => {
      if (failure?.code === 'EINVAL') this.#possible = false;
      if (failure !== null) return done(NONE);
      if (!this.#twins.has(handle)) {
        fs.close(fd, () => done(NONE)); // the file was closed meanwhile
        return;
      }
      this.#twins.set(handle, fd);
      done(fd);
    });
  }

  // Refused for the shape: the file system wants another one, or cannot do it. Others may be using
  // the descriptor at this moment, so it stays open as long as the file.
  #refused(handle: Handle): void {
    const twin = this.#twins.get(handle);
    this.#twins.set(handle, NONE);
    if (twin !== undefined && twin !== NONE) this.#unused.set(handle, twin);
  }

  close(handle: Handle, done: () => void): void {
    const open = this.#twins.get(handle) ?? NONE;
    const twin = open === NONE ? this.#unused.get(handle) : open;
    this.#twins.delete(handle);
    this.#unused.delete(handle);
    if (twin === undefined) done();
    else fs.close(twin, () => done());
  }
}

/** Whether a call failed for its shape. */
export function isRefusal(failure: Error | undefined): boolean {
  return (failure as NodeJS.ErrnoException | undefined)?.code === 'EINVAL';
}

function isAligned(offset: number): boolean {
  return offset % BLOCK_BYTES === 0;
}
