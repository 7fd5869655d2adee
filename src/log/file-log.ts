// The ports of a log over segment files: puts segments, writer and cold windows together, and opens
// a log by recovering it or, in an empty directory, by making its first segment.

import type { EntrySource, Failure, Found, Position } from '../core/ports/basics.ts';
import type { Journal, Resume } from '../core/ports/journal.ts';
import type { LogPorts, LogStatus } from '../core/ports/log.ts';
import type { RecordReader } from '../core/ports/reader.ts';
import type { IndexQuery, SegmentIndex } from '../core/ports/segment-index.ts';
import type { SegmentSpace } from '../core/ports/segments.ts';
import type { CheckpointSource, CompactionRequest, Upkeep } from '../core/ports/upkeep.ts';
import { type Cut, cutAt } from './backup.ts';
import { Compactor } from './compaction/compactor.ts';
import { blockStart, blocksOf } from './files/blocks.ts';
import { closedError, LogError } from './files/errors.ts';
import { settle } from './files/promises.ts';
import { Throttle } from './files/throttle.ts';
import { IndexStore } from './index/index-store.ts';
import type { Indexed } from './index/indexed.ts';
import { ReadCache } from './read-cache/read-cache.ts';
import { refuseLost } from './recovery/earlier.ts';
import { adopt, asSegment, createFirst, cutSurplus, dropOdd } from './recovery/folder.ts';
import type { LogEvents, LogOptions } from './recovery/log-options.ts';
import { type Recovered, recover, type Sink, takeInventory } from './recovery/recovery.ts';
import { readFully } from './scan/scan.ts';
import { keyOf, segmentName } from './segments/segment.ts';
import { Segments } from './segments/segments.ts';
import type { Spare } from './segments/spares.ts';
import { Watch } from './segments/watch.ts';
import { Writer } from './segments/writer.ts';

