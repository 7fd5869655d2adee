// Gives the space of files back in pieces. A file system that tells its disk about free blocks at
// once (ext4 mounted with `discard`) keeps every other call on that disk waiting meanwhile: 12 to
// 20 ms for a segment of 64 MiB, 0.3 ms for a piece, where a commit takes 0.2 (bench/README.md).

import fs from 'node:fs';
import type { Done } from '../log/files/files.ts';
import { after } from '../time/timers.ts';

/** Given back at a time. */
export const PIECE_BYTES = 1024 * 1024;
// Between two pieces, so that others use the disk.
const BREAK_MS = 1;
// With more files in the line there are no breaks: whoever gave them back waits for the space.
const LONG_LINE = 16;

interface Leaving {
  fd: number;
  bytes: number;
  done: () => void;
}

export class Release {
  // Files without a name, of which the first is being given back.
  readonly #line: Leaving[] = [];

  /** Makes an open file smaller; it may end up between the two sizes if that fails. */
  shrink(fd: number, from: number, to: number, done: Done): void {
    const bytes = Math.max(to, from - PIECE_BYTES);
    fs.ftruncate(fd, bytes, (failure) => {
      if (failure !== null || bytes <= to) done(failure ?? undefined);
      else after(BREAK_MS, () => this.shrink(fd, bytes, to, done));
    });
  }

  /** Closes a file of that size that has no name any more and that nobody else has open. */
  leave(fd: number, bytes: number, done: () => void): void {
    this.#line.push({ fd, bytes, done });
    if (this.#line.length === 1) this.#next();
  }

  #next(): void {
    const [first] = this.#line;
    if (first === undefined) return;
    if (first.bytes <= PIECE_BYTES) {
      this.#close(first); // the last piece goes with the file
      return;
    }
    first.bytes -= PIECE_BYTES;
    fs.ftruncate(first.fd, first.bytes, (failure) => {
      // Closing gives all of it back.
      if (failure !== null) this.#close(first);
      else if (this.#line.length > LONG_LINE) this.#next();
      else after(BREAK_MS, () => this.#next());
    });
  }

  #close({ fd, done }: Leaving): void {
    fs.close(fd, () => {
      this.#line.shift();
      done();
      this.#next();
    });
  }
}
