// The port of due times over the segments as they are now: which of them may have any, and what
// belongs to each.

import { SEGMENT_VERSION_PLACED } from '../../assembly/layout.ts';
import type { Failure, Position } from '../core/ports/basics.ts';
import type { DueEntry, DueLog, DuePlace, DueSource } from '../core/records/due.ts';
import { settle } from './files/promises.ts';
import { DueIndex, type DueIndexOptions } from './index/due-index.ts';
import { dueTimesOf } from './index/due-reread.ts';
import type { IndexStore } from './index/index-store.ts';
import type { Indexed } from './index/indexed.ts';
import type { LogOptions } from './recovery/log-options.ts';
import type { FoundSegment } from './recovery/recovery.ts';
import type { Segment, Segments } from './segments/segments.ts';

type Options = Pick<DueIndexOptions, 'logId' | 'pace' | 'noSpace'>;

/** What it knows of a segment. */
type Known = Pick<Segment, 'base' | 'identity'> & { places?: boolean };

export class SegmentDueTimes implements DueLog {
  readonly #options: LogOptions;
  readonly #own: Options;
  readonly #index: DueIndex;
  #find: (base: Position) => Known | undefined;
  #read: (base: Position) => Promise<DueSource>;

  /** Over the segments that were found, until `over` says which ones there are. */
  constructor(options: LogOptions, own: Options, found: readonly FoundSegment[]) {
    this.#options = options;
    this.#own = own;
    const all = new Map(found.map((each) => [each.base, each]));
    this.#find = (base) => {
      const each = all.get(base);
      const places = each?.header.version === SEGMENT_VERSION_PLACED;
      return each && { base, identity: each.identity, places };
    };
    this.#read = () => Promise.reject(new Error('the log is not open yet'));
    const { indexFiles: files, crc32c, soon, note } = options;
    this.#index = new DueIndex({
      ...own,
      files,
      crc32c,
      soon,
      identityOf: (base) => this.#find(base)?.identity,
      entriesOf: (base, done) =>
        this.#read(base).then(
          (entries) => done(undefined, entries),
          (failure: Error) => done(failure),
        ),
      note: (text) => note('warn', text),
    });
  }

  /** Lists what there is, and drops what is of no segment that was found. */
  async open(): Promise<void> {
    await settle((done) => this.#index.open(done));
    for (const base of this.#index.bases) if (!this.expects(base)) this.#index.drop(base);
  }

  /** The log is open: these are its segments from now on. */
  over(segments: Segments, store: IndexStore, indexed: (base: Position) => Indexed): void {
    const { files } = this.#options;
    const { pace } = this.#own;
    this.#find = (base) => segments.find(base);
    this.#read = async (base) => {
      const held = segments.hold(base);
      try {
        return await store.alone((codec) => dueTimesOf(files, codec, indexed(base), pace));
      } finally {
        segments.readDone(held);
      }
    };
  }

  expects(base: Position): boolean {
    return this.#find(base)?.places === true;
  }

  write(base: Position, entries: DueSource, done: (failure: Failure) => void): void {
    const segment = this.#find(base);
    if (segment?.places === true) this.#index.write(base, segment.identity, entries, done);
    else this.#options.soon(() => done(undefined));
  }

  /** Makes sure that a segment that was read has its due times on disk. */
  async make(base: Position, entries: DueSource): Promise<void> {
    if (!this.expects(base)) return;
    const usable = await new Promise<boolean>((resolve) => this.#index.check(base, resolve));
    if (!usable) await settle((done) => this.write(base, entries, done));
  }

  /** Another segment stands at this place now. */
  replace(base: Position, entries: DueSource): void {
    const segment = this.#find(base);
    if (segment?.places === true) this.#index.replace(base, segment.identity, entries);
    else this.#index.drop(base);
  }

  /** The segment is gone, or another one stands at its place. */
  drop(base: Position): void {
    this.#index.drop(base);
  }

  /** Removes, for certain, those of segments from `base` on (index-store.ts, the same). */
  async dropFrom(base: Position): Promise<void> {
    const later = this.#index.bases.filter((each) => each >= base);
    if (later.length === 0) return;
    for (const each of later) await settle((done) => this.#index.drop(each, done));
    await settle((done) => this.#options.indexFiles.syncDirectory(done));
  }

  seek(
    base: Position,
    when: number,
    sequence: number,
    done: (failure: Failure, place: DuePlace, end: DuePlace) => void,
  ): void {
    if (this.expects(base)) this.#index.seek(base, when, sequence, done);
    else this.#options.soon(() => done(undefined, 0, 0));
  }

  read(base: Position, place: DuePlace, into: DueEntry): boolean {
    return this.#index.read(base, place, into);
  }

  load(base: Position, place: DuePlace, done: (failure: Failure) => void): void {
    this.#index.load(base, place, done);
  }

  /** Whether something could not be written that `retry` may write. */
  get lacks(): boolean {
    return this.#index.lacks;
  }

  retry(): void {
    this.#index.retry();
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#index.close(resolve));
  }
}
