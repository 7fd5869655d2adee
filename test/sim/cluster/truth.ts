// The one line of truth: what counts by the rule, written down once more and plainly, as everything
// is stored; and all promises, judged against it.

import assert from 'node:assert/strict';
import {
  STREAM_PART,
  STREAM_RESIGN,
  STREAM_SETTING,
  STREAM_START,
} from '../../../assembly/layout-cluster.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { partOf, readEnvelope } from '../../../src/core/cluster/envelope.ts';
import type { StreamMessage } from '../../../src/core/ports/stream.ts';
import { itemsOf, LOG_ID, nextSegment } from './batches.ts';
import type { Clock } from './clock.ts';

export interface TrueBatch {
  readonly bytes: Uint8Array;
  readonly epoch: number;
}

export class Truth {
  readonly #clock: Clock;
  readonly batches = new Map<number, TrueBatch>();
  readonly items = new Set<string>();
  readonly acked = new Set<string>();
  readonly delivered = new Set<string>();
  // The last number that counts of each producer.
  readonly #numbers = new Map<number, number>();
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
  isOver = false;

  constructor(clock: Clock, beginning: number, ownMs: number) {
    this.#clock = clock;
    this.end = beginning;
    this.#ownMs = ownMs;
  }

  stored({ bytes, sequence }: StreamMessage, sentMs: number): void {
    const envelope = readEnvelope(bytes, LOG_ID, crc32c);
    assert.ok(typeof envelope === 'object', `message ${sequence}: ${envelope}`);
    const { kind, epoch, position, offset, batchBytes, closes } = envelope;
    const isStart = kind === STREAM_START && epoch > this.epoch && position === this.end;
    if (isStart) {
      this.#drop();
      this.epoch = epoch;
      this.begunMs = this.#clock.nowMs;
      this.#closedBy = undefined;
      this.#clock.count('starts');
    } else if (kind === STREAM_START || epoch !== this.epoch) {
      this.#clock.count('void: epoch');
      return;
    }
    this.endAt[sequence] = this.end;
    if (kind !== STREAM_SETTING) this.sentMs[epoch] = Math.max(this.sentMs[epoch] ?? 0, sentMs);
    if (kind === STREAM_RESIGN) this.#closedBy = `epoch ${epoch} resigned`;
    if (kind !== STREAM_PART && !isStart) return;
    if (position !== this.end || offset !== this.#stagedBytes) {
      this.#clock.count('void: place');
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
    this.end = closes ? nextSegment(position) : position + bytes.length;
    for (const [producer, number] of itemsOf(bytes)) {
      const before = this.#numbers.get(producer) ?? 0;
      assert.ok(number > before, `producer ${producer}: ${number} is stored behind ${before}`);
      this.#numbers.set(producer, number);
      this.items.add(`${producer}:${number}`);
    }
  }

  #drop(): void {
    this.#staged = [];
    this.#stagedBytes = 0;
  }

  ack(item: string): void {
    assert.ok(this.items.has(item), `${item} is acked and does not count`);
    this.acked.add(item);
  }

  /** What a node holds in its log at a position. */
  holds(node: number, position: number, bytes: Uint8Array): void {
    const batch = this.batches.get(position);
    assert.ok(batch !== undefined, `node ${node} has at ${position} what does not count`);
    assert.ok(sameBytes(bytes, batch.bytes), `node ${node} has other bytes at ${position}`);
  }

  deliver(node: number, epoch: number, item: string): void {
    assert.ok(this.items.has(item), `node ${node} delivers ${item}, which does not count`);
    const now = this.#clock.nowMs;
    const until = (this.sentMs[epoch] ?? 0) + this.#ownMs * 1.02;
    assert.ok(now <= until, `node ${node} delivers ${now - until} ms after its time was over`);
    if (epoch !== this.epoch) {
      assert.ok(epoch < this.epoch && !this.isPatient, `node ${node} delivers beside the owner`);
      this.#clock.count('delivered within the window of an old owner');
    }
    this.delivered.add(item);
  }

  /** At the end: all that was acked counts, whatever happened meanwhile. */
  judge(): void {
    for (const item of this.acked) assert.ok(this.items.has(item), `${item} was acked and is lost`);
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
