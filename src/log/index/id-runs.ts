// Ids of messages in their windows that have left memory (core/ports/older-ids.ts): files of ids in
// order, few of them, as four of about a size become one. In memory is a filter for each, and where
// its pages begin: of an id that is new that says so nearly always, of any other a page of a file
// does. All of it is a cache: the log has the ids, too.
//
//   take ──► file ──► list ──► four of a level? ──► one of the next
//   find ──► filters: in none ──► new
//              └──► looked up before? else unsure ──► a page of each such file ──► told

import type { Failure } from '../../core/ports/basics.ts';
import type { Known, LeavingIds, OlderIds } from '../../core/ports/older-ids.ts';
import { givenUp } from './given-up.ts';
import { IdCover, type IdSegments } from './id-cover.ts';
import { IdLooks } from './id-looks.ts';
import { merged } from './id-reader.ts';
import { IdFilter, idRunName } from './id-run.ts';
import { type IdRun, type IdRunsOptions, type RunPlan, writeRun } from './id-writer.ts';

const closedError = () => givenUp('the ids are closed');

// Files of a level that become one of the next.
const MERGED = 4;
// What one filter may have of the memory for all of them.
const FILTER = 0.8;

function bytesOf(runs: readonly IdRun[]): number {
  let sum = 0;
  for (const { firsts, filter } of runs) sum += firsts.byteLength + (filter?.bytes ?? 0);
  return sum;
}

export class IdRuns implements OlderIds {
  readonly #options: IdRunsOptions;
  readonly #cover: IdCover;
  readonly #looks: IdLooks;
  #runs: IdRun[] = [];
  #working: Promise<void> = Promise.resolve();
  #merging: Promise<void> | undefined;
  #closed = false;
  bytesMax = Number.POSITIVE_INFINITY;
  told: () => void = () => {};

