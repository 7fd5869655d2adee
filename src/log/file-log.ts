// The ports of a log over segment files: puts segments, writer and cold windows together, and opens
// a log by recovering it or, in an empty directory, by making its first segment (opening.ts).

import type { Failure, Position } from '../core/ports/basics.ts';
import type { Journal, Resume } from '../core/ports/journal.ts';
import type { LogPorts, LogStatus } from '../core/ports/log.ts';
import type { RecordReader } from '../core/ports/reader.ts';
import type { SegmentSpace } from '../core/ports/segments.ts';
import { type Cut, cutAt } from './backup.ts';
import { Compactor } from './compaction/compactor.ts';
import { blockStart, blocksOf } from './files/blocks.ts';
import { closedError, LogError } from './files/errors.ts';
import type { Throttle } from './files/throttle.ts';
import { GivingBack } from './giving-back.ts';
import { IndexedSegments } from './indexed-segments.ts';
import { loadImage, type RecoveredFolder, recoverFolder } from './opening.ts';
import { ReadCache } from './read-cache/read-cache.ts';
import { readRecords } from './read-cache/read-record.ts';
import { asSegment } from './recovery/folder.ts';
import type { LogEvents, LogOptions } from './recovery/log-options.ts';
import type { Recovered } from './recovery/recovery.ts';
import type { Sink } from './recovery/sink.ts';
import type { SegmentDueTimes } from './segment-due-times.ts';
import { Segments } from './segments/segments.ts';
import { Watch } from './segments/watch.ts';
import { Writer } from './segments/writer.ts';
import { LogUpkeep } from './upkeep.ts';

export class FileLog implements Journal, SegmentSpace, RecordReader, LogStatus {
  /** The log as a broker takes it. */
  readonly ports: LogPorts & { readonly due: SegmentDueTimes };
  readonly index: IndexedSegments;
  readonly upkeep: LogUpkeep;
  readonly depth = 1;
  readonly aheadBytes = Number.POSITIVE_INFINITY;
  readonly segmentBytes: number;
  readonly #options: LogOptions;
  readonly #segments: Segments;
  readonly #writer: Writer;
  readonly #cold: ReadCache;
  #events: LogEvents | undefined;
  #closing: Promise<void> | undefined;
  #epoch: number;
  readonly #compactor: Compactor;
  readonly #givingBack: GivingBack;
  readonly #pace: Throttle;
  readonly #watch: Watch;

