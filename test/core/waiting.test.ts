// Messages that wait for a time, in a broker over a log that the test moves: what becomes of marks
// when they are durable and when their segment is complete, what a start finds, and the net below.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CAUSE_FAILED } from '../../assembly/layout-placed.ts';
import type { Limits } from '../../src/core/limits.ts';
import { DUE_READY, type DueEntry, emptyDueEntry } from '../../src/core/records/due.ts';
import type { Waiting } from '../../src/core/waiting.ts';
import { brokerOf, WALL_MS, World } from '../support/world.ts';

const HOUR = 3_600_000;

/** A broker whose log may hold deferrals from its first segment on. */
function worldOf(limits: Partial<Limits> = {}): World {
  const world = brokerOf({ resume: { places: true }, limits });
  world.log.due.expected.add(0);
  return world;
}

const waitingOf = (world: World): Waiting => world.broker.maintenance.waiting;

function defer(
  world: World,
  sequence: number,
  count: number,
  afterMs: number,
  { turn = 1, bucket = 1n } = {},
): void {
  // As if a consumer had held them.
  const { delayed } = world.broker.buckets;
  delayed.pending += count;
  delayed.count += count;
  world.broker.commit.defer({
    sequence,
    count,
    turn,
    dueMs: world.wallMs + afterMs,
    bucket,
    attempts: 1,
    kind: 0,
    level: 0,
    cause: CAUSE_FAILED,
  });
  world.broker.stir();
}

/** Both clocks go on; the disk is quick. */
function pass(world: World, ms: number): void {
  for (const until = world.nowMs + ms; world.nowMs < until; ) {
    const step = Math.min(25, until - world.nowMs);
    world.wallMs += step;
    world.advance(step, true);
  }
}

function entry(sequence: number, count: number, afterMs: number, turn = 1): DueEntry {
  const when = WALL_MS + afterMs;
  return { ...emptyDueEntry(), when, low: 1, sequence, count, turn, what: DUE_READY };
}

describe('live', () => {
  test('a mark counts when it is durable, and its messages are ready at its time', () => {
    const world = worldOf();
    world.publish(1, 'a', 'b', 'c');
    defer(world, 1, 2, 1000);
    assert.equal(waitingOf(world).due.memoryEntries, 0);
    pass(world, 500);
    const { waiting } = world.broker.buckets.outcomes;
    assert.deepEqual([waitingOf(world).due.memoryEntries, waiting.within(1, 3)], [1, 2]);
    pass(world, 490);
    assert.equal(waiting.within(1, 3), 2);
    pass(world, 50);
    assert.deepEqual([waiting.within(1, 3), waitingOf(world).firing.messages], [0, 2]);
  });

  test('asleep until then; a look at the clock each minute, and no more', () => {
    const world = worldOf();
    world.publish(1, 'a');
    defer(world, 1, 1, 10 * 60_000);
    pass(world, 5000);
    world.wakes = 0;
    pass(world, 9 * 60_000);
    assert.ok(world.wakes <= 10, `${world.wakes}`);
    pass(world, 60_000);
    assert.equal(waitingOf(world).firing.messages, 1);
    world.wakes = 0;
    pass(world, 10 * 60_000);
    assert.equal(world.wakes, 0, 'nothing waits, and yet it is woken');
  });

  test('however little is left of a segment, a mark does not wait until somebody publishes', () => {
    let turned = 0;
    const segmentBytes = 64 * 1024;
    for (let left = 512; left <= 1024; left += 8) {
      const resume = { places: true, offset: segmentBytes - left };
      const world = brokerOf({ resume, limits: { segmentBytes } });
      const { commit, buckets } = world.broker;
      world.log.due.expected.add(0).add(segmentBytes);
      world.publish(1, 'a');
      pass(world, 200);
      const before = commit.endPosition;
      defer(world, 1, 1, HOUR);
      pass(world, 500);
      const rest = segmentBytes - before;
      assert.ok(buckets.outcomes.waiting.has(1), `with ${rest} bytes left it is not durable`);
      if (before < segmentBytes && commit.endPosition > segmentBytes) turned++;
    }
    assert.ok(turned > 10, `${turned}`);
  });

  test('a complete segment hands its due times over, also if its messages are all settled', () => {
    const world = worldOf();
    world.publish(1, 'a', 'b', 'c');
    defer(world, 1, 1, HOUR);
    pass(world, 200);
    world.log.due.expected.add(64 * 1024);
    const consumer = world.consumer(2);
    const takeAll = () => {
      world.settle();
      consumer.send(new Uint8Array(world.broker.buckets.unacked).fill(1));
      pass(world, 100);
    };
    for (let i = 0; world.broker.commit.endPosition < 128 * 1024; i++) {
      world.publish(2, 'x'.repeat(1000));
      if (i === 70) defer(world, 2, 1, 2 * HOUR, { bucket: 2n });
      takeAll();
    }
    pass(world, 1000);
    assert.ok(!world.broker.retention.isLive(64 * 1024) && world.broker.retention.isLive(0));
    const written = [...world.log.due.written].map(([base, entries]) => [
      base,
      entries.map(({ sequence, when }) => [sequence, when < WALL_MS + 1.5 * HOUR]),
    ]);
    assert.deepEqual(written, [
      [0, [[1, true]]],
      [64 * 1024, [[2, false]]],
    ]);
    assert.deepEqual([waitingOf(world).due.memoryEntries, waitingOf(world).due.segments], [0, 2]);
    pass(world, 2.1 * HOUR);
    assert.equal(waitingOf(world).firing.messages, 2);
  });

  test('an index that is written is not written again because its due times cannot be', () => {
    const world = worldOf();
    world.publish(1, 'a', 'b');
    defer(world, 1, 1, HOUR);
    pass(world, 200);
    world.log.due.failure = new Error('no space');
    let indexed = 0;
    const { index } = world.log;
    world.log.index = (...args) => {
      indexed++;
      index.apply(world.log, args);
    };
    while (world.broker.commit.endPosition < 70 * 1024) world.publish(2, 'x'.repeat(1000));
    pass(world, 3000);
    assert.deepEqual([indexed, waitingOf(world).due.memoryEntries], [1, 1]);
    assert.ok(world.notices.filter(({ kind }) => kind === 'index.write').length >= 3);
    world.log.due.failure = undefined;
    pass(world, 1100);
    assert.deepEqual([indexed, waitingOf(world).due.memoryEntries], [1, 0]);
    pass(world, HOUR);
    assert.equal(waitingOf(world).firing.messages, 1);
  });

  test('marks have entries: where these fill a segment, it is complete', () => {
    const world = worldOf({ segmentEntriesMax: 20 });
    world.publish(1, ...Array.from({ length: 200 }, () => 'x'));
    for (let i = 0; i < 100; i++) {
      defer(world, 1 + 2 * i, 1, HOUR + i);
      if (i % 5 === 4) pass(world, 50);
    }
    pass(world, 1000);
    const { waiting } = world.broker.buckets.outcomes;
    assert.equal(waiting.within(1, 200), 100);
    assert.ok(world.log.bases().length >= 5, `${world.log.bases().length} segments`);
  });

  test('while indexes lag behind, further marks wait; in a stop they do not', () => {
    const world = worldOf({ segmentEntriesMax: 10 });
    world.publish(1, ...Array.from({ length: 200 }, () => 'x'));
    const step = () => {
      while (world.log.appending) world.log.complete();
    };
    for (let i = 0; i < 60; i++) {
      defer(world, 1 + 2 * i, 1, HOUR + i);
      world.advance(50);
      step();
    }
    const { waiting } = world.broker.buckets.outcomes;
    const held = waiting.within(1, 200);
    assert.ok(held >= 20 && held <= 40, `${held} in memory`);
    assert.ok(!world.broker.commit.drained);
    for (let i = 0; i < 20; i++) {
      world.broker.commit.drain();
      step();
    }
    assert.equal(waiting.within(1, 200), 60);
  });
});

