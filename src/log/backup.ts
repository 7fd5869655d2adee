// A copy of a log as it was at one moment, made beside the traffic. At that moment, the cut, all
// segments are pinned: their files stay what they are, whatever compaction and trims make of the
// log meanwhile, and each is let go as soon as it is copied. So a backup keeps disk space from
// being given back only as long as it takes, and only what it still needs.
//
//   segment                        what the copy gets
//   complete before the cut        all of it
//   the one in which the cut is    what is before the cut: on disk, and it ends a batch; then zeros
//   one begun behind the cut       its header; zeros
//
// Indexes and checkpoint are caches, and are made again by the start.

import { SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import type { Position } from '../core/ports/basics.ts';
import { LogError } from './files/errors.ts';
import type { Files, Handle } from './files/files.ts';
import { settle, write } from './files/promises.ts';
import type { Throttle } from './files/throttle.ts';
import { readFully } from './scan/scan.ts';
import { segmentName } from './segments/segment.ts';
import type { Segments } from './segments/segments.ts';

/** A segment that keeps its file. */
export class Pinned {
  readonly name: string;
  /** Size of the copy; what is behind `upTo` in it is zeros. */
  readonly bytes: number;
  readonly upTo: number;
  readonly #files: Files;
  readonly #handle: Handle;
  #release: (() => void) | undefined;
  #reading = false;
  #left = false;

  constructor(
    files: Files,
    segment: { base: Position; bytes: number; handle: Handle },
    upTo: number,
    release: () => void,
  ) {
    this.name = segmentName(segment.base);
    this.bytes = segment.bytes;
    this.upTo = Math.min(upTo, segment.bytes);
    this.#files = files;
    this.#handle = segment.handle;
    this.#release = release;
  }

  /** Reads all that `into` holds. Throws LogError `io`, or what the system says. */
  async read(into: Uint8Array, at: number): Promise<void> {
    if (this.#left) throw new LogError('io', `${this.name} is not held any more`);
    this.#reading = true;
    try {
      const got = await readFully(this.#files, this.#handle, into, at);
      if (got < into.length)
        throw new LogError('io', `${this.name} ended at byte ${at + got} while it was read`);
    } finally {
      this.#reading = false;
      if (this.#left) this.#let();
    }
  }

  /** Lets the file go, when a read that is under way has ended. May be called again. */
  release(): void {
    this.#left = true;
    if (!this.#reading) this.#let();
  }

  #let(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}

/** A log at one moment. */
export interface Cut {
  /** Where it ends. */
  end: Position;
  /** Oldest first. Whoever has them lets them go. */
  pinned: Pinned[];
  /** Bytes to copy at a time, as others use the disk now, and a break after that. */
  piece: () => number;
  turn: () => Promise<void>;
}

// Copied at a time; and while others are not to wait.
const PIECE_BYTES = 1024 * 1024;
const SMALL_PIECE_BYTES = 128 * 1024;

/** Pins all segments; everything before `end` is on disk, and a batch ends there. */
export function cutAt(files: Files, segments: Segments, end: Position, pace: Throttle): Cut {
  const pinned = segments.list.map((segment) => {
    const isOpen = segment === segments.open || segment.end > end;
    const upTo = isOpen ? Math.max(SEGMENT_DATA_AT, end - segment.base) : segment.bytes;
    const held = segments.hold(segment.base);
    return new Pinned(files, segment, upTo, () => segments.readDone(held));
  });
  return {
    end,
    pinned,
    piece: () => pace.piece(SMALL_PIECE_BYTES, PIECE_BYTES),
    turn: () => new Promise((resolve) => pace.later(resolve, false)),
  };
}

export interface CopyOptions {
  /** Oldest first. All of them are let go when the promise settles. */
  pinned: readonly Pinned[];
  /** An empty folder. */
  into: Files;
  /** As many zeros as are written at a time. */
  zeros: Uint8Array;
  /** Bytes of the next piece. */
  piece: () => number;
  /** Called after each piece; the copy goes on when it settles, and ends if it is rejected. */
  turn: (copied: { bytes: number; segments: number }) => Promise<void>;
}

// Synced every so often, so that its writeback does not delay a commit for long.
const SYNC_BYTES = 4 * 1024 * 1024;

/** Bytes that copies of these segments have. */
export function bytesOf(pinned: readonly Pinned[]): number {
  return pinned.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * Copies pinned segments, synced with their names when the promise settles. Throws what `turn` or
 * the system says; what was written stays.
 */
export async function copyPinned(options: CopyOptions): Promise<void> {
  const { pinned, into } = options;
  const copied = { bytes: 0, segments: 0 };
  const buffer = new Uint8Array(PIECE_BYTES);
  try {
    await new Promise<void>((resolve, reject) =>
      into.list((failure) => (failure === undefined ? resolve() : reject(failure))),
    );
    for (const segment of pinned) {
      await copyOne(options, segment, buffer, copied);
      segment.release();
      copied.segments++;
    }
    await settle((done) => into.syncDirectory(done));
  } finally {
    for (const segment of pinned) segment.release();
  }
}

async function copyOne(
  { into, zeros, piece, turn }: CopyOptions,
  segment: Pinned,
  buffer: Uint8Array,
  copied: { bytes: number; segments: number },
): Promise<void> {
  const handle = await create(into, segment.name);
  try {
    let unsynced = 0;
    for (let at = 0; at < segment.bytes; ) {
      const end = at < segment.upTo ? segment.upTo : segment.bytes;
      const bytes = Math.min(piece(), zeros.length, buffer.length, end - at);
      let part = zeros.subarray(0, bytes);
      if (at < segment.upTo) {
        part = buffer.subarray(0, bytes);
        await segment.read(part, at);
      }
      await write(into, handle, part, at);
      at += bytes;
      unsynced += bytes;
      copied.bytes += bytes;
      if (unsynced >= SYNC_BYTES || at === segment.bytes) {
        await settle((done) => into.sync(handle, done));
        unsynced = 0;
      }
      await turn(copied);
    }
  } finally {
    await settle((done) => into.close(handle, done)).catch(() => {});
  }
}

function create(files: Files, name: string): Promise<Handle> {
  return new Promise((resolve, reject) =>
    files.open(name, true, (failure, handle) =>
      failure === undefined ? resolve(handle) : reject(failure),
    ),
  );
}
