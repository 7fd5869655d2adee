// Sources that nobody knows to have something are found, in a broker that remembers few buckets and
// has most of what waits in indexes: all, each once a round, also where a segment is visited in
// pieces, becomes part of another one meanwhile, or cannot be read.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { SourceSearch } from '../../../src/core/delivery/source-search.ts';
import type { Failure, Found, Position } from '../../../src/core/ports/basics.ts';
import { acks, brokerOf, textOf } from '../../support/world.ts';

const SMALL = { segmentBytes: 16 * 1024, messageBytesMax: 1024, heartbeatMs: 1e9 };
type World = ReturnType<typeof brokerOf>;

/** Everything that happens by itself, visits of indexes included. */
async function settle(world: World): Promise<void> {
  for (let quiet = 0, turns = 0; quiet < 3; turns++) {
    assert.ok(turns < 10_000, 'it never comes to rest');
    world.settle();
    await new Promise((resolve) => setImmediate(resolve));
    quiet = world.woken || world.log.appending ? 0 : quiet + 1;
  }
}

/** What the consumer of a virtual bucket is given until nothing comes, done with each at once. */
async function drain(world: World, bucket: number, batch: number): Promise<string[]> {
  const consumer = world.consumer(bucket, batch);
  const all: string[] = [];
  for (;;) {
    await settle(world);
    const frames = new DeliveryDecoder('u64').push(consumer.take());
    if (frames.length === 0) return all;
    for (const frame of frames) {
      for (let i = 0; i < frame.count; i++) all.push(textOf(frame.body(i)).trim());
      consumer.send(acks(...Array.from({ length: frame.count }, () => 1)));
    }
  }
}

const SOURCES = 40;
const EACH = 5;

function published(slotsMax: number, rule: string): World {
  const world = brokerOf({ limits: SMALL, slotsMax, rules: [rule] });
  for (let i = 0; i < EACH; i++)
    for (let source = 0; source < SOURCES; source++)
      world.publish(100 + source, `${source}.${i}`.padEnd(300));
  return world;
}

describe('sources that were forgotten are found in indexes, however few are known', () => {
  for (const [slotsMax, order] of [
    [4, 'fair'],
    [16, 'fair'],
    [1024, 'fair'],
    [16, 'strict'],
  ] as const)
    test(`${slotsMax} buckets, ${order}`, async () => {
      const world = published(slotsMax, `9 sources=100-199 order=${order}`);
      const got = await drain(world, 9, 8);
      assert.equal(got.length, SOURCES * EACH);
      assert.equal(new Set(got).size, got.length);
      for (let source = 0; source < SOURCES; source++) {
        const own = got.filter((text) => text.startsWith(`${source}.`));
        assert.deepEqual(
          own,
          Array.from({ length: EACH }, (_, i) => `${source}.${i}`),
        );
      }
      assert.ok(world.broker.buckets.count <= slotsMax + 8, 'few are known');
      if (order === 'strict') return;
      // Nobody has a third turn before everybody has had the first.
      const third = got.findIndex((text) => text.endsWith('.2'));
      assert.equal(new Set(got.slice(0, third).map((text) => text.split('.')[0])).size, SOURCES);
    });
});

/** A search over segments that the test visits by hand. */
class Yard {
  readonly segments = [0, 100, 200];
  readonly added: number[] = [];
  readonly visits: {
    base: Position;
    record: (low: number, high: number, found: Found) => void;
    done: (failure: Failure) => void;
  }[] = [];
  readonly finds: (() => void)[] = [];
  readonly remakes: ((failure: Failure) => void)[] = [];
  readonly notices: string[] = [];
  readonly counters = { deliveredMessages: 0 };
  readonly rates = { nowMs: 0 };
  readonly search: SourceSearch;