describe('after a start', () => {
  /** A broker that finds one complete segment with messages of bucket 1 and these entries. */
  function startOf(entries: DueEntry[], waits: [number, number][]): World {
    const world = new World({
      resume: { base: 64 * 1024, sequence: 100, places: true },
      prepare: ({ buckets, retention }, log) => {
        retention.open(0, 1, 99, 99);
        for (const [first, count] of waits) {
          buckets.outcomes.waiting.add(first, count);
          buckets.outcomes.turns.set(first, count, 1);
        }
        buckets.recovered(100, 99, true);
        log.due.put(0, entries);
        const found = { sequence: 1, position: 4096, messages: 99, bodyBytes: 500, attempts: 0 };
        log.indexes.set(0, [{ low: 1, high: 0, kind: 0, ...found }]);
      },
    });
    return world;
  }

  test('due times of complete segments go on', () => {
    const world = startOf(
      [entry(1, 3, 1000), entry(9, 1, 2000)],
      [
        [1, 3],
        [9, 1],
      ],
    );
    pass(world, 1100);
    assert.equal(waitingOf(world).firing.messages, 3);
    pass(world, 1000);
    assert.equal(waitingOf(world).firing.messages, 4);
    assert.deepEqual(world.notices, []);
  });

  test('nobody waits: no due times are asked for', () => {
    const world = startOf([entry(1, 3, 1000)], []);
    assert.equal(waitingOf(world).due.segments, 0);
    assert.equal(world.log.due.calls.length, 0);
  });

  test('who waits without an entry is ready, and it is told; stale entries are none', async () => {
    const world = startOf(
      [entry(1, 3, HOUR), entry(9, 1, HOUR, 2)],
      [
        [1, 4],
        [9, 1],
      ],
    );
    pass(world, 1000);
    const { waiting } = world.broker.buckets.outcomes;
    assert.deepEqual([...waiting.runs(0, 100)], [[1, 3]]);
    await Promise.resolve(); // their records were gone through
    assert.deepEqual(
      world.notices.map(({ kind }) => kind),
      ['due.missing'],
    );
    assert.match(world.notices[0]!.text, /^2 messages/);
  });

  test('who is deferred meanwhile, or settled, is left alone', () => {
    const world = startOf([entry(1, 3, HOUR)], [[1, 5]]);
    world.broker.buckets.outcomes.settled.add(4, 1);
    defer(world, 5, 1, HOUR, { turn: 2 });
    while (world.log.appending || world.broker.commit.idle === false) world.log.complete();
    world.broker.commit.drain();
    while (world.log.appending) world.log.complete();
    pass(world, 1000);
    assert.ok(world.broker.buckets.outcomes.waiting.has(5));
    assert.deepEqual(world.notices, []);
  });

  test('where due times cannot be read, nothing is concluded', () => {
    const world = startOf([entry(1, 3, HOUR)], [[1, 5]]);
    world.log.due.failure = new Error('bad sector');
    pass(world, 3000);
    assert.equal(world.broker.buckets.outcomes.waiting.within(1, 5), 5);
    assert.ok(world.notices.every(({ kind }) => kind === 'due.read'));
    world.log.due.failure = undefined;
    pass(world, HOUR);
    assert.equal(waitingOf(world).firing.messages, 3);
  });
});
