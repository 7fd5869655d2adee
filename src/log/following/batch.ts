// Whether bytes that came from elsewhere are the next commit batch of a log, by the rules that a
// recovery goes by: each record verified and chained to its batch, of no earlier life than the one
// before, closed by a commit. What recovery need not ask, as it reads what one writer wrote, is
// asked here: that there is one commit, behind all else, and that no sequence is left out.

import {
  FLAG_LAST,
  RECORD_COMMIT,
  RECORD_FLAGS_AT,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_PLACED,
  RECORD_TRIM,
} from '../../../assembly/layout.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { COUNT, EPOCH, sequenceOf, TYPE } from '../../core/records/rows.ts';
import { LogError } from '../files/errors.ts';
import { scanChunk, type Visitor, type Walk } from '../scan/scan.ts';

/** A whole commit batch, as its owner appended it. */
export interface FollowedBatch {
  /** Of its first byte in the log. */
  position: Position;
  bytes: Uint8Array;
  /** Which life of the log's owner wrote it. */
  epoch: number;
}

/** What a batch says of the log. */
export interface Said {
  /** The log goes on in the next segment. */
  last: boolean;
  /** The sequence number behind it. */
  sequence: number;
  /** Position before which nothing is needed any more; 0: it does not say. */
  trim: Position;
}

/** What a batch has to go on from. */
export interface Before {
  /** The segment that it is in. */
  segment: { name: string; base: Position; bytes: number; places: boolean };
  /** Behind the last batch. */
  end: Position;
  epoch: number;
  sequence: number;
  /** Whether any batch was there: the first one may begin at any sequence. */
  isBegun: boolean;
}

/**
 * Looks at a batch whose bytes stand at `place` of the codec's memory; each record goes to `into`,
 * which is to forget them if this throws. Throws LogError: `damaged`, or `version` where it holds a
 * record of a type that is not known.
 */
export function checkBatch(
  codec: RecordScanner,
  place: number,
  { position, bytes, epoch }: FollowedBatch,
  before: Before,
  into: Pick<Visitor, 'record'>,
): Said {
  const { segment, end } = before;
  const refuse = (why: string) =>
    new LogError('damaged', `what came for position ${position} is no batch of this log: ${why}`);
  if (position !== end) throw refuse(`the log goes on at ${end}`);
  if (epoch < before.epoch) throw refuse(`epoch ${epoch} is over since ${before.epoch}`);
  const offset = position - segment.base;
  if (offset + bytes.length > segment.bytes) throw refuse('it ends behind its segment');
  const walk: Walk = {
    committed: offset,
    stopped: offset,
    last: false,
    provedTo: -1,
    epoch: before.epoch,
    sequence: -1,
    records: 0,
  };
  const reader = new BatchReader(epoch, before, into);
  const { consumed } = scanChunk(codec, segment, offset, bytes.length, walk, reader, place);
  if (consumed !== bytes.length)
    throw refuse(`its byte ${consumed} of ${bytes.length} does not continue it`);
  if (reader.commits !== 1 || walk.committed !== offset + bytes.length)
    throw refuse('it does not end with the one commit that it has');
  const why = reader.wrong ?? reader.oddEnd(walk);
  if (why !== undefined) throw refuse(why);
  return { last: walk.last, sequence: walk.sequence, trim: reader.trim };
}

/** Whether a batch that this broker has written is the last one of its segment. */
export function closesSegment(batch: Uint8Array): boolean {
  return (batch[batch.length - RECORD_HEADER_BYTES + RECORD_FLAGS_AT]! & FLAG_LAST) !== 0;
}

class BatchReader implements Visitor {
  readonly #epoch: number;
  readonly #before: Before;
  readonly #into: Pick<Visitor, 'record'>;
  #sequence: number;
  #isBegun: boolean;
  #counted = 0;
  commits = 0;
  trim: Position = 0;
  /** What is wrong with a record. */
  wrong: string | undefined;

  constructor(epoch: number, before: Before, into: Pick<Visitor, 'record'>) {
    this.#epoch = epoch;
    this.#before = before;
    this.#into = into;
    this.#sequence = before.sequence;
    this.#isBegun = before.isBegun;
  }

  record(rows: Uint32Array, at: number, chunk: Position, bytes: Uint8Array): void {
    const type = rows[at + TYPE]!;
    const sequence = sequenceOf(rows, at);
    if (rows[at + EPOCH] !== this.#epoch) this.wrong ??= `it has a record of ${rows[at + EPOCH]}`;
    if (type >= RECORD_PLACED && !this.#before.segment.places)
      this.wrong ??= 'its segment may hold no records of types 7 to 10';
    if (type === RECORD_MESSAGES || type === RECORD_PLACED) {
      this.#goOn(sequence);
      this.#sequence += rows[at + COUNT]!;
    } else if (type === RECORD_COMMIT) {
      this.#goOn(sequence);
      if (rows[at + COUNT] !== this.#counted) this.wrong ??= 'records of it are missing';
    } else if (type === RECORD_TRIM) this.trim = Math.max(this.trim, sequence);
    this.#counted++;
    this.#into.record(rows, at, chunk, bytes);
  }

  #goOn(sequence: number): void {
    const isNext = sequence === this.#sequence || (!this.#isBegun && sequence > this.#sequence);
    if (!isNext) this.wrong ??= `sequence ${sequence} stands where ${this.#sequence} is next`;
    this.#sequence = sequence;
    this.#isBegun = true;
  }

  commit(): void {
    this.commits++;
  }

  /** What is wrong with what it says of the log behind it. */
  oddEnd({ sequence }: Walk): string | undefined {
    return sequence === this.#sequence ? undefined : `its commit says sequence ${sequence}`;
  }
}