  constructor(most: number) {
    const ring = { order: 'fair', slot: 0, count: 0 };
    const sources = { isOn: true, ringFor: () => ring, ringOf: () => ring, rings: [], wake() {} };
    const buckets = {
      sources,
      slotsEnd: 1,
      rates: this.rates,
      isPartial: true,
      find: (low: number) => (this.added.includes(low) ? low : 0),
      open: (low: number) => low,
      indexed: { hasReady: () => true },
    };
    const retention = {
      oldestLive: (from: Position) => {
        const base = this.segments.find((each) => each >= from);
        return base === undefined ? undefined : { base };
      },
      has: (base: Position) => this.segments.includes(base),
    };
    const touch = (slot: number) => {
      if (this.added.includes(slot)) return false;
      this.added.push(slot);
      return true;
    };
    this.search = new SourceSearch(
      {
        buckets,
        retention,
        notices: { notice: (_level: string, kind: string) => void this.notices.push(kind) },
        counters: this.counters,
        closing: false,
        dispatcher: { virtual: { isServed: true, touch, starves: () => false } },
        flushSoon: () => {},
        dispatch: () => {},
      } as unknown as ConstructorParameters<typeof SourceSearch>[0],
      {
        index: {
          visit: (base, record, done) => void this.visits.push({ base, record, done }),
          find: (_query, _most, done) => void this.finds.push(() => done(undefined, [], undefined)),
          remake: (_base, done) => void this.remakes.push(done),
        },
        memoryFrom: () => 1000,
        most,
      },
    );
    this.search.begin();
  }

  turn(): void {
    for (let i = 0; i < 3; i++) this.search.turn();
  }

  /** Ends the visit that is under way, which must be of the segment at `base`. */
  visited(base: Position, lows: number[], failure?: Error): void {
    this.turn();
    const visit = this.visits.shift();
    assert.equal(visit?.base, base);
    for (const low of lows) visit.record(low, 0, { kind: 0, sequence: 1, messages: 1 } as Found);
    visit.done(failure);
    this.turn();
  }
}

test('segment by segment, until all are found', () => {
  const yard = new Yard(100);
  yard.visited(0, [1, 2, 1]);
  yard.visited(100, [2, 3]);
  yard.visited(200, []);
  assert.deepEqual(yard.added, [1, 2, 3]);
  assert.equal(yard.search.isBusy, false);
  assert.equal(yard.search.rests(1), false, 'all are there');
});

