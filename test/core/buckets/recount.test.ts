// Buckets counted anew once the log was read, against a plain model; and that it costs what is left
// in it, not what was settled long ago.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BucketTable, countsAt, READY } from '../../../src/core/buckets/bucket-table.ts';
import { Entries } from '../../../src/core/buckets/entries.ts';
import { recount } from '../../../src/core/buckets/recount.ts';
import { Unsettled } from '../../../src/core/buckets/unsettled.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/buckets/recount.test');

class WatchedEntries extends Entries {
  reads = 0;

  override sequence(entry: number): number {
    this.reads++;
    return super.sequence(entry);
  }
}

/** Buckets of which all but the first are known. */
function setUp(buckets: number) {
  const outcomes = noOutcomes();
  const unsettled = new Unsettled(outcomes);
  unsettled.held.isOn = true; // as where anything waits for a time
  const table = new BucketTable();
  const entries = new WatchedEntries();
  const slots = Array.from({ length: buckets }, (_, low) =>
    low === 0 ? 0 : table.open(low, 0, 0, 0),
  );
  let looks = 0;
  const find = (low: number) => {
    looks++;
    return slots[low]!;
  };
  const add = (low: number, sequence: number, count: number) =>
    entries.add(low, 0, sequence * 8, sequence, count, 9, 0, slots[low]!);
  const count = (next: number) => {
    unsettled.recoveredTo = next;
    const found: [slot: number, sequence: number, count: number][] = [];
    const delayed = { found: (...one: (typeof found)[0]) => void found.push(one) };
    recount({ table, index: { find }, entries, unsettled }, delayed, false);
    const ready = slots.slice(1).map((slot) => table.page(slot).counts[countsAt(slot) + READY]!);
    return { ready, found, looks };
  };
  return { ...outcomes, slots, entries, add, count };
}

test('random logs: what is ready of each bucket, and what may wait for a time', () => {
  const random = new Random(seed);
  for (let round = 0; round < 100; round++) {
    const { settled, waiting, slots, add, count } = setUp(5);
    const ready = [0, 0, 0, 0, 0];
    const left: [slot: number, sequence: number, count: number][] = [];
    let looks = 0;
    let next = 1 + random.below(100);
    // Of runs that are longer than what is walked through, and of others.
    let [fate, until] = [0, 0];
    for (let i = 0; i < 400; i++) {
      if (random.chance(0.1)) next += random.below(200); // what no entry is of
      const low = random.below(5);
      const messages = 1 + random.below(random.chance(0.1) ? 150 : 5);
      let isLeft = false;
      for (let at = next; at < next + messages; at++) {
        if (at >= until) [fate, until] = [random.below(4), at + 1 + random.below(300)];
        const isSettled = fate < 2 || (fate === 2 && random.chance(0.9));
        const isWaiting = random.chance(0.05);
        if (isSettled) settled.add(at, 1);
        if (isWaiting) waiting.add(at, 1);
        if (!isSettled) isLeft = true;
        if (!isSettled && !isWaiting) ready[low]!++;
      }
      add(low, next, messages);
      if (isLeft) looks++;
      if (isLeft && low > 0) left.push([slots[low]!, next, messages]);
      next += messages;
    }
    const counted = count(next);
    assert.deepEqual(counted, { ready: ready.slice(1), found: left, looks });
    assert.deepEqual(count(next).ready, counted.ready, 'again');
  }
});

test('entries of messages that are settled are not gone through, however many there are', () => {
  const { settled, entries, add, count } = setUp(2);
  settled.add(1, 200_000);
  for (let sequence = 1; sequence <= 200_003; sequence++) add(1, sequence, 1);
  assert.deepEqual(count(200_004).ready, [3]);
  assert.ok(entries.reads < 100, `${entries.reads} were read`);
});
