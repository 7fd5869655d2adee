// Records that are to be delivered: where they are in memory, and how they come there. One that
// cannot be read back stays on disk, untouched and reported, and the others of its bucket go on.

import { assert } from '../assert.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Commit } from '../commit/commit.ts';
import type { Failure, Position } from '../ports/basics.ts';
import type { Notices } from '../ports/notices.ts';
import type { RecordReader } from '../ports/reader.ts';
import * as notices from './notices.ts';
import type { Settlement } from './settlement.ts';

export interface RecordFetchParts {
  readonly buckets: Buckets<unknown>;
  readonly commit: Pick<Commit, 'hot'>;
  readonly settlement: Pick<Settlement, 'setAside'>;
  readonly notices: Notices;
  readonly closing: boolean;
}

export class RecordFetch {
  readonly #parts: RecordFetchParts;
  readonly #reader: RecordReader;
  readonly #ended: (slot: number) => void;

  /** `ended`: a bucket may go on that something was read for. */
  constructor(parts: RecordFetchParts, reader: RecordReader, ended: (slot: number) => void) {
    this.#parts = parts;
    this.#reader = reader;
    this.#ended = ended;
  }

  /** Place of a record in memory, or -1. */
  placeOf(position: Position, recordBytes: number): number {
    const hot = this.#parts.commit.hot(position);
    return hot >= 0 ? hot : this.#reader.resident(position, recordBytes);
  }

  /** Place of a record in memory, or -1 while it is being read for the bucket. */
  fetch(slot: number, position: Position, recordBytes: number): number {
    const place = this.placeOf(position, recordBytes);
    if (place >= 0) return place;
    const share = this.#parts.buckets.subscription(slot);
    assert(share !== undefined, 'a record was fetched for a bucket that nobody shares');
    if (share.loading) return -1;
    share.loading = true;
    this.#reader.load(position, recordBytes, (failure: Failure) => {
      share.loading = false;
      if (failure !== undefined) this.#setAside(slot, position, failure);
      this.#ended(slot);
    });
    return -1;
  }

  /** What an index says of a bucket cannot be had; in an orderly stop that is only given up. */
  notFound(slot: number, base: Position, failure: Error): void {
    const { buckets, closing, notices: operator } = this.#parts;
    if (closing) return;
    const text = notices.notFound(buckets.idOf(slot), base, failure);
    operator.notice('error', 'log.unreadable', text, { position: base });
  }

  #setAside(slot: number, position: Position, failure: Error): void {
    const { buckets, settlement, notices: operator } = this.#parts;
    const next = buckets.peek(slot);
    if (next === undefined || next.position !== position) return;
    const part = settlement.setAside(next);
    const { sequence, count } = part;
    const text = notices.unreadable(buckets.idOf(slot), part, failure);
    operator.notice('error', 'log.unreadable', text, { position, sequence, count });
  }
}