test('with enough found it pauses, and goes on there when half of them had their turn', () => {
  const yard = new Yard(4);
  yard.visited(0, [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([yard.added, yard.visits.length], [[1, 2, 3, 4], 0]);
  assert.ok(yard.search.rests(1), 'who had its turn makes room for others');
  yard.turn();
  assert.equal(yard.visits.length, 0);
  yard.search.left(2);
  yard.visited(0, [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(yard.added, [1, 2, 3, 4, 5, 6]);
  for (const slot of [3, 4]) yard.search.left(slot);
  yard.visited(100, []);
  yard.visited(200, []);
  assert.equal(yard.visits.length, 0, 'nothing was delivered since it began');
  yard.counters.deliveredMessages++;
  yard.visited(0, [7]);
  assert.ok(yard.added.includes(7), 'another round, as some were to stay out');
});

test('a source that is forgotten with messages is looked for in a later round, one without is not', () => {
  const yard = new Yard(100);
  yard.visited(0, [1, 2]);
  yard.visited(100, []);
  yard.visited(200, []);
  yard.search.forgotten(1, false);
  assert.equal(yard.search.isBusy, false);
  yard.search.forgotten(2, true);
  assert.equal(yard.search.isBusy, true);
  yard.rates.nowMs = yard.search.dueMs;
  yard.added.length = 0;
  yard.visited(0, [2]);
  assert.deepEqual(yard.added, [2]);
});

test('half had their turn while the segment is visited: what was passed over is looked at again', () => {
  const yard = new Yard(2);
  yard.turn();
  const { record, done } = yard.visits.shift()!;
  const found = { kind: 0, sequence: 1, messages: 1 } as Found;
  for (const low of [1, 2, 3]) record(low, 0, found);
  for (const slot of [1, 2]) yard.search.left(slot);
  record(4, 0, found);
  done(undefined);
  yard.visited(0, [1, 2, 3, 4]);
  assert.deepEqual(yard.added, [1, 2, 3, 4]);
});

test('segments that become one meanwhile are looked at as that one', () => {
  const yard = new Yard(100);
  yard.visited(0, [1]);
  yard.turn();
  yard.segments.splice(1, 1);
  yard.search.merged(0, 200);
  yard.visited(100, [2]);
  yard.visited(0, [1, 2, 3]);
  yard.visited(200, []);
  assert.deepEqual(yard.added.sort(), [1, 2, 3]);

  const other = new Yard(100);
  other.turn();
  other.segments.splice(1, 1);
  other.search.merged(0, 200);
  other.visited(0, [1]);
  other.visited(0, [1, 2]);
  other.visited(200, []);
  assert.deepEqual(other.added, [1, 2], 'the index that was visited is not that of both');

  const before = new Yard(100);
  before.visited(0, []);
  before.visited(100, []);
  before.search.merged(0, 200);
  before.visited(200, []);
  assert.equal(before.search.isBusy, false, 'what was looked at is not looked at again');
});

test('an index that cannot be read is made again, or its segment is left out and said to be', () => {
  const yard = new Yard(100);
  yard.visited(0, [1], new Error('torn'));
  yard.finds.shift()!();
  yard.visited(0, [1, 2]);
  yard.visited(100, [], new Error('torn'));
  yard.finds.shift()!();
  assert.deepEqual(yard.notices, []);
  yard.visited(100, [], new Error('torn'));
  yard.remakes.shift()!(new Error('the segment is torn'));
  assert.deepEqual(yard.notices, ['log.unreadable']);
  yard.visited(200, [3]);
  assert.deepEqual(yard.added, [1, 2, 3]);
  assert.equal(yard.search.isBusy, false, 'it is not looked for any more');
});

test('an index that is bad each time although it can be made is left to a later round, and nothing is said', () => {
  const yard = new Yard(100);
  yard.visited(0, [1], new Error('torn'));
  yard.finds.shift()!();
  yard.visited(0, [1], new Error('torn'));
  yard.remakes.shift()!(undefined);
  yard.visited(0, [1], new Error('torn'));
  yard.visited(100, [2]);
  yard.visited(200, [3]);
  yard.turn();
  assert.equal(yard.visits.length, 0, 'not at once');
  yard.rates.nowMs = yard.search.dueMs;
  yard.visited(0, [1, 4]);
  yard.visited(100, [2]);
  yard.visited(200, [3]);
  assert.deepEqual(yard.added, [1, 2, 3, 4]);
  assert.deepEqual(yard.notices, []);
  assert.equal(yard.search.isBusy, false);
});

test('another failure of an index that was read meanwhile, or is another one, is a first one', () => {
  const torn = new Error('torn');
  const yard = new Yard(2);
  yard.visited(0, [1], torn);
  yard.finds.shift()!();
  yard.visited(0, [1, 2, 3]);
  for (const slot of [1, 2]) yard.search.left(slot);
  yard.visited(0, [], torn);
  assert.deepEqual([yard.finds.length, yard.remakes.length], [1, 0], 'it was read before');

  const other = new Yard(100);
  other.visited(0, [1], torn);
  other.finds.shift()!();
  other.search.merged(0, 100);
  other.visited(0, [], torn);
  assert.deepEqual([other.finds.length, other.remakes.length], [1, 0], 'it is another one');
  assert.deepEqual([...yard.notices, ...other.notices], []);
});

test('other rules: the search begins anew, whatever was found', () => {
  const yard = new Yard(2);
  yard.visited(0, [1, 2]);
  yard.added.length = 0;
  yard.search.beginAnew();
  yard.visited(0, [1]);
  yard.visited(100, []);
  yard.visited(200, []);
  assert.deepEqual(yard.added, [1]);
  assert.equal(yard.search.isBusy, false);
});

test('a bucket that nobody knows is opened only if it is a source', () => {
  const yard = new Yard(2);
  assert.equal(yard.search.open(77, 0), 77);
});