export class FileLog
  implements Journal, SegmentSpace, RecordReader, SegmentIndex, Upkeep, LogStatus
{
  /** The log as a broker takes it. */
  readonly ports: LogPorts = {
    journal: this,
    space: this,
    reader: this,
    index: this,
    upkeep: this,
  };
  readonly segmentBytes: number;
  readonly #options: LogOptions;
  readonly #segments: Segments;
  readonly #writer: Writer;
  readonly #cold: ReadCache;
  readonly #store: IndexStore;
  #events: LogEvents | undefined;
  readonly #logId: bigint;
  #closed = false;
  readonly #compactor: Compactor;
  #trimLater: Position = 0;
  readonly #pace: Throttle;
  readonly #watch: Watch;

  private constructor(
    options: LogOptions,
    parts: {
      cold: ReadCache;
      segments: Segments;
      store: IndexStore;
      pace: Throttle;
      logId: bigint;
    },
    end: Position,
  ) {
    this.#options = options;
    this.segmentBytes = options.segmentBytes;
    this.#cold = parts.cold;
    this.#segments = parts.segments;
    this.#store = parts.store;
    this.#logId = parts.logId;
    this.#pace = parts.pace;
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
      end,
    );
    const { segments, cold, store, pace, logId } = parts;
    this.#compactor = new Compactor({
      ...options,
      segments,
      cold,
      store,
      pace,
      logId,
      synced: () => this.#writer.synced,
      indexed: (base) => this.#indexed(base),
      swapped: () => this.#giveBackLater(),
    });
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
    const { files, codec } = options;
    let inventory = await takeInventory(files);
    refuseLost(inventory, options.traces ?? []);
    for (const name of inventory.foreign)
      options.note('warn', `${name} in the log folder is not part of the log: ignored`);
    const spares = await adopt(options, inventory.leftovers);
    if (inventory.segments.length === 0) {
      await createFirst(options);
      inventory = await takeInventory(files);
    }
    const { logId } = inventory.segments[0]!.header;
    const { indexFiles, note, progress } = options;
    const pace = new Throttle(options, options.foreground);
    const store = new IndexStore({
      ...options,
      pace,
      files: indexFiles,
      segmentFiles: files,
      logId,
      noSpace: () => giveUp(),
    });
    let giveUp = () => {}; // while the log is read there is nothing to give
    const checkpoint = await store.open(inventory.segments);
    if (checkpoint !== undefined) sink.restore(checkpoint);
    let unindexed = false; // from then on entries stay in memory, so all has to be read
    const recovered = await recover(files, codec, inventory, sink, progress, {
      start: checkpoint?.start ?? 0,
      // The weaker modes may have lost what an index tells of.
      known: async (segment) =>
        options.mode === 'commit' && !unindexed ? store.known(segment) : undefined,
      index: async (segment, source) => {
        try {
          await store.make(segment, source);
        } catch (error) {
          unindexed = true;
          const { message } = error as Error;
          note('warn', `the index of ${segment.name} cannot be written: ${message}`);
          throw error;
        }
      },
    });
    await store.dropFrom(recovered.resume.base);
    codec.setKey(keyOf(logId));
    for (const { handle, name } of recovered.unneeded) {
      await settle((done) => files.close(handle, done));
      await settle((done) => files.remove(name, done));
    }
    await dropOdd(options, recovered);
    await cutSurplus(files, recovered);
    const log = FileLog.#assemble(options, recovered, spares, store, pace);
    progress({ phase: 'counting' });
    giveUp = () => log.#segments.giveUp();
    await sink.finish((base, record) => log.#visit(base, record));
    await log.#loadImage(recovered.resume);
    progress({ phase: 'preparing' });
    await log.#prepared();
    return { log, resume: recovered.resume, recovered };
  }

  static #assemble(
    options: LogOptions,
    recovered: Recovered,
    spares: Spare[],
    store: IndexStore,
    pace: Throttle,
  ): FileLog {
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
    const end = resume.base + resume.offset;
    const log: FileLog = new FileLog(options, { cold, segments, store, pace, logId }, end);
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

  index(base: Position, source: EntrySource, done: (failure: Failure) => void): void {
    this.#store.write(this.#indexed(base), source, done);
  }

  find(
    query: IndexQuery,
    most: number,
    done: (failure: Failure, found: Found[], next: number | undefined) => void,
  ): void {
    const segment = this.#indexed(query.base);
    // In a segment that stands for several, a place in one of them means nothing.
    const at = segment.base === query.base ? query.at : 0;
    // Its file stays open, as its index may have to be made again from it.
    const held = this.#segments.hold(query.base);
    this.#store.find(segment, { ...query, at }, most, (failure, found, next) => {
      const now = this.#segments.find(segment.base);
      if (now === undefined || now.identity === segment.identity) done(failure, found, next);
      else this.find({ ...query, at: 0 }, most, done); // compacted meanwhile: no place holds
      this.#segments.readDone(held);
    });
  }

  compact(request: CompactionRequest, done: (failure: Failure, smaller: boolean) => void): void {
    this.#compactor.compact(request).then(
      (smaller) => done(undefined, smaller),
      (failure: Error) => done(failure, false),
    );
  }

  fileBytes(base: Position): number {
    return this.#segments.find(base)?.bytes ?? 0;
  }

  // An index that turns out damaged is made again; nothing is handed on before all of it was read.
  async #visit(base: Position, record: (found: Found) => void): Promise<void> {
    let all: Found[] = [];
    const visit = () => {
      all = [];
      return settle((done) => this.visit(base, (_low, _high, found) => all.push(found), done));
    };
    await visit().catch(async () => {
      await this.#store.remake(this.#indexed(base));
      await visit();
    });
    for (const found of all) record(found);
  }

  /** Visits all records of an indexed segment, in the order of its index. */
  visit(
    base: Position,
    record: (low: number, high: number, found: Found) => void,
    done: (failure: Failure) => void,
  ): void {
    this.#store.visit(this.#indexed(base), record, done);
  }

  #indexed(base: Position): Indexed {
    const segment = this.#segments.covering(base);
    if (segment === undefined) throw new LogError('missing', `no segment stands for ${base}`);
    const { base: at, bytes, handle, identity } = segment;
    return { name: segmentName(at), base: at, bytes, handle, key: keyOf(this.#logId), identity };
  }

  checkpoint(
    end: Position,
    state: () => CheckpointSource,
    now = false,
    done: () => void = () => {},
  ): void {
    const { mode, soon } = this.#options;
    // What the weaker modes have written may not be there after a loss of power.
    if (mode !== 'commit' || this.#segments.find(end) === undefined) {
      soon(done);
      return;
    }
    const identityOf = (base: Position) => this.#segments.find(base)?.identity;
    const behind = this.#indexed(end);
    const held = this.#segments.hold(end);
    this.#store.save(behind, now, state, identityOf, () => {
      done();
      this.#segments.readDone(held);
    });
  }

  trim(position: Position): void {
    this.#cold.trim(position);
    if (this.#options.mode === 'commit') {
      this.#giveBack(position);
      return;
    }
    // The weaker modes call the trim record done before it is on disk.
    this.#writer.syncNow((failure) => {
      if (failure === undefined) this.#giveBack(position);
    });
  }

  // While a segment takes another one's name, and until that is durable, none is given back.
  #giveBack(position: Position): void {
    if (this.#compactor.swapping) {
      this.#trimLater = position;
      return;
    }
    for (const { base } of this.#segments.trim(position)) this.#store.drop(base);
  }

  #giveBackLater(): void {
    const position = this.#trimLater;
    this.#trimLater = 0;
    if (position > 0) this.#giveBack(position);
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
    return this.#store.bytes;
  }

  /** Windows of the log that were read back from disk so far. */
  get coldReads(): { reads: number; bytes: number } {
    return { reads: this.#cold.reads, bytes: this.#cold.readBytes };
  }

  /** Whether something is missing that `retry` may bring: space, a spare file or an index. */
  get lacks(): boolean {
    return this.full || this.#segments.lacks || this.#store.lacks;
  }

  /** Tries again what failed for want of space; to be called about once a second. */
  retry(): void {
    this.#segments.retry();
    this.#store.retry();
  }

  /** Syncs what modes interval and none have not synced. */
  sync(done: (failure: Failure) => void): void {
    this.#writer.syncNow(done);
  }

  /**
   * Looks whether what is written can be found again; to be called twice a second. From the first
   * call on nothing is called done on the strength of a look that is older than TRUST_MS.
   */
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
      if (failure !== undefined || this.#closed) done(failure ?? closedError(), undefined);
      else done(undefined, cutAt(this.#options.files, this.#segments, synced, this.#pace));
    });
  }

  /** Closes the files once what is made, synced or read has ended; no append may be in flight. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.end();
    await this.#compactor.close();
    await this.#store.close();
    await new Promise<void>((resolve) => this.#writer.close(resolve));
    await new Promise<void>((resolve) => this.#segments.close(resolve));
  }
}
