// The one line of truth: what counts by the rule, written down once more and plainly, as everything
// is stored; and what is promised of any log, judged against it: what nodes hold, and who may hand
// something out.

import assert from 'node:assert/strict';
import {
  STREAM_BASE,
  STREAM_PART,
  STREAM_RESIGN,
  STREAM_START,
} from '../../../assembly/layout-cluster.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { partOf, readEnvelope } from '../../../src/core/cluster/envelope.ts';
import type { StreamMessage } from '../../../src/core/ports/stream.ts';
import type { Clock } from './clock.ts';

export interface TrueBatch {
  readonly bytes: Uint8Array;
  readonly epoch: number;
}

/** What is known of the log that is in the stream. */
export interface LogShape {
  readonly logId: bigint;
  /** Position of its first batch. */
  readonly beginning: number;
  readonly nextSegment: (position: number) => number;
}

export abstract class StreamTruth {
  protected readonly clock: Clock;
  readonly #log: LogShape;
  readonly batches = new Map<number, TrueBatch>();
  /** When the last sign of life of each epoch was sent that counts. */
  readonly sentMs: number[] = [];
  // Where the log ended before each message.
  readonly endAt: number[] = [];
  epoch = 0;
  begunMs = 0;
  end: number;
  #staged: Uint8Array[] = [];
  #stagedBytes = 0;
  #closedBy: string | undefined;
  readonly #ownMs: number;
  /** Whether nobody campaigns too early: then nobody ever delivers beside a new owner. */
  isPatient = true;

  constructor(clock: Clock, log: LogShape, ownMs: number) {
    this.clock = clock;
    this.#log = log;
    this.end = log.beginning;
    this.#ownMs = ownMs;
  }

  /** A batch counts that was not there before. */
  protected abstract takes(position: number, bytes: Uint8Array): void;

  stored({ bytes, sequence }: StreamMessage, sentMs: number): void {
    const envelope = readEnvelope(bytes, this.#log.logId, crc32c);
    assert.ok(typeof envelope === 'object', `message ${sequence}: ${envelope}`);
    const { kind, epoch, position, offset, batchBytes, closes } = envelope;
    const isStart = kind === STREAM_START && epoch > this.epoch && position === this.end;
    if (isStart) {
      this.#drop();
      this.epoch = epoch;
      this.begunMs = this.clock.nowMs;
      this.#closedBy = undefined;
      this.clock.count('starts');
    } else if (kind === STREAM_START || epoch !== this.epoch) {
      this.clock.count('void: epoch');
      return;
    }
    this.endAt[sequence] = this.end;
    if (kind !== STREAM_BASE) this.sentMs[epoch] = Math.max(this.sentMs[epoch] ?? 0, sentMs);
    if (kind === STREAM_RESIGN) this.#closedBy = `epoch ${epoch} resigned`;
    if (kind !== STREAM_PART && !isStart) return;
    if (position !== this.end || offset !== this.#stagedBytes) {
      this.clock.count('void: place');
      return;
    }
    assert.equal(this.#closedBy, undefined);
    this.#staged.push(partOf(bytes, envelope));
    this.#stagedBytes += envelope.partBytes;
    if (this.#stagedBytes === batchBytes) this.#counts(position, epoch, closes);
  }

  #counts(position: number, epoch: number, closes: boolean): void {
    const bytes = new Uint8Array(Buffer.concat(this.#staged));
    this.#drop();
    this.batches.set(position, { bytes, epoch });
    this.end = closes ? this.#log.nextSegment(position) : position + bytes.length;
    this.takes(position, bytes);
  }

  #drop(): void {
    this.#staged = [];
    this.#stagedBytes = 0;
  }

  /** What a node holds in its log at a position. */
  holds(node: number, position: number, bytes: Uint8Array): void {
    const batch = this.batches.get(position);
    assert.ok(batch !== undefined, `node ${node} has at ${position} what does not count`);
    assert.ok(sameBytes(bytes, batch.bytes), `node ${node} has other bytes at ${position}`);
  }

  /** A node hands something out as the owner of an epoch. Gives whether it still is. */
  handsOut(node: number, epoch: number): boolean {
    const now = this.clock.nowMs;
    const until = (this.sentMs[epoch] ?? 0) + this.#ownMs * 1.02;
    assert.ok(now <= until, `node ${node} delivers ${now - until} ms after its time was over`);
    if (epoch === this.epoch) return true;
    assert.ok(epoch < this.epoch && !this.isPatient, `node ${node} delivers beside the owner`);
    this.clock.count('delivered within the window of an old owner');
    return false;
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
