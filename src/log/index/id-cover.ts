// Which files of ids may be believed, and of which segments they have all ids, so that a start need
// not read those for them: kept on disk in one list (id-list.ts). A file counts at a start if it is
// whole and the log is as it was when that was written; a segment if it is the same, and all files
// count that have ids of it.

import {
  RECORD_CRC_AT,
  RECORD_HEADER_BYTES,
  RECORD_POSITION_AT,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { SLOT_WORDS } from '../../core/collections/id-page.ts';
import type { LeavingPart } from '../../core/ports/older-ids.ts';
import { type Files, type Handle, writeAll } from '../files/files.ts';
import { list, open, settle } from '../files/promises.ts';
import { readFully } from '../scan/scan.ts';
import {
  decodeIdList,
  encodeIdList,
  ID_LIST_NAME,
  ID_LIST_TEMPORARY,
  type IdList,
  type ListedEnd,
  type ListedRun,
  type ListedSegment,
} from './id-list.ts';
import { readIdPages } from './id-reader.ts';
import { ID_PAGE_BYTES, type IdFilter, idRunName, idRunNumber } from './id-run.ts';
import { type IdRun, type IdRunsOptions, PageList, PIECE_PAGES } from './id-writer.ts';

/** A segment of the log. */
export interface IdSegment {
  base: number;
  end: number;
  identity: number;
  handle: Handle;
}

/** The segments of the log, as they are now. */
export interface IdSegments {
  files: Files;
  /** Position of the first byte of the oldest. */
  start: () => number;
  /** The one that a position is in. */
  at: (position: number) => IdSegment | undefined;
}

export class IdCover {
  readonly #options: Pick<IdRunsOptions, 'files' | 'logId' | 'crc32c' | 'note' | 'synced'>;
  readonly #runs: () => readonly IdRun[];
  readonly #segments = new Map<number, ListedSegment>();
  // Segments of which not all ids will be in what leaves memory, though some are.
  readonly #mixed = new Set<number>();
  #log: IdSegments | undefined;
  #next = 1;
  #trusted = true;
  // Whether the list on disk says less than this.
  #changed = false;
  #saving: Promise<void> = Promise.resolve();

  constructor(
    options: Pick<IdRunsOptions, 'files' | 'logId' | 'crc32c' | 'note' | 'synced'>,
    runs: () => readonly IdRun[],
  ) {
    this.#options = options;
    this.#runs = runs;
  }

  over(log: IdSegments): void {
    this.#log = log;
  }

  /** A number for a file that no other has had. */
  number(): number {
    return this.#next++;
  }

  /** Gives the files that count, open; removes the others. */
  async open(
    log: IdSegments,
    filterFor: (count: number) => IdFilter | undefined,
  ): Promise<IdRun[]> {
    const { files, note } = this.#options;
    this.#log = log;
    const names = await list(files);
    const found = await this.#list(names);
    const numbers = names.map(idRunNumber).filter((each) => each !== undefined);
    this.#next = Math.max(found?.next ?? 1, 1 + Math.max(0, ...numbers));
    const runs: IdRun[] = [];
    for (const listed of found?.runs ?? []) {
      const why = await this.#doubt(listed, found!);
      const run = why === undefined ? await this.#load(listed, filterFor) : why;
      if (typeof run !== 'string') runs.push(run);
      else note('warn', `${idRunName(listed.number)} is made again from the log: ${run}`);
    }
    const believed = new Set(runs.map(({ number }) => number));
    for (const segment of found?.segments ?? [])
      if (segment.complete && segment.runs.every((number) => believed.has(number)))
        this.#segments.set(segment.base, segment);
    for (const number of numbers)
      if (!believed.has(number))
        await settle((done) => files.remove(idRunName(number), () => done(undefined)));
    return runs;
  }

  async #list(names: readonly string[]): Promise<IdList | undefined> {
    const { files, logId, crc32c, synced, note } = this.#options;
    if (names.includes(ID_LIST_TEMPORARY))
      await settle((done) => files.remove(ID_LIST_TEMPORARY, () => done(undefined)));
    if (!names.includes(ID_LIST_NAME)) return undefined;
    const { handle, bytes } = await open(files, ID_LIST_NAME);
    const content = new Uint8Array(bytes);
    try {
      const got = await readFully(files, handle, content, 0);
      const found = decodeIdList(content.subarray(0, got), logId, crc32c);
      if (found === undefined)
        note('warn', `${ID_LIST_NAME} is made again from the log: it is damaged`);
      return found?.synced === true && synced ? found : undefined;
    } finally {
      await settle((done) => files.close(handle, done));
    }
  }

  // Why the log may not be what it was when a file was written: somebody may have put back an older
  // copy of it. Then ids would be known of messages that were not published.
  async #doubt({ upTo }: ListedRun, { segments }: IdList): Promise<string | undefined> {
    const segment = this.#log!.at(upTo.position - 1);
    if (segment === undefined)
      return upTo.position <= this.#log!.start() ? undefined : 'the log does not go so far';
    const listed = segments.find(({ base }) => base === segment.base);
    if (listed?.complete === true && listed.identity === segment.identity) return undefined;
    if (upTo.identity !== segment.identity) return 'the log is another one there';
    if (upTo.crc === 0) return undefined;
    const { crc } = await this.#endIn(segment, upTo.position);
    return crc === upTo.crc ? undefined : 'the log went on in another way there';
  }

  /** What tells that a batch ended at a position of the log. */
  async endAt(position: number): Promise<ListedEnd> {
    const segment = this.#log!.at(position - 1);
    if (segment === undefined) return { position, identity: 0, crc: 0 };
    return this.#endIn(segment, position);
  }

  async #endIn(segment: IdSegment, position: number): Promise<ListedEnd> {
    const { identity, base, handle } = segment;
    const at = position - base - RECORD_HEADER_BYTES;
    if (at < SEGMENT_DATA_AT) return { position, identity, crc: 0 };
    const head = new Uint8Array(RECORD_HEADER_BYTES);
    await readFully(this.#log!.files, handle, head, at);
    const view = new DataView(head.buffer);
    const isThere = Number(view.getBigUint64(RECORD_POSITION_AT, true)) === base + at;
    return { position, identity, crc: isThere ? view.getUint32(RECORD_CRC_AT, true) : -1 >>> 0 };
  }

  // Reads a file whole: what is not as it was written is found here.
  async #load(
    listed: ListedRun,
    filterFor: (count: number) => IdFilter | undefined,
  ): Promise<IdRun | string> {
    const { files, crc32c } = this.#options;
    let handle: Handle;
    try {
      ({ handle } = await open(files, idRunName(listed.number)));
    } catch (error) {
      return (error as Error).message;
    }
    try {
      const { number, pages, count } = listed;
      const filter = filterFor(count);
      const known = new PageList(pages);
      const into = new Uint8Array(PIECE_PAGES * ID_PAGE_BYTES);
      for (let at = 0; at < pages; at += PIECE_PAGES) {
        const some = Math.min(PIECE_PAGES, pages - at);
        const run = { number, handle, pages };
        for (const [i, slots] of (
          await readIdPages(this.#options, run, at, some, into)
        ).entries()) {
          const crc = new DataView(into.buffer).getUint32(i * ID_PAGE_BYTES, true);
          known.add(slots[0]!, crc);
          for (let slot = 0; slot < slots.length; slot += SLOT_WORDS) filter?.add(slots, slot);
        }
      }
      if (known.sum(crc32c) !== listed.sum) throw new Error('it is not the one that was written');
      return { ...listed, handle, firsts: known.firsts, filter, reads: 0, retired: false };
    } catch (error) {
      await settle((done) => files.close(handle, () => done(undefined)));
      return (error as Error).message;
    }
  }

  /** Bytes of the records of ids in a segment, if all of these are in files. */
  has({ base, identity }: { base: number; identity: number }): number | undefined {
    const segment = this.#segments.get(base);
    return segment?.complete && segment.identity === identity ? segment.idBytes : undefined;
  }

  /** A file has ids of these segments; undefined: all that there were are over. */
  add(parts: readonly LeavingPart[], number: number | undefined): void {
    this.#changed = true;
    for (const { base, complete, idBytes } of parts) {
      const segment = this.#log!.at(base);
      if (segment?.base !== base || this.#mixed.has(base)) continue;
      const { identity } = segment;
      const before = this.#segments.get(base);
      if (before !== undefined && before.identity !== identity) continue;
      const runs = [...(before?.runs ?? []), ...(number === undefined ? [] : [number])];
      this.#segments.set(base, { base, idBytes, identity, complete, runs });
    }
  }

  /** Files became one, or are over. */
  replaced(old: readonly number[], by: number | undefined): void {
    this.#changed = true;
    for (const segment of this.#segments.values()) {
      const rest = segment.runs.filter((number) => !old.includes(number));
      if (rest.length === segment.runs.length) continue;
      segment.runs = by === undefined ? rest : [...rest, by];
    }
  }

  /** One segment stands for others now. */
  compacted(base: number, end: number, identity: number, bases: readonly number[]): void {
    if (this.#runs().length > 0) this.#changed = true;
    for (const { upTo } of this.#runs())
      if (upTo.position > base && upTo.position <= end) {
        upTo.identity = identity;
        upTo.crc = 0;
      }
    const old = bases.map((each) => this.#segments.get(each));
    const isWhole = old.every((each) => each?.complete === true);
    for (const each of this.#segments.keys())
      if (each >= base && each < end) this.#segments.delete(each);
    for (const each of bases) if (!isWhole) this.#mixed.add(each);
    if (!isWhole) return;
    const runs = [...new Set(old.flatMap((each) => each!.runs))];
    const idBytes = old.reduce((sum, each) => sum + each!.idBytes, 0);
    this.#segments.set(base, { base, idBytes, identity, complete: true, runs });
  }

  /** No start believes anything from now on. */
  async distrust(): Promise<void> {
    this.#trusted = false;
    const { files } = this.#options;
    await settle((done) => files.remove(ID_LIST_NAME, () => done(undefined)));
    await settle((done) => files.syncDirectory(done));
  }

  /** Writes the list, if it says something new. */
  save(): Promise<void> {
    const result = this.#saving.then(() => this.#save());
    this.#saving = result.catch(() => {
      this.#changed = true;
    });
    return result;
  }

  async #save(): Promise<void> {
    const { files, logId, crc32c, synced } = this.#options;
    if (!this.#trusted || !this.#changed) return;
    this.#changed = false;
    const start = this.#log!.start();
    for (const known of [this.#segments, this.#mixed])
      for (const base of known.keys()) if (base < start) known.delete(base);
    const runs = this.#runs().filter(({ retired }) => !retired);
    const content = {
      next: this.#next,
      synced,
      runs: [...runs],
      segments: [...this.#segments.values()],
    };
    const bytes = encodeIdList(content, logId, crc32c);
    await settle((done) => files.remove(ID_LIST_TEMPORARY, () => done(undefined)));
    const handle = await new Promise<Handle>((resolve, reject) =>
      files.open(ID_LIST_TEMPORARY, true, (failure, made) =>
        failure === undefined ? resolve(made) : reject(failure),
      ),
    );
    try {
      await settle((done) => writeAll(files, handle, [bytes], 0, done));
      await settle((done) => files.sync(handle, done));
    } finally {
      await settle((done) => files.close(handle, done));
    }
    await settle((done) => files.rename(ID_LIST_TEMPORARY, ID_LIST_NAME, done));
  }
}
