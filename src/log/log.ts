// The Log port over segment files: puts segments, writer and cold windows together, and opens a log
// by recovering it or, in an empty directory, by making its first segment.

import { SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import type { Resume } from '../core/commit.ts';
import type { Codec, Failure, Log, Position } from '../core/ports.ts';
import { blockStart, blocksOf } from './blocks.ts';
import { Cold } from './cold.ts';
import { LogError } from './errors.ts';
import type { Files } from './files.ts';
import { open, settle, write } from './promises.ts';
import {
  type FoundSegment,
  type Recovered,
  recover,
  type Sink,
  takeInventory,
} from './recovery.ts';
import { readFully } from './scan.ts';
import { encodeHeader, isSpare, keyOf, NEXT_NAME, segmentName } from './segment.ts';
import { type Segment, Segments, type Spare } from './segments.ts';
import { type SyncMode, Writer } from './writer.ts';

export interface LogOptions {
  files: Files;
  codec: Codec;
  mode: SyncMode;
  segmentBytes: number;
  /** Disk space held ready beyond the next segment; 0 for none. */
  spareBytes: number;
  /** Random, for a log that is made new. */
  newLogId: bigint;
  /** Monotonic ms with fractions, for measuring. */
  now: () => number;
  wallMs: () => number;
  /** Calls back once, a short time later. */
  later: (call: () => void) => void;
  /** A line for the operator. */
  note: (level: 'info' | 'warn' | 'error', text: string) => void;
  progress: (done: number, total: number) => void;
}

/** What the log tells the broker while it lives. */
export interface LogEvents {
  segmentChanged(): void;
  failed(failure: Error): void;
  wrote(bytes: number, writeMs: number, syncMs: number): void;
}

export class FileLog implements Log {
  readonly segmentBytes: number;
  readonly #options: LogOptions;
  readonly #segments: Segments;
  readonly #writer: Writer;
  readonly #cold: Cold;
  #events: LogEvents | undefined;
  #closed = false;

  private constructor(options: LogOptions, cold: Cold, segments: Segments, end: Position) {
    this.#options = options;
    this.segmentBytes = options.segmentBytes;
    this.#cold = cold;
    this.#segments = segments;
    this.#writer = new Writer(
      {
        files: options.files,
        mode: options.mode,
        now: options.now,
        later: options.later,
        observe: (bytes, writeMs, syncMs) => this.#events?.wrote(bytes, writeMs, syncMs),
        failed: (failure) => this.#events?.failed(failure),
      },
      end,
    );
  }

  /**
   * Opens the log in the directory behind `files`, feeding its records to `sink`. Waits until the
   * next segment is made, or cannot be for now. Throws LogError, or what the system said.
   */
  static async open(
    options: LogOptions,
    sink: Sink,
  ): Promise<{ log: FileLog; resume: Resume; recovered: Recovered }> {
    const { files, codec } = options;
    let inventory = await takeInventory(files);
    for (const name of inventory.foreign)
      options.note('warn', `${name} in the log folder is not part of the log: ignored`);
    const spares = await adopt(options, inventory.leftovers);
    if (inventory.segments.length === 0) {
      await createFirst(options);
      inventory = await takeInventory(files);
    }
    const recovered = await recover(files, codec, inventory, sink, options.progress);
    codec.setKey(keyOf(recovered.logId));
    for (const { handle, name } of recovered.unneeded) {
      await settle((done) => files.close(handle, done));
      await settle((done) => files.remove(name, done));
    }
    await dropOdd(options, recovered);
    const log = FileLog.#assemble(options, recovered, spares);
    await log.#loadImage(recovered.resume);
    await log.#prepared();
    return { log, resume: recovered.resume, recovered };
  }

  static #assemble(options: LogOptions, recovered: Recovered, spares: Spare[]): FileLog {
    const { files, codec, segmentBytes, spareBytes, wallMs } = options;
    const { resume, logId, next } = recovered;
    const cold = new Cold(codec, files, () => segments);
    const segments: Segments = new Segments(
      {
        files,
        zeros: codec.zeros,
        segmentBytes,
        spareBytes,
        logId,
        epoch: resume.epoch,
        wallMs,
        now: options.now,
        changed: () => log.#changed(),
        trouble: (text, failure) => options.note('warn', `${text}: ${failure.message}`),
      },
      recovered.segments.map(asSegment),
      next === undefined ? undefined : asSegment(next),
      spares,
    );
    const log: FileLog = new FileLog(options, cold, segments, resume.base + resume.offset);
    return log;
  }

  // The block that the next append begins in: its head is written again with every append to it.
  async #loadImage({ base, offset }: Resume): Promise<void> {
    const { files, codec } = this.#options;
    const from = blockStart(offset);
    const into = codec.memory.subarray(codec.coldBytes + from, codec.coldBytes + offset);
    const got = await readFully(files, this.#segments.find(base)!.handle, into, from);
    if (got < into.length) throw new LogError('io', `${segmentName(base)} ended while it was read`);
  }

  #waiting: (() => void) | undefined;

  #changed(): void {
    this.#waiting?.();
    this.#waiting = undefined;
    this.#events?.segmentChanged();
  }

  #prepared(): Promise<void> {
    if (this.#segments.next !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#segments.prepare();
    });
  }

  /** Connects the broker. */
  listen(events: LogEvents): void {
    this.#events = events;
  }

  nextReady(): boolean {
    return this.#segments.next !== undefined;
  }

  blocked(): string | undefined {
    return this.#segments.blocked;
  }

  stalled(): boolean {
    return this.#writer.full;
  }

  get full(): boolean {
    return this.#writer.full || this.#segments.blocked !== undefined;
  }

  append(position: Position, bytes: number, done: (failure: Failure) => void): void {
    const segment = this.#segments.find(position);
    if (segment === undefined) throw new LogError('missing', `no segment holds ${position}`);
    const { codec, mode } = this.#options;
    const image = codec.memory.subarray(codec.coldBytes, codec.coldBytes + segment.bytes);
    const from = position - segment.base;
    // What is synced at once goes past the system's cache, which wants whole blocks; what is not
    // gains from it.
    const blocks = mode === 'commit';
    const at = blocks ? blockStart(from) : from;
    const parts = blocks
      ? blocksOf(image, at, from + bytes, codec.block)
      : [image.subarray(from, from + bytes)];
    this.#writer.append({ segment, parts, at, bytes, end: position + bytes }, done);
  }

  get syncedPosition(): Position {
    return this.#writer.synced;
  }

  roll(base: Position): void {
    this.#segments.roll();
    if (this.#segments.open.base !== base)
      throw new LogError('missing', `the segment after this one is at ${this.#segments.open.base}`);
  }

  resident(position: Position, recordBytes: number): number {
    return this.#cold.resident(position, recordBytes);
  }

  load(position: Position, recordBytes: number, done: (failure: Failure) => void): void {
    this.#cold.load(position, recordBytes, done);
  }

  trim(position: Position): void {
    this.#cold.trim(position);
    if (this.#options.mode === 'commit') {
      this.#segments.trim(position);
      return;
    }
    // The weaker modes call the trim record done before it is on disk.
    this.#writer.syncNow((failure) => {
      if (failure === undefined) this.#segments.trim(position);
    });
  }

  get startPosition(): Position {
    return this.#segments.list[0]!.base;
  }

  bases(): readonly Position[] {
    return this.#segments.list.map((segment) => segment.base);
  }

  get diskBytes(): number {
    return this.#segments.diskBytes;
  }

  /** Files held ready for further segments. */
  get spares(): number {
    return this.#segments.spares;
  }

  get coldReads(): { reads: number; bytes: number } {
    return { reads: this.#cold.reads, bytes: this.#cold.readBytes };
  }

  /** Tries again what failed for want of space; to be called about once a second. */
  retry(): void {
    this.#segments.retry();
  }

  /** Syncs what modes interval and none have not synced. */
  sync(done: (failure: Failure) => void): void {
    this.#writer.syncNow(done);
  }

  /** Closes the files. No append or read may be in flight; a file being made is waited for. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await new Promise<void>((resolve) => this.#segments.close(resolve));
  }
}

// Takes over the files held ready by the last broker, as many as are wanted; removes other
// leftovers.
async function adopt(options: LogOptions, leftovers: string[]): Promise<Spare[]> {
  const { files, segmentBytes, spareBytes } = options;
  const spares: Spare[] = [];
  for (const name of leftovers) {
    if (isSpare(name) && (spares.length + 1) * segmentBytes <= spareBytes) {
      const { handle, bytes } = await open(files, name);
      if (bytes === segmentBytes) {
        spares.push({ name, handle, bytes });
        continue;
      }
      await settle((done) => files.close(handle, done));
    }
    await settle((done) => files.remove(name, done));
  }
  // Their names must be on disk before one is used again: a crash may not find another segment's
  // header under the name it had before it was given back.
  if (spares.length > 0) await settle((done) => files.syncDirectory(done));
  return spares;
}

function asSegment(found: FoundSegment): Segment {
  const { base, bytes, handle } = found;
  return { base, bytes, handle, reads: 0, retired: false };
}

// A next segment that was made for another size than is wanted now is made anew.
async function dropOdd(options: LogOptions, recovered: Recovered): Promise<void> {
  const { next } = recovered;
  if (next === undefined || next.bytes === options.segmentBytes) return;
  await settle((done) => options.files.close(next.handle, done));
  await settle((done) => options.files.remove(next.name, done));
  await settle((done) => options.files.syncDirectory(done));
  recovered.next = undefined;
}

// A log begins with one segment at position 0; like every later one it is complete before it has
// its name, so a crash here leaves an empty directory.
async function createFirst(options: LogOptions): Promise<void> {
  const { files, codec, segmentBytes, newLogId, wallMs } = options;
  const name = NEXT_NAME;
  const handle = await new Promise<number>((resolve, reject) =>
    files.open(name, true, (failure, opened) =>
      failure === undefined ? resolve(opened) : reject(failure),
    ),
  );
  const { zeros } = codec;
  for (let at = 0; at < segmentBytes; at += zeros.length)
    await write(files, handle, zeros.subarray(0, Math.min(zeros.length, segmentBytes - at)), at);
  const timeMs = wallMs();
  const header = encodeHeader({
    base: 0,
    bytes: segmentBytes,
    start: 0,
    logId: newLogId,
    timeMs,
    epoch: 0,
  });
  await write(files, handle, header.subarray(0, SEGMENT_DATA_AT), 0);
  await settle((done) => files.sync(handle, done));
  await settle((done) => files.rename(name, segmentName(0), done));
  await settle((done) => files.syncDirectory(done));
  await settle((done) => files.close(handle, done));
}