  constructor(options: IdRunsOptions) {
    this.#options = options;
    this.#cover = new IdCover(options, () => this.#runs);
    this.#looks = new IdLooks(options, {
      candidates: (ids, at) => this.#candidates(ids, at),
      readDone: (run) => this.#readDone(run),
      told: () => this.told(),
      damaged: (failure) => this.#damaged(failure),
    });
  }

  /** Finds out what there is and may be believed, over the segments that were found. */
  async open(segments: IdSegments): Promise<void> {
    this.#runs = await this.#cover.open(segments, (count) => this.#filterFor(count));
    this.#bound();
  }

  /** The log is open: these are its segments from now on. */
  over(segments: IdSegments): void {
    this.#cover.over(segments);
  }

  /** Bytes of the records of ids in a segment, if all of these are here; else undefined. */
  has(segment: { base: number; identity: number }): number | undefined {
    return this.#cover.has(segment);
  }

  get takes(): boolean {
    return !this.#closed && this.bytes <= this.bytesMax;
  }

  get count(): number {
    let sum = 0;
    for (const { count } of this.#runs) sum += count;
    return sum;
  }

  get bytes(): number {
    return bytesOf(this.#runs);
  }

  /** Files that there are. */
  get files(): number {
    return this.#runs.length;
  }

  find(ids: Uint32Array, at: number, nowMs: number, ms: number): Known {
    const runs = this.#runs;
    let may = false;
    for (let i = 0; i < runs.length && !may; i++) {
      const { filter } = runs[i]!;
      may = filter === undefined || filter.mayHave(ids, at);
    }
    if (!may) return 'new';
    const answer = this.#looks.answer(ids, at);
    if (answer === 'failed') return answer;
    if (answer === undefined) {
      this.#looks.add(ids, at);
      return 'unsure';
    }
    const isIn = answer.some(({ timeMs, keptMs }) => timeMs + Math.min(ms, keptMs) > nowMs);
    return isIn ? 'known' : 'new';
  }

  #candidates(ids: Uint32Array, at: number): IdRun[] {
    const found = this.#runs.filter(({ filter }) => filter?.mayHave(ids, at) !== false);
    for (const run of found) run.reads++;
    return found;
  }

  #readDone(run: IdRun): void {
    run.reads--;
    if (run.retired && run.reads === 0) this.#remove(run);
  }

  take(leaving: LeavingIds, nowMs: number, done: (failure: Failure) => void): void {
    this.#alone(async () => {
      const plan = this.#plan(leaving.count, nowMs);
      const written = await writeRun(plan, leaving.inOrder());
      const upTo = await this.#cover.endAt(leaving.upTo);
      const run = written && { ...written, level: 0, upTo, reads: 0, retired: false };
      if (run !== undefined) this.#runs = [...this.#runs, run];
      this.#bound();
      this.#looks.forget();
      this.#cover.add(leaving.parts, run?.number);
    }).then(
      () => {
        done(undefined);
        this.#cover.save().catch((failure: Error) => this.#noted(failure));
        this.#mergeSoon(nowMs);
      },
      (failure: Error) => {
        this.#noted(failure);
        done(failure);
      },
    );
  }

  #noted({ message }: Error): void {
    if (!this.#closed)
      this.#options.note('warn', `ids of messages cannot be written to disk: ${message}`);
  }

  #alone(work: () => Promise<void>): Promise<void> {
    const result = this.#working.then(() => {
      if (this.#closed) throw closedError();
      return work();
    });
    this.#working = result.catch(() => {});
    return result;
  }

  #plan(count: number, nowMs: number): RunPlan {
    const { files, crc32c, pace } = this.#options;
    const number = this.#cover.number();
    const filter = this.#filterFor(count);
    const stopped = () => (this.#closed ? closedError() : undefined);
    return { files, crc32c, pace, number, count, nowMs, filter, stopped };
  }

  // Without one, each id is looked up there.
  #filterFor(count: number): IdFilter | undefined {
    return IdFilter.within(FILTER * this.bytesMax, count);
  }

  // Where there is no memory for all filters, the largest become half, or go.
  #bound(): void {
    while (this.bytes > this.bytesMax) {
      const filtered = this.#runs.filter(({ filter }) => filter !== undefined);
      const [largest] = filtered.sort((a, b) => b.filter!.bytes - a.filter!.bytes);
      if (largest === undefined) return;
      largest.filter = largest.filter!.halved();
    }
  }

  // One after the other, while others leave memory: nobody waits for it.
  #mergeSoon(nowMs: number): void {
    if (this.#closed || this.#merging !== undefined) return;
    this.#merging = this.#mergeAll(nowMs)
      .catch((failure: Error) => this.#noted(failure))
      .then(() => {
        this.#merging = undefined;
      });
  }

  async #mergeAll(nowMs: number): Promise<void> {
    for (let level = 0; level <= Math.max(-1, ...this.#runs.map((run) => run.level)); level++) {
      const some = this.#runs.filter((run) => run.level === level).slice(0, MERGED);
      if (some.length < MERGED) continue;
      for (const run of some) run.reads++;
      try {
        await this.#merge(some, level, nowMs);
      } finally {
        for (const run of some) this.#readDone(run);
      }
      level = -1; // the smallest first
    }
  }

  async #merge(some: readonly IdRun[], level: number, nowMs: number): Promise<void> {
    const count = some.reduce((sum, run) => sum + run.count, 0);
    const plan = this.#plan(count, nowMs);
    const written = await writeRun(plan, merged(plan, some));
    const upTo = some.map((run) => run.upTo).reduce((a, b) => (a.position > b.position ? a : b));
    const run = written && { ...written, level: level + 1, upTo, reads: 0, retired: false };
    this.#replace(some, run);
    await this.#cover.save().finally(() => {
      for (const each of some) this.#retire(each);
    });
  }

  #replace(old: readonly IdRun[], run: IdRun | undefined): void {
    const rest = this.#runs.filter((each) => !old.includes(each));
    this.#runs = run === undefined ? rest : [...rest, run];
    this.#cover.replaced(
      old.map(({ number }) => number),
      run?.number,
    );
    this.#bound();
  }

  #retire(run: IdRun): void {
    if (run.retired) return;
    run.retired = true;
    if (run.reads === 0) this.#remove(run);
  }

  #remove({ handle, number }: IdRun): void {
    const { files } = this.#options;
    files.close(handle, () => files.remove(idRunName(number), () => {}));
  }

  sweep(nowMs: number): void {
    const over = this.#runs.filter(({ untilMs }) => untilMs <= nowMs);
    if (over.length === 0 || this.#closed) return;
    this.#replace(over, undefined);
    this.#cover
      .save()
      .finally(() => {
        for (const run of over) this.#retire(run);
      })
      .catch((failure: Error) => this.#noted(failure));
  }

  /** One segment stands for those from `base` to before `end` now; those were based at `bases`. */
  compacted(base: number, end: number, identity: number, bases: readonly number[]): void {
    this.#cover.compacted(base, end, identity, bases);
    // Until then a start takes what is there for something else.
    if (!this.#closed) this.#cover.save().catch((failure: Error) => this.#noted(failure));
  }

  // The next start makes them again from the log.
  #damaged({ message }: Error): void {
    if (this.#closed) return;
    this.#options.note(
      'error',
      `ids of messages cannot be read from disk: ${message}. What may have been published before is refused where a rule says dedup; the next start makes them again from the log`,
    );
    this.#alone(() => this.#cover.distrust()).catch((failure: Error) => this.#noted(failure));
  }

  /** Ends what is under way and closes the files. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#working;
    await this.#merging;
    await this.#looks.close();
    // What was said last may not be on disk; without it the next start takes longer.
    await this.#cover.save().catch(() => {});
    const { files } = this.#options;
    for (const { handle, retired } of this.#runs)
      if (!retired) await new Promise<void>((resolve) => files.close(handle, () => resolve()));
  }
}
