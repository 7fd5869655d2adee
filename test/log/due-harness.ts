// What the tests of due times on disk share: entries, the order that a file has them in, and a
// world in which the test decides when each call on files and each further turn happens.

import assert from 'node:assert/strict';
import { crc32c } from '../../src/codec/crc32c.ts';
import type { Failure } from '../../src/core/ports/basics.ts';
import {
  DUE_EXPIRES,
  DUE_READY,
  DueEntries,
  type DueEntry,
  type DuePlace,
  emptyDueEntry,
} from '../../src/core/records/due.ts';
import { DueIndex, type DueIndexOptions } from '../../src/log/index/due-index.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import { paceOf } from '../support/pace.ts';
import type { Random } from '../support/random.ts';
import { Stepped } from './stepped.ts';

export const LOG_ID = 0xfedcba9876543210n;
/** Large, so that nothing may be kept in 32 bits. */
export const BASE = 2 ** 45 + 4096 * 7;
export const IDENTITY = 0xcafe0001;
export const NOW = 1_764_442_800_000;

/** `count` entries in log order, due within `span` ms. */
export function dueEntries(random: Random, count: number, span: number): DueEntry[] {
  let sequence = 2 ** 40 + random.below(1000);
  return Array.from({ length: count }, (_, i) => {
    const messages = 1 + random.below(5);
    sequence += messages;
    return {
      when: NOW + random.below(span),
      low: random.next(),
      high: random.next(),
      // A mark speaks of older messages.
      sequence: random.chance(0.3) ? sequence - random.below(500) : sequence,
      position: random.chance(0.1) ? 0 : BASE + 4096 + i * 160,
      turn: random.chance(0.1) ? random.next() : random.below(4),
      count: messages,
      bodyBytes: messages * 16,
      kind: random.below(3),
      what: random.chance(0.2) ? DUE_EXPIRES : DUE_READY,
    };
  });
}

/** The order of a file: by time, then sequence, then as they came. */
export function inDueOrder(entries: readonly DueEntry[]): DueEntry[] {
  return [...entries].sort((a, b) => a.when - b.when || a.sequence - b.sequence);
}

export function columnsOf(entries: readonly DueEntry[]): DueEntries {
  const columns = new DueEntries();
  for (const entry of entries) columns.add(entry);
  return columns;
}

/** A due index over files in memory; nothing happens but in `step`. */
export class DueWorld extends Stepped {
  readonly index: DueIndex;
  /** What segments hold, for a file that is made again; and which state of each there is. */
  readonly segments = new Map<number, readonly DueEntry[]>();
  readonly identities = new Map<number, number>();
  readonly notes: string[] = [];

  constructor(files = new MemoryFiles(), options: Partial<DueIndexOptions> = {}) {
    super(files);
    const { soon } = this;
    this.index = new DueIndex({
      files,
      logId: LOG_ID,
      crc32c,
      soon,
      pace: paceOf(soon),
      identityOf: (base) => this.identities.get(base),
      entriesOf: (base, done) =>
        soon(() => {
          const entries = this.segments.get(base);
          if (entries === undefined) done(new Error('the segment cannot be read'));
          else done(undefined, columnsOf(entries));
        }),
      note: (text) => this.notes.push(text),
      ...options,
    });
  }

  open(): this {
    const [failure] = this.ask<[Failure]>((done) => this.index.open(done));
    assert.equal(failure, undefined);
    return this;
  }

  tryWrite(entries: readonly DueEntry[], base = BASE, identity = IDENTITY): Failure {
    this.identities.set(base, identity);
    return this.ask<[Failure]>((done) =>
      this.index.write(base, identity, columnsOf(entries), done),
    )[0];
  }

  write(entries: readonly DueEntry[], base = BASE, identity = IDENTITY): this {
    assert.equal(this.tryWrite(entries, base, identity), undefined);
    return this;
  }

  check(base = BASE): boolean {
    return this.ask<[boolean]>((done) => this.index.check(base, done))[0];
  }

  seek(
    when: number,
    sequence: number,
    base = BASE,
    random?: Random,
  ): { failure: Failure; place: number; end: number } {
    const [failure, place, end] = this.ask<[Failure, DuePlace, DuePlace]>(
      (done) => this.index.seek(base, when, sequence, done),
      random,
    );
    return { failure, place, end };
  }

  /** All entries from this time and sequence on, or what came before a failure. */
  all(when = 0, sequence = 0, base = BASE): { failure: Failure; entries: DueEntry[] } {
    const entries: DueEntry[] = [];
    const { failure, place, end } = this.seek(when, sequence, base);
    if (failure !== undefined) return { failure, entries };
    for (let at = place; at < end; at++) {
      const entry = emptyDueEntry();
      if (!this.index.read(base, at, entry)) {
        const [loadFailure] = this.ask<[Failure]>((done) => this.index.load(base, at, done));
        if (loadFailure !== undefined) return { failure: loadFailure, entries };
        assert.ok(this.index.read(base, at, entry), 'loaded, and not there');
      }
      entries.push(entry);
    }
    return { failure: undefined, entries };
  }
}