  private constructor(
    options: LogOptions,
    parts: Pick<RecoveredFolder, 'store' | 'due' | 'ids' | 'pace'> & {
      cold: ReadCache;
      segments: Segments;
      logId: bigint;
    },
    { base, offset, epoch }: Resume,
  ) {
    this.#options = options;
    this.#epoch = options.isCopy === true ? epoch - 1 : epoch;
    this.segmentBytes = options.segmentBytes;
    this.#cold = parts.cold;
    this.#segments = parts.segments;
    this.#pace = parts.pace;
    this.index = new IndexedSegments(options.files, parts);
    this.#writer = new Writer(
      {
        files: options.files,
        mode: options.mode,
        now: options.now,
        later: options.later,
        observe: (bytes, writeMs, syncMs) => this.#events?.wrote(bytes, writeMs, syncMs),
        confirm: (done) => this.#watch.confirm(done),
        failed: (failure) => this.#events?.failed(failure),
      },
      base + offset,
    );
    const { segments, store, due } = parts;
    this.#compactor = new Compactor({
      ...options,
      ...parts,
      synced: () => this.#writer.synced,
      indexed: (base) => this.index.of(base),
      swapped: () => this.#givingBack.goOn(),
    });
    const { index } = this;
    this.#givingBack = new GivingBack(segments, index, () => this.#compactor.swapping);
    this.upkeep = new LogUpkeep(options, { compactor: this.#compactor, segments, store, index });
    this.ports = { journal: this, space: this, reader: this, index, due, upkeep: this.upkeep };
    this.#watch = new Watch({
      ...options,
      places: options.places ?? [],
      segments,
      renaming: () => this.#compactor.renaming,
      lost: (failure) => this.#lost(failure),
    });
  }

  /**
   * Opens the log in the directory behind `files`, feeding its records to `sink`. Waits until the
   * next segment is made, or cannot be for now, and it is known whether messages may use it. Throws
   * LogError, or what the system said.
   */
  static async open(
    options: LogOptions,
    sink: Sink,
  ): Promise<{ log: FileLog; resume: Resume; recovered: Recovered }> {
    let giveUp = () => {}; // while the log is read there is nothing to give
    const opened = await recoverFolder(options, sink, () => giveUp());
    const [{ recovered }, { progress }] = [opened, options];
    const log = FileLog.#assemble(options, opened);
    giveUp = () => log.#segments.giveUp();
    progress({ phase: 'counting' });
    const read = readRecords(log, options.codec.memory);
    await sink.finish((base, record) => log.index.readAll(base, record), read);
    await loadImage(options, log.#segments.open, recovered.resume.offset);
    progress({ phase: 'preparing' });
    await log.#prepared();
    return { log, resume: recovered.resume, recovered };
  }

  static #assemble(options: LogOptions, opened: RecoveredFolder): FileLog {
    const { recovered, spares, pace } = opened;
    const { files, codec, segmentBytes, spareBytes, wallMs, coldBytesMax } = options;
    const { resume, logId, next } = recovered;
    const cold = new ReadCache(
      codec,
      files,
      () => segments,
      options,
      options.foreground,
      coldBytesMax,
    );
    const segments: Segments = new Segments(
      {
        files,
        zeros: codec.zeros,
        pace,
        segmentBytes,
        spareBytes,
        logId,
        epoch: () => log.#epoch,
        wallMs,
        now: options.now,
        changed: () => log.#changed(),
        trouble: (text, failure) => options.note('warn', `${text}: ${failure.message}`),
      },
      recovered.segments.map(asSegment),
      next === undefined ? undefined : asSegment(next),
      spares,
    );
    const log: FileLog = new FileLog(options, { ...opened, cold, segments, logId }, resume);
    if (options.isCopy === true) segments.raise();
    return log;
  }

  #waiting: (() => void) | undefined;

  #changed(): void {
    this.#waiting?.();
    this.#waiting = undefined;
    this.#events?.segmentChanged();
  }

  #prepared(): Promise<void> {
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

  mayGrow(): boolean {
    return this.#segments.roomy;
  }

  raise(): boolean {
    return this.#segments.raise();
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

  /** What new segments say of whose they are; a copy's says that of the last batch it holds. */
  set epoch(epoch: number) {
    this.#epoch = epoch;
  }

  /** The place in the ring of `bytes` bytes at `position`, which are in the open segment. */
  placeOf(position: Position, bytes: number): Uint8Array {
    const { coldBytes, memory } = this.#options.codec;
    const at = coldBytes + position - this.#segments.covering(position)!.base;
    return memory.subarray(at, at + bytes);
  }

  append(position: Position, bytes: number, done: (failure: Failure) => void): void {
    const segment = this.#segments.find(position);
    if (segment === undefined) throw new LogError('missing', `no segment holds ${position}`);
    const { codec, mode } = this.#options;
    const image = codec.memory.subarray(codec.coldBytes, codec.coldBytes + segment.bytes);
    const from = position - segment.base;
    // What is synced at once goes past the system's cache, which wants whole blocks.
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

  fileBytes(base: Position): number {
    return this.#segments.find(base)?.bytes ?? 0;
  }

  trim(position: Position): void {
    this.#cold.trim(position);
    if (this.#options.mode === 'commit') {
      this.#givingBack.before(position);
      return;
    }
    // The weaker modes call the trim record done before it is on disk.
    this.#writer.syncNow((failure) => {
      if (failure === undefined) this.#givingBack.before(position);
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

  /** Bytes of indexes on disk. */
  get indexBytes(): number {
    return this.index.bytes;
  }

  /** Windows of the log that were read back from disk so far. */
  get coldReads(): { reads: number; bytes: number } {
    return { reads: this.#cold.reads, bytes: this.#cold.readBytes };
  }

  /** Whether something is missing that `retry` may bring: space, a spare file or an index. */
  get lacks(): boolean {
    return this.full || this.#segments.lacks || this.index.lacks;
  }

  /** Tries again what failed for want of space; to be called about once a second. */
  retry(): void {
    this.#segments.retry();
    this.index.retry();
  }

  /** Syncs what modes interval and none have not synced. */
  sync(done: (failure: Failure) => void): void {
    this.#writer.syncNow(done);
  }

  /** Looks whether what is written can be found again; to be called twice a second. From the first
   * call on nothing is called done on the strength of a look that is older than TRUST_MS. */
  look(): void {
    this.#watch.look();
  }

  /** Calls back when a look that begins now has ended, with what is lost. */
  lookAgain(done: (failure: Failure) => void): void {
    this.#watch.ask(done);
  }

  #lost(failure: LogError): void {
    this.#writer.fail(failure);
    this.#events?.failed(failure);
  }

  /** Syncs, then pins all segments as the log is at that moment (backup.ts). */
  pin(done: (failure: Failure, cut: Cut | undefined) => void): void {
    this.#writer.syncNow((failure) => {
      const { synced } = this.#writer;
      if (failure ?? this.#closing) done(failure ?? closedError(), undefined);
      else done(undefined, cutAt(this.#options.files, this.#segments, synced, this.#pace));
    });
  }

  /** Closes the files once what is made, synced or read has ended; no append may be in flight. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#watch.end();
      await this.#compactor.close();
      await this.index.close();
      await new Promise<void>((resolve) => this.#writer.close(resolve));
      await new Promise<void>((resolve) => this.#segments.close(resolve));
    })();
    return this.#closing;
  }
}
