// What a producer of load sends: decodable batches, buckets in turn, stamps where they are wanted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchDecoder, type WireMessage } from '../../src/codec/wire.ts';
import { createSources } from '../../src/load/batches.ts';
import { DEFAULT_PLAN, type LoadPlan } from '../../src/load/plan.ts';
import {
  filler,
  STAMP_BYTES,
  STAMP_PRODUCER_AT,
  STAMP_RUN_AT,
  STAMP_SEQUENCE_AT,
  STAMP_TIME_AT,
} from '../../src/load/stamp.ts';

const plan = (change: Partial<LoadPlan>): LoadPlan => ({
  ...DEFAULT_PLAN,
  messageBytes: 24,
  batchMessages: 4,
  ...change,
});

function decode(bytes: Uint8Array, { wire }: LoadPlan): WireMessage[] {
  const decoder = new BatchDecoder(wire);
  const [batch, ...rest] = decoder.push(bytes);
  assert.equal(rest.length + decoder.pendingBytes, 0);
  return batch;
}

const bucketsOf = (messages: WireMessage[]): number[] =>
  messages.map(({ bucket }) => Number(bucket - DEFAULT_PLAN.firstBucket));

for (const wire of ['u64', 'u32'] as const) {
  test(`plain batches are the same bytes for every producer, ${wire}`, () => {
    const used = plan({ wire, producers: 2, consumers: 0 });
    const [first, second] = createSources(used, 1);
    const batch = first.next(4, 0);
    assert.equal(first.next(4, 0), batch);
    assert.equal(second.next(4, 0), batch);
    const messages = decode(batch, used);
    assert.deepEqual(bucketsOf(messages), [0, 0, 0, 0]);
    for (const { body } of messages) assert.deepEqual(body, filler(24));
  });

  test(`messages go to the buckets in turn, ${wire}`, () => {
    const used = plan({ wire, buckets: 3, consumers: 0 });
    const [source] = createSources(used, 1);
    const turns = Array.from({ length: 4 }, () => bucketsOf(decode(source.next(4, 0), used)));
    assert.deepEqual(turns.slice(0, 3).flat(), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    assert.deepEqual(turns[3], turns[0]);
  });

  test(`buckets too many to keep encoded are written before sending, ${wire}`, () => {
    const buckets = 1_000_003; // prime: as many different batches as buckets
    const firstBucket = 2n ** 32n - 2n; // the upper half of the number changes on the way
    const used = plan({ wire, buckets, firstBucket, consumers: 0 });
    const [source] = createSources(used, 1);
    const seen = [...decode(source.next(4, 0), used), ...decode(source.next(4, 0), used)];
    assert.deepEqual(
      seen.map(({ bucket }) => bucket - firstBucket),
      [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n],
    );
  });
}

test('stamps say producer, run, sequence and time; the rest is filler', () => {
  const used = plan({ producers: 3, verify: true });
  const source = createSources(used, 77)[2];
  const views = [source.next(4, 1234.5), source.next(4, 2345.5)].map((bytes) =>
    decode(bytes, used).map(({ body }) => new DataView(body.buffer)),
  );
  for (const [index, view] of views.flat().entries()) {
    assert.equal(view.getUint16(STAMP_PRODUCER_AT, true), 2);
    assert.equal(view.getUint16(STAMP_RUN_AT, true), 77);
    assert.equal(view.getUint32(STAMP_SEQUENCE_AT, true), index);
    assert.equal(view.getFloat64(STAMP_TIME_AT, true), index < 4 ? 1234.5 : 2345.5);
    const body = new Uint8Array(view.buffer);
    assert.deepEqual(body.subarray(STAMP_BYTES), filler(24).subarray(STAMP_BYTES));
  }
});

test('of a large batch a few messages carry the time, others each time', () => {
  const used = plan({ batchMessages: 100, rate: 1000 });
  const [source] = createSources(used, 1);
  const timed = (): number[] =>
    decode(source.next(100, 5), used)
      .map(({ body }, index) => (new DataView(body.buffer).getFloat64(0, true) > 0 ? index : -1))
      .filter((index) => index >= 0);
  const [first, second] = [timed(), timed()];
  assert.deepEqual(first, [0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77, 84, 91, 98]);
  assert.deepEqual(second[0], 1);
});

test('a batch stays as it is while as many as can be in flight follow', () => {
  const used = plan({ verify: true, inFlight: 3 });
  const [source] = createSources(used, 1);
  const first = source.next(4, 1);
  const copy = Uint8Array.from(first);
  source.next(4, 2);
  source.next(4, 3);
  assert.deepEqual(first, copy);
});

test('the last batch of a count is as short as it must be', () => {
  for (const verify of [false, true]) {
    const used = plan({ verify });
    assert.equal(decode(createSources(used, 1)[0].next(3, 0), used).length, 3);
  }
});
