// How much of a line one frame takes: messages, bytes, runs; what is on disk ends it. consumer.test
// reads what such frames hold.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BATCH_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  RESULT_BYTES_OUT,
  RESULT_PAYLOAD,
} from '../../../assembly/layout.ts';
import { BugError } from '../../../src/core/assert.ts';
import type { Buckets } from '../../../src/core/buckets/buckets.ts';
import type { Slice } from '../../../src/core/buckets/slice.ts';
import { DeliveryFrames } from '../../../src/core/connections/delivery-frames.ts';
import { InFlight } from '../../../src/core/delivery/in-flight.ts';
import type { Settlement } from '../../../src/core/delivery/settlement.ts';
import { FramePool } from '../../../src/core/memory/frame-pool.ts';
import { Counters } from '../../../src/core/metrics/counters.ts';

const SIZE = 10; // of a message in a frame, of which 2 are its length
const PAYLOAD = 8;

/** A line of parts with so many messages each; those from `onDisk` on are not in memory. */
function setUp(sizes: number[], onDisk = Number.POSITIVE_INFINITY, missed = () => {}) {
  let sequence = 1;
  const line = sizes.map((count, i): Slice => {
    const part = { slot: 3, position: i, first: 0, bodyBytes: 100 + i, attempts: 0, level: 0 };
    sequence += count;
    return { ...part, sequence: sequence - count, count, messages: count };
  });
  const asked: number[] = [];
  const counters = new Counters();
  const codec = {
    result: new Uint32Array(16),
    deliver(...call: number[]): number {
      const [place, bodyBytes, , count, , outAt, outMax] = call as Required<typeof call>;
      assert.equal(place, bodyBytes! - 100 + 1000 + RECORD_HEADER_BYTES, 'another record');
      assert.ok(count! > 0, 'nothing was asked for');
      asked.push(count!);
      const fits = Math.floor((outMax! - outAt!) / SIZE);
      const least = outAt === BATCH_HEADER_BYTES ? 1 : 0;
      const packed = Math.min(count!, Math.max(fits, least));
      this.result[RESULT_BYTES_OUT] = outAt! + packed * SIZE;
      this.result[RESULT_PAYLOAD] = packed * PAYLOAD;
      return packed;
    },
    takeFrame: () => new Uint8Array(0),
  };
  const settlement = {
    deliver: (part: Slice, count: number): Slice => {
      const taken = { ...part, count };
      part.sequence += count;
      part.first += count;
      part.count -= count;
      if (part.count === 0) line.shift();
      return taken;
    },
  };
  const frames = new DeliveryFrames(
    {
      codec,
      buckets: { peek: () => line[0] } as unknown as Buckets<unknown>,
      settlement: settlement as unknown as Settlement,
      counters,
      dying: { aliveIn: (part) => part.count, mayExpire: false },
      dispatcher: {
        records: {
          fetch: (slot, position, recordBytes) => {
            assert.deepEqual([slot, recordBytes], [3, RECORD_HEADER_BYTES + 100 + position]);
            if (position < onDisk) return 1000 + position;
            missed();
            return -1;
          },
        },
        virtual: { turns: { next: () => undefined, fetch: () => -1, took: () => {} } },
      },
    },
    new FramePool(1),
  );
  const held = new InFlight();
  const pack = (most: number, bytesMax = 1_000_000) => frames.pack(3, most, 8, bytesMax, held);
  return { frames, pack, held, line, asked, counters };
}

test('as many messages as it may, of as many parts as that takes', () => {
  const { pack, held, line, asked, counters } = setUp([2, 3, 4]);
  assert.equal(pack(6), BATCH_HEADER_BYTES + 6 * SIZE);
  assert.deepEqual(asked, [2, 3, 1]);
  assert.deepEqual([held.count, held.parts, held.first.sequence, line[0]!.count], [6, 3, 1, 3]);
  const { deliveredMessages, deliveredBytes, deliveries } = counters;
  assert.deepEqual([deliveredMessages, deliveredBytes, deliveries], [6, 6 * PAYLOAD, 1]);
});

test('as many bytes as it may, or the first message, whatever its size', () => {
  const { pack, held, asked, counters } = setUp([2, 3, 4]);
  assert.equal(pack(100, BATCH_HEADER_BYTES + 4 * SIZE + 5), BATCH_HEADER_BYTES + 4 * SIZE);
  assert.deepEqual(asked, [2, 3], 'what does not fit ends it');
  assert.equal(held.count, 4);
  const alone = setUp([2]);
  assert.equal(alone.pack(100, 1), BATCH_HEADER_BYTES + SIZE);
  assert.equal(alone.held.count, 1);
  assert.equal(counters.deliveries, 1);
});

test('what is on disk ends it; nothing if that is the first', () => {
  const { pack, held } = setUp([2, 3], 1);
  assert.equal(pack(100), BATCH_HEADER_BYTES + 2 * SIZE);
  assert.equal(held.count, 2);
  const cold = setUp([2], 0);
  assert.equal(cold.pack(100), 0);
  assert.deepEqual([cold.held.count, cold.counters.deliveries, cold.line.length], [0, 0, 1]);
});

test('a batch of scattered messages ends after so many runs', () => {
  const { pack, held, line } = setUp(Array(5000).fill(1));
  pack(65_536);
  assert.deepEqual([held.parts, held.count, line.length], [4096, 4096, 5000 - 4096]);
});

test('no frame is begun in the outbox while another one is in it', () => {
  const others: (() => void)[] = [];
  const { frames, pack, held } = setUp([2, 3], 1, () => {
    // Once: each packs, and so comes here again where it may.
    for (const other of others.splice(0)) other();
  });
  const second = () => frames.pack(3, 100, 8, 1_000_000, new InFlight());
  others.push(() => assert.throws(second, BugError));
  const bytes = pack(100);
  assert.equal(bytes, BATCH_HEADER_BYTES + 2 * SIZE);
  assert.throws(second, BugError, 'it is not taken yet');
  assert.equal(others.length, 0, 'another one was tried');
  frames.close(held.count, bytes, undefined);
  assert.equal(second(), 0);
  assert.equal(second(), 0, 'one that was not begun is in the way of nobody');
});
