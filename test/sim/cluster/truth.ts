// The truth of the small nodes: items, each of a producer with its number.

import assert from 'node:assert/strict';
import { DATA_AT, type Item, itemsOf, LOG_ID, nameOf, nextSegment, PRODUCERS } from './batches.ts';
import type { Clock } from './clock.ts';
import { StreamTruth } from './stream-truth.ts';

export class Truth extends StreamTruth {
  readonly items = new Set<Item>();
  readonly acked = new Set<Item>();
  readonly delivered = new Set<Item>();
  // The last number that counts of each producer.
  readonly #last = new Array<Item>(PRODUCERS).fill(0);

  constructor(clock: Clock, ownMs: number) {
    super(clock, { logId: LOG_ID, beginning: DATA_AT, nextSegment }, ownMs);
  }

  protected takes(_position: number, bytes: Uint8Array): void {
    for (const item of itemsOf(bytes)) {
      const last = this.#last[item % PRODUCERS]!;
      if (item <= last) assert.fail(`${nameOf(item)} is stored behind ${nameOf(last)}`);
      this.#last[item % PRODUCERS] = item;
      this.items.add(item);
    }
  }

  ack(item: Item): void {
    if (!this.items.has(item)) assert.fail(`${nameOf(item)} is acked and does not count`);
    this.acked.add(item);
  }

  deliver(node: number, epoch: number, item: Item): void {
    if (!this.items.has(item))
      assert.fail(`node ${node} delivers ${nameOf(item)}, which does not count`);
    this.handsOut(node, epoch);
    this.delivered.add(item);
  }

  /** At the end: all that was acked counts, whatever happened meanwhile. */
  judge(): void {
    for (const item of this.acked)
      assert.ok(this.items.has(item), `${nameOf(item)} was acked and is lost`);
  }
}
