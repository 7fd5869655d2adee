// What the tests of index runs share: entries and a plain model of a run, and a world in which the
// test decides when each call on files and each further turn happens.

import assert from 'node:assert/strict';
import { crc32c } from '../../src/codec/crc32c.ts';
import type { EntrySource, Failure, Found } from '../../src/core/ports/basics.ts';
import { Indexes, type IndexesOptions } from '../../src/log/index/indexes.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import { paceOf } from '../support/pace.ts';
import type { Random } from '../support/random.ts';
import { Stepped } from './stepped.ts';

export const LOG_ID = 0xfedcba9876543210n;
export const SEED = 0x9abcdef1;
/** Large, so that nothing may be kept in 32 bits. */
export const BASE = 2 ** 52 + 4096 * 7;
export const IDENTITY = 0xcafe0001;

export interface Entry extends Found {
  low: number;
  high: number;
}

/** Bucket of a small number, different in both halves. */
export function bucket(number: number): { low: number; high: number } {
  return { low: (0xfffffff0 - number) >>> 0, high: Math.imul(number, 0x9e3779b1) >>> 0 };
}

/** `count` records in log order, of buckets that `choose` numbers. */
export function entriesOf(random: Random, count: number, choose: (i: number) => number): Entry[] {
  let sequence = 2 ** 51 + random.below(1000);
  let offset = 4096;
  return Array.from({ length: count }, (_, i) => {
    const messages = 1 + random.below(5);
    const bodyBytes = messages * 16;
    const attempts = random.chance(0.2) ? random.below(9) : 0;
    const entry = { ...bucket(choose(i)), sequence, position: BASE + offset };
    sequence += messages + random.below(3);
    offset += 56 + bodyBytes;
    return { ...entry, messages, bodyBytes, attempts, kind: 0 };
  });
}

/** The same records in the segment based at `base`. */
export function movedTo(base: number, entries: readonly Entry[]): Entry[] {
  return entries.map((entry) => ({ ...entry, position: entry.position - BASE + base }));
}

export function sourceOf(entries: readonly Entry[]): EntrySource {
  return {
    count: entries.length,
    lines: {
      bucketLow: (i) => entries[i]!.low,
      bucketHigh: (i) => entries[i]!.high,
      kind: (i) => entries[i]!.kind,
    },
    sequence: (i) => entries[i]!.sequence,
    position: (i) => entries[i]!.position,
    messages: (i) => entries[i]!.messages,
    bodyBytes: (i) => entries[i]!.bodyBytes,
    attempts: (i) => entries[i]!.attempts,
  };
}

function foundOf({ sequence, position, messages, bodyBytes, attempts, kind }: Entry): Found {
  return { sequence, position, messages, bodyBytes, attempts, kind };
}

/** What a search for everything of a bucket's line must find. */
export function expected(
  entries: readonly Entry[],
  number: number,
  sequence = 0,
  kind = 0,
): Found[] {
  const { low, high } = bucket(number);
  return entries
    .filter((one) => one.low === low && one.high === high && one.kind === kind)
    .filter((one) => one.sequence + one.messages - 1 >= sequence)
    .map(foundOf);
}

export interface Answer {
  failure: Failure;
  found: Found[];
  next: number | undefined;
}

/** Runs over files in memory; nothing happens but in `step`. */
export class World extends Stepped {
  readonly runs: Indexes;

  constructor(files = new MemoryFiles(), options: Partial<IndexesOptions> = {}) {
    super(files);
    const { soon } = this;
    const pace = paceOf(soon);
    this.runs = new Indexes({
      files,
      logId: LOG_ID,
      hashSeed: SEED,
      crc32c,
      soon,
      pace,
      ...options,
    });
  }

  open(): this {
    const [failure] = this.ask<[Failure]>((done) => this.runs.open(done));
    assert.equal(failure, undefined);
    return this;
  }

  tryWrite(entries: readonly Entry[], base = BASE, identity = IDENTITY): Failure {
    return this.ask<[Failure]>((done) =>
      this.runs.write(base, identity, sourceOf(entries), done),
    )[0];
  }

  write(entries: readonly Entry[], base = BASE, identity = IDENTITY): this {
    assert.equal(this.tryWrite(entries, base, identity), undefined);
    return this;
  }

  check(base = BASE, identity = IDENTITY): boolean {
    return this.ask<[boolean]>((done) => this.runs.check(base, identity, done))[0];
  }

  beginFind(
    number: number,
    sequence = 0,
    at = 0,
    most = 1e9,
    base = BASE,
    identity = IDENTITY,
    kind = 0,
  ): Answer[] {
    const { low, high } = bucket(number);
    const answers: Answer[] = [];
    this.begin<[Failure, Found[], number | undefined]>((done) => {
      const query = { low, high, kind, sequence, at };
      this.runs.find(base, identity, query, most, (failure, found, next) => {
        answers.push({ failure, found, next });
        done(failure, found, next);
      });
    });
    return answers;
  }

  find(number: number, sequence = 0, at = 0, most = 1e9, base = BASE, identity = IDENTITY): Answer {
    const answers = this.beginFind(number, sequence, at, most, base, identity);
    this.settle();
    assert.equal(answers.length, 1, 'never called back');
    return answers[0]!;
  }

  /** Everything of a bucket from `sequence` on, asked for piece by piece. */
  findAll(number: number, sequence = 0, most = 1e9, base = BASE): Answer {
    const all: Found[] = [];
    let at = 0;
    for (;;) {
      const { failure, found, next } = this.find(number, sequence, at, most, base);
      assert.ok(found.length <= most);
      all.push(...found);
      if (failure !== undefined || next === undefined) return { failure, found: all, next };
      assert.ok(found.length > 0, 'nothing was found, and yet there is to be more');
      at = next;
    }
  }

  visit(base = BASE, identity = IDENTITY): { failure: Failure; entries: Entry[] } {
    const entries: Entry[] = [];
    const [failure] = this.ask<[Failure]>((done) => {
      const visitor = (low: number, high: number, found: Found) =>
        void entries.push({ low, high, ...found });
      this.runs.visit(base, identity, visitor, done);
    });
    return { failure, entries };
  }

  /** Closes; then no file is open. */
  close(): void {
    this.ask<[]>((done) => this.runs.close(done));
    assert.equal(this.files.openHandles, 0, 'a file stays open');
  }
}

/** Entries in the order of the log again. */
export function inOrder(entries: readonly Entry[]): Entry[] {
  return [...entries].sort((a, b) => a.position - b.position);
}
