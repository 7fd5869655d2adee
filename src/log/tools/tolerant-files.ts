// Reading from a failing disk: over another folder, as files whose unreadable blocks are zeros. So
// one bad sector costs the record it is in, not the rest of its segment. Remembers where they are.

import type { FilesToRead, Handle } from '../files/files.ts';

/** Bytes that the disk does not give back. */
export interface Unreadable {
  name: string;
  offset: number;
  bytes: number;
}

const BLOCK_BYTES = 4096;

export class TolerantFiles implements FilesToRead {
  readonly #files: FilesToRead;
  readonly #names = new Map<Handle, string>();
  // Numbers of unreadable blocks: asking for them again may take the disk seconds each.
  readonly #bad = new Map<Handle, Set<number>>();

  constructor(files: FilesToRead) {
    this.#files = files;
  }

  /** What was found so far, neighbouring blocks together. */
  get unreadable(): Unreadable[] {
    const found: Unreadable[] = [];
    for (const [handle, name] of this.#names) {
      for (const block of [...(this.#bad.get(handle) ?? [])].sort((a, b) => a - b)) {
        const last = found.at(-1);
        const offset = block * BLOCK_BYTES;
        if (last?.name === name && last.offset + last.bytes === offset) last.bytes += BLOCK_BYTES;
        else found.push({ name, offset, bytes: BLOCK_BYTES });
      }
    }
    return found;
  }

  list(done: Parameters<FilesToRead['list']>[0]): void {
    this.#files.list(done);
  }

  open(name: string, create: boolean, done: Parameters<FilesToRead['open']>[2]): void {
    this.#files.open(name, create, (failure, handle, bytes) => {
      if (failure === undefined) this.#names.set(handle, name);
      done(failure, handle, bytes);
    });
  }

  close(handle: Handle, done: Parameters<FilesToRead['close']>[1]): void {
    this.#files.close(handle, done);
  }

  read(handle: Handle, into: Uint8Array, at: number, done: ReadDone): void {
    if (this.#isBad(handle, at, into.length)) {
      this.#split(handle, into, at, done);
      return;
    }
    this.#files.read(handle, into, at, (failure, bytes) => {
      if ((failure as NodeJS.ErrnoException | undefined)?.code !== 'EIO') done(failure, bytes);
      else this.#split(handle, into, at, done);
    });
  }

  #isBad(handle: Handle, at: number, bytes: number): boolean {
    for (const block of this.#bad.get(handle) ?? [])
      if (block * BLOCK_BYTES < at + bytes && at < (block + 1) * BLOCK_BYTES) return true;
    return false;
  }

  // Reads the two halves one after the other, down to a block, which becomes zeros.
  #split(handle: Handle, into: Uint8Array, at: number, done: ReadDone): void {
    const block = Math.floor(at / BLOCK_BYTES);
    const blocks = Math.ceil((at + into.length) / BLOCK_BYTES) - block;
    if (blocks <= 1) {
      if (!this.#bad.has(handle)) this.#bad.set(handle, new Set());
      this.#bad.get(handle)!.add(block);
      into.fill(0);
      queueMicrotask(() => done(undefined, into.length));
      return;
    }
    const first = (block + (blocks >> 1)) * BLOCK_BYTES - at;
    this.read(handle, into.subarray(0, first), at, (failure, bytes) => {
      if (failure !== undefined || bytes < first) return done(failure, bytes);
      this.read(handle, into.subarray(first), at + first, (restFailure, rest) =>
        done(restFailure, restFailure === undefined ? bytes + rest : 0),
      );
    });
  }
}

type ReadDone = Parameters<FilesToRead['read']>[3];
