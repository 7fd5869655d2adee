// The truth of the small nodes: items, each of a producer with its number.

import assert from 'node:assert/strict';
import { DATA_AT, itemsOf, LOG_ID, nextSegment } from './batches.ts';
import type { Clock } from './clock.ts';
import { StreamTruth } from './stream-truth.ts';

export class Truth extends StreamTruth {
  readonly items = new Set<string>();
  readonly acked = new Set<string>();
  readonly delivered = new Set<string>();
  // The last number that counts of each producer.
  readonly #numbers = new Map<number, number>();

  constructor(clock: Clock, ownMs: number) {
    super(clock, { logId: LOG_ID, beginning: DATA_AT, nextSegment }, ownMs);
  }

  protected takes(_position: number, bytes: Uint8Array): void {
    for (const [producer, number] of itemsOf(bytes)) {
      const before = this.#numbers.get(producer) ?? 0;
      assert.ok(number > before, `producer ${producer}: ${number} is stored behind ${before}`);
      this.#numbers.set(producer, number);
      this.items.add(`${producer}:${number}`);
    }
  }

  ack(item: string): void {
    assert.ok(this.items.has(item), `${item} is acked and does not count`);
    this.acked.add(item);
  }

  deliver(node: number, epoch: number, item: string): void {
    assert.ok(this.items.has(item), `node ${node} delivers ${item}, which does not count`);
    this.handsOut(node, epoch);
    this.delivered.add(item);
  }

  /** At the end: all that was acked counts, whatever happened meanwhile. */
  judge(): void {
    for (const item of this.acked) assert.ok(this.items.has(item), `${item} was acked and is lost`);
  }
}
