// Messages that die: whose rule lets them die when, where they go, and that each is in one place
// whatever is in the way: a disk that is full, a record on disk, a bucket that takes no more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RECORD_ATTEMPTS_AT,
  RECORD_BUCKET_AT,
  RECORD_HEADER_BYTES,
  RECORD_PLACED,
} from '../../../assembly/layout.ts';
import {
  HEAD_BYTES,
  KIND_DEAD,
  KIND_LIVE,
  REASON_DELIVERIES,
  REASON_REJECTED,
} from '../../../assembly/layout-placed.ts';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { emptySlice } from '../../../src/core/buckets/slice.ts';
import { HOPS_MAX } from '../../../src/core/delivery/destination.ts';
import { BYTES_MAX, MESSAGES_MAX } from '../../../src/core/delivery/mover.ts';
import { type Head, kindOf, readHead } from '../../../src/core/records/placed.ts';
import { COUNT, OFFSET, ROW_WORDS, sequenceOf, TYPE } from '../../../src/core/records/rows.ts';
import {
  acks,
  batch,
  brokerOf,
  rulesOf,
  smallCodec,
  textOf,
  WALL_MS,
  type World,
  type WorldOptions,
} from '../../support/world.ts';

type Consumer = ReturnType<World['consumer']>;

const texts = (consumer: Consumer): string[] =>
  new DeliveryDecoder('u64')
    .push(consumer.take())
    .flatMap((frame) => Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))));

interface Placed {
  sequence: number;
  bucket: bigint;
  kind: number;
  head: Head;
  bodies: string[];
  attempts: number;
}

/** The moves that are durable, read by the plain twin. */
function movesOf(world: World, from = 0): Placed[] {
  const codec = smallCodec(8 * 1024 * 1024);
  const found: Placed[] = [];
  for (const { position, bytes } of world.log.durable.slice(from)) {
    codec.memory.set(bytes, 0);
    codec.scan(0, bytes.length, position);
    const rows = codec.rows.slice();
    const view = new DataView(codec.memory.slice(0, bytes.length).buffer);
    for (let at = 0; at < rows.length && rows[at + TYPE] !== 0; at += ROW_WORDS) {
      if (rows[at + TYPE] !== RECORD_PLACED) continue;
      const record = rows[at + OFFSET]!;
      const head = readHead(view, record + RECORD_HEADER_BYTES);
      const bodies: string[] = [];
      let body = record + RECORD_HEADER_BYTES + HEAD_BYTES;
      for (let i = 0; i < rows[at + COUNT]!; i++) {
        const size = view.getUint32(body, true);
        bodies.push(textOf(new Uint8Array(view.buffer, body + 4, size)));
        body += 4 + size;
      }
      found.push({
        sequence: sequenceOf(rows, at),
        bucket: view.getBigUint64(record + RECORD_BUCKET_AT, true),
        kind: kindOf(rows, at),
        head,
        bodies,
        attempts: view.getUint32(record + RECORD_ATTEMPTS_AT, true),
      });
    }
  }
  return found;
}

/** A world whose log may hold moves from the start on. */
function worldOf(rules: readonly string[], options: WorldOptions = {}): World {
  return brokerOf({ rules, resume: { places: true }, ...options });
}

const counts = ({ broker: { buckets } }: World, bucket: number) => {
  const slot = buckets.find(bucket, 0);
  return slot === 0 ? [0, 0] : [buckets.readyOf(slot), buckets.unackedOf(slot)];
};

test('rejected: moved to the dead line of its bucket, and nowhere else', () => {
  const world = worldOf([]);
  world.wallMs = WALL_MS + 5000;
  world.publish(7, 'a', 'b', 'c');
  const consumer = world.consumer(7);
  consumer.send(acks(1, 2, 1));
  world.turn();
  assert.deepEqual(counts(world, 7), [0, 1], 'held until its record is durable');
  world.settle();
  assert.deepEqual(counts(world, 7), [0, 0]);
  assert.equal(world.broker.retention.live, 1);
  const [move, ...others] = movesOf(world);
  assert.deepEqual(others, []);
  const { bucket, kind, head, bodies, attempts } = move!;
  assert.deepEqual([bucket, kind, bodies, attempts], [7n, KIND_DEAD, ['b'], 0]);
  assert.deepEqual(head, {
    dueMs: 0,
    expiresMs: 0,
    publishedMs: WALL_MS + 5000,
    from: 2,
    fromBucket: 7n,
    movedMs: WALL_MS + 5000,
    turn: 0,
    fromAttempts: 1,
    reason: REASON_REJECTED,
    fromKind: KIND_LIVE,
    hops: 0,
    level: 0,
  });
  const { dead, publishedMessages, ackedMessages, rejectedMessages } = world.broker.counters;
  assert.deepEqual([dead[REASON_REJECTED], publishedMessages], [1, 3], 'a move is no publish');
  assert.deepEqual([ackedMessages, rejectedMessages], [2, 1]);
  assert.equal(world.broker.buckets.outcomes.settled.within(1, 3), 3);
});

test('at its last attempt a message dies, whether it failed or its consumer was lost', () => {
  const world = worldOf(['7 max_deliveries=3 dead_letter=9']);
  world.publish(7, 'a', 'b');
  const consumer = world.consumer(7);
  for (let attempt = 1; attempt < 3; attempt++) {
    assert.deepEqual(texts(consumer), ['a', 'b']);
    consumer.send(acks(0, 0));
    world.settle();
  }
  assert.deepEqual(texts(consumer), ['a', 'b']);
  consumer.send(acks(0));
  consumer.vanish();
  world.settle();
  assert.deepEqual(counts(world, 7), [0, 0]);
  assert.deepEqual(counts(world, 9), [2, 0]);
  const heads = movesOf(world).map(({ head }) => [head.from, head.fromAttempts, head.reason]);
  assert.deepEqual(heads, [
    [1, 3, REASON_DELIVERIES],
    [2, 3, REASON_DELIVERIES],
  ]);
  const there = world.consumer(9);
  assert.deepEqual(texts(there), ['a', 'b']);
  there.send(acks(0, 1));
  world.settle();
  assert.deepEqual(texts(there), ['a'], 'there attempts begin anew, and another rule is in force');
  assert.equal(world.broker.buckets.outcomes.attempts.get(3), 1);
});

test('where the dead are dropped, nothing is moved, and each is counted', () => {
  const world = worldOf(['7 max_deliveries=1 dead_letter=drop']);
  world.publish(7, 'a', 'b', 'c');
  world.consumer(7).send(acks(0, 2, 1));
  world.settle();
  assert.deepEqual(counts(world, 7), [0, 0]);
  assert.equal(world.broker.retention.live, 0);
  assert.deepEqual(movesOf(world), []);
  const { dead, deadDroppedMessages } = world.broker.counters;
  assert.deepEqual([dead[REASON_DELIVERIES], dead[REASON_REJECTED]], [1, 1]);
  assert.equal(deadDroppedMessages, 2);
});

test('a bucket that its own rule names keeps what dies in it', () => {
  const world = worldOf(['* max_deliveries=1 dead_letter=9']);
  world.publish(7, 'a');
  world.consumer(7).send(acks(0));
  world.settle();
  world.consumer(9).send(acks(0));
  world.settle();
  const moves = movesOf(world).map(({ bucket, kind, head }) => [bucket, kind, head.fromBucket]);
  assert.deepEqual(moves, [
    [9n, KIND_LIVE, 7n],
    [9n, KIND_DEAD, 9n],
  ]);
  const [first, second] = movesOf(world).map(({ head }) => head);
  assert.deepEqual([first!.hops, second!.hops], [1, 1], 'to its own dead line is no hop');
  assert.equal(second!.publishedMs, first!.publishedMs);
});

test('what a full bucket does not take is kept by the bucket where it died', () => {
  const rules = ['7 max_deliveries=1 dead_letter=9', '9 max_messages=2'];
  const world = worldOf(rules);
  world.publish(9, 'there');
  world.publish(7, 'a', 'b', 'c');
  const consumer = world.consumer(7, 1);
  for (let i = 0; i < 3; i++) {
    consumer.send(acks(0));
    // The second is decided about while the first is not durable yet.
    if (i > 0) world.settle();
    else world.turn();
  }
  world.settle();
  const moves = movesOf(world).map(({ bucket, kind, head }) => [bucket, kind, head.reason]);
  assert.deepEqual(moves, [
    [9n, KIND_LIVE, REASON_DELIVERIES],
    [7n, KIND_DEAD, REASON_DELIVERIES],
    [7n, KIND_DEAD, REASON_DELIVERIES],
  ]);
  assert.equal(world.broker.counters.deadFallbackMessages, 2);
  assert.deepEqual(counts(world, 9), [2, 0]);
  // What came that way counts like any other: there is no room for a publish, and then for one.
  const producer = world.producer();
  producer.send(batch('u64', [9, 'more']));
  world.settle();
  assert.deepEqual([...producer.take()], [0]);
  world.consumer(9, 1).send(acks(1));
  world.settle();
  producer.send(batch('u64', [9, 'more'], [9, 'too many']));
  world.settle();
  assert.deepEqual([...producer.take()], [1, 0]);
});

test('a message over its limit is not delivered again when the limit was lowered', () => {
  const world = worldOf(['7 max_deliveries=5 dead_letter=9 isolate=false']);
  world.publish(7, 'a', 'b');
  world.publish(7, 'c');
  const consumer = world.consumer(7, 2);
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(texts(consumer), ['a', 'b']);
    consumer.send(acks(0, 0));
    world.settle();
  }
  assert.deepEqual(texts(consumer), ['a', 'b']);
  consumer.vanish();
  world.settle();
  assert.deepEqual(counts(world, 7), [3, 0]);
  world.broker.rulesInForce!.use(rulesOf('7 max_deliveries=2 dead_letter=9 isolate=false'));
  world.settle();
  assert.deepEqual(counts(world, 7), [3, 0], 'they are seen when they are next');
  assert.deepEqual(texts(world.consumer(7)), ['c']);
  world.settle();
  assert.deepEqual(
    [counts(world, 7), counts(world, 9)],
    [
      [0, 1],
      [2, 0],
    ],
  );
  assert.deepEqual(
    movesOf(world).map(({ bodies, head }) => [bodies, head.fromAttempts]),
    [[['a', 'b'], 3]],
  );
});

test('nor is one that stands behind others of the same delivery', () => {
  const world = worldOf(['7 max_deliveries=5 dead_letter=9 isolate=false']);
  world.publish(7, 'a', 'b', 'c');
  const first = world.consumer(7, 1);
  const second = world.consumer(7, 1);
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(texts(second), ['b']);
    second.send(acks(0));
    world.settle();
  }
  second.vanish();
  first.vanish();
  world.settle();
  world.broker.rulesInForce!.use(rulesOf('7 max_deliveries=2 dead_letter=9 isolate=false'));
  const third = world.consumer(7, 3);
  assert.deepEqual(texts(third), ['a']);
  third.send(acks(1));
  world.settle();
  assert.deepEqual(texts(third), ['c']);
  assert.deepEqual(
    movesOf(world).map(({ bodies, head }) => [bodies, head.fromAttempts]),
    [[['b'], 4]],
  );
});

test('on a full disk the dead wait, the others go on, and nothing is lost', () => {
  const world = worldOf(['7 max_deliveries=1 max_in_flight=2']);
  world.publish(7, 'a', 'b', 'c');
  world.log.next = false;
  world.log.blockedBy = 'full';
  const consumer = world.consumer(7, 1);
  consumer.send(acks(0));
  world.settle();
  assert.deepEqual(texts(consumer), ['a', 'b']);
  consumer.send(acks(1));
  world.settle();
  assert.deepEqual(counts(world, 7), [0, 2]);
  assert.deepEqual(movesOf(world), []);
  assert.equal(world.broker.mover.holds(consumer.session.slot), true);
  world.advance(1000, true);
  assert.deepEqual(movesOf(world), []);
  world.log.next = true;
  world.log.blockedBy = undefined;
  world.broker.segmentChanged();
  world.settle();
  assert.deepEqual(
    movesOf(world).map(({ bodies }) => bodies),
    [['a']],
  );
  assert.deepEqual(counts(world, 7), [0, 1]);
});

test('the first move of a log waits for a segment that may hold it', () => {
  const world = brokerOf();
  world.log.raised = false;
  world.publish(7, 'a');
  world.consumer(7).send(acks(2));
  world.settle();
  assert.ok(world.log.raises > 0);
  assert.deepEqual([movesOf(world), counts(world, 7)], [[], [0, 1]]);
  world.log.raised = true;
  world.broker.segmentChanged();
  world.settle();
  assert.deepEqual([movesOf(world).length, counts(world, 7)], [1, [0, 0]]);
});

test('no more is under way than may be, in messages and in bytes', () => {
  const limits = { segmentBytes: 16 * 1024 * 1024, messageBytesMax: 2 * BYTES_MAX };
  const codec = smallCodec(8 * 1024 * 1024, 16 * 1024 * 1024);
  const world = worldOf([], { limits, codec });
  const small = Array.from({ length: 2 * MESSAGES_MAX + 10 }, (_, i) => `${i}`);
  const large = Array.from({ length: 5 }, () => 'x'.repeat(BYTES_MAX / 2));
  const bodies = [...small, ...large, 'y'.repeat(BYTES_MAX + 1), 'z'];
  world.publish(7, ...bodies);
  const consumer = world.consumer(7);
  let seen = world.log.durable.length;
  const under: [messages: number, bytes: number][] = [];
  for (let turns = 0; turns < 100; turns++) {
    consumer.send(acks(...texts(consumer).map(() => 2)));
    world.turn();
    if (!world.log.appending) break;
    world.log.complete();
    const moved = movesOf(world, seen).flatMap((move) => move.bodies);
    seen = world.log.durable.length;
    if (moved.length > 0) under.push([moved.length, moved.join('').length]);
  }
  assert.deepEqual(
    movesOf(world).flatMap((move) => move.bodies),
    bodies,
    'all of them, in order',
  );
  for (const [messages, bytes] of under) {
    assert.ok(messages <= MESSAGES_MAX, `${messages} messages`);
    assert.ok(bytes <= BYTES_MAX || messages === 1, `${bytes} bytes in ${messages} messages`);
  }
  assert.equal(
    under.some(([messages]) => messages === MESSAGES_MAX),
    true,
  );
  assert.equal(
    under.some(([messages, bytes]) => messages === 1 && bytes > BYTES_MAX),
    true,
  );
});

/** A world with messages in a segment that has left memory: they are read from disk. */
function coldWorld(rules: readonly string[], limits: WorldOptions['limits'] = {}): World {
  const world = worldOf(rules, { limits: { segmentBytes: 16 * 1024, ...limits } });
  world.publish(7, 'a', 'b', 'c');
  for (let i = 0; i < 40; i++) world.publish(8, 'x'.repeat(1000));
  assert.equal(world.broker.commit.hot(world.log.durable[1]!.position), -1);
  return world;
}

test('what has left memory is read back before it is moved', () => {
  const world = coldWorld([]);
  const consumer = world.consumer(7);
  world.settle();
  assert.deepEqual(texts(consumer), ['a', 'b', 'c']);
  world.log.forget();
  consumer.send(acks(1, 2, 2));
  world.turn();
  assert.equal(world.log.loads.length, 1);
  assert.deepEqual([counts(world, 7), movesOf(world)], [[0, 2], []]);
  world.settle();
  assert.deepEqual(
    movesOf(world).map(({ bodies, head }) => [head.from, bodies]),
    [[2, ['b', 'c']]],
  );
  assert.deepEqual(counts(world, 7), [0, 0]);
});

test('a line that goes back as its last consumer leaves does not come to what is dying', () => {
  const world = coldWorld([]);
  const consumer = world.consumer(7);
  world.settle();
  assert.deepEqual(texts(consumer), ['a', 'b', 'c']);
  world.log.forget();
  consumer.send(acks(0, 2));
  world.turn();
  assert.equal(world.log.loads.length, 1, 'what is dying is being read');
  consumer.vanish();
  const next = world.consumer(7, 1);
  while (world.log.finds.length > 0) world.log.answered();
  world.turn();
  const seen: string[] = [];
  for (let i = 0; i < 8; i++) {
    world.settle();
    seen.push(...texts(next));
    next.send(acks(1));
  }
  assert.deepEqual(seen, ['a', 'c']);
  assert.deepEqual(
    movesOf(world).map(({ bodies }) => bodies),
    [['b']],
  );
});

test('what cannot be read is set aside, and what waits behind it is moved', () => {
  const world = coldWorld([]);
  const consumer = world.consumer(7);
  const other = world.consumer(8, 1);
  world.settle();
  world.log.forget();
  consumer.send(acks(2, 2, 2));
  world.turn();
  other.send(acks(2));
  world.log.loaded(new Error('torn'));
  world.settle();
  const [notice] = world.notices.filter(({ kind }) => kind === 'log.unreadable');
  assert.match(notice!.text, /3 messages of bucket 7 .* cannot be read: torn/);
  assert.deepEqual(counts(world, 7), [0, 0]);
  assert.equal(world.broker.counters.unreadableMessages, 3);
  assert.deepEqual(
    movesOf(world).map(({ head, bodies }) => [head.fromBucket, bodies.length]),
    [[8n, 1]],
  );
  assert.equal(world.broker.retention.live, 3 + 40, 'they are in the log as before');
});

test('a record that came to stand elsewhere while it was read is read again there', () => {
  const world = coldWorld([]);
  const consumer = world.consumer(7);
  world.settle();
  world.log.forget();
  consumer.send(acks(2, 2, 2));
  world.turn();
  const { position } = world.log.loads[0]!;
  const asked: number[] = [];
  world.broker.mover.relocated(0, position, () => asked.push(0));
  world.broker.mover.relocated(position, position + 1, (part) => {
    asked.push(part.position);
    part.position += 8;
  });
  assert.deepEqual(asked, [position]);
  world.log.loaded(new Error('it is not there any more'));
  world.turn();
  assert.equal(world.notices.length, 0);
  assert.deepEqual(
    world.log.loads.map((load) => load.position),
    [position + 8],
  );
});

test('what has no room in the queue waits in its line: it is not delivered, and then moved', () => {
  const world = coldWorld(['* max_deliveries=2 dead_letter=9'], { marksMax: 1 });
  const consumer = world.consumer(7, 1);
  const other = world.consumer(7, 2);
  const first = world.consumer(8, 1);
  world.settle();
  assert.deepEqual([texts(consumer), texts(other)], [['a'], ['b', 'c']]);
  world.log.forget();
  first.send(acks(2));
  world.turn();
  assert.equal(world.broker.mover.isFull, true);
  consumer.send(acks(2));
  other.send(acks(2, 0));
  world.turn();
  assert.deepEqual(counts(world, 7), [3, 0]);
  assert.deepEqual([texts(consumer), texts(other)], [[], []], 'the line waits for the dead');
  assert.equal(world.broker.mover.holds(consumer.session.slot), true);
  world.settle();
  assert.deepEqual([texts(consumer), texts(other)].flat(), ['c']);
  const moves = movesOf(world).map(({ head, bodies }) => [head.from, head.reason, bodies]);
  assert.deepEqual(moves.slice(1), [
    [1, REASON_REJECTED, ['a']],
    [2, REASON_REJECTED, ['b']],
  ]);
  const part = { ...emptySlice(), slot: consumer.session.slot, sequence: 1, count: 3 };
  assert.equal(world.broker.dying.aliveIn(part), 3, 'nobody remembers them');
});

test('a stop gives back what is not packed; who died by attempts has them in the log', () => {
  const world = coldWorld(['7 max_deliveries=1'], { marksMax: 1 });
  const consumer = world.consumer(7, 3);
  world.settle();
  world.log.forget();
  consumer.send(acks(0, 1, 2));
  world.turn();
  assert.deepEqual(counts(world, 7), [1, 1], 'one waits to be read, one has no room');
  const { dying, buckets } = world.broker;
  world.broker.close();
  assert.deepEqual(counts(world, 7), [2, 0]);
  world.settle();
  assert.deepEqual(movesOf(world), []);
  assert.deepEqual(
    [1, 3].map((each) => buckets.outcomes.attempts.get(each)),
    [1, 1],
  );
  assert.equal(dying.aliveIn({ ...buckets.peek(consumer.session.slot)! }), 0);
});

test('the dead that wait in a line may be purged', () => {
  const world = coldWorld([], { marksMax: 1 });
  const consumer = world.consumer(7, 3);
  const first = world.consumer(8, 1);
  world.settle();
  world.log.forget();
  first.send(acks(2));
  world.turn();
  consumer.send(acks(1, 2, 2));
  const { dying, buckets, settlement } = world.broker;
  const { slot } = consumer.session;
  for (let next = buckets.peek(slot); next !== undefined; next = buckets.peek(slot))
    settlement.purge(next, next.count);
  const part = { ...emptySlice(), slot, sequence: 2, count: 2 };
  assert.equal(dying.aliveIn(part), 2, 'nothing of them is remembered');
});

test('rules that change meanwhile send nobody round for ever', () => {
  const rule = (from: number) => `${from} max_deliveries=1 dead_letter=${3 - from}`;
  const world = worldOf([rule(1)]);
  world.publish(1, 'a');
  for (let hops = 0; hops < 3 * HOPS_MAX; hops++) {
    const at = 1 + (hops % 2);
    world.broker.rulesInForce!.use(rulesOf(rule(at)));
    const consumer = world.consumer(at, 1);
    if (hops <= HOPS_MAX) {
      assert.deepEqual(texts(consumer), ['a'], `${hops} hops`);
      consumer.send(acks(0));
    } else assert.deepEqual(texts(consumer), [], `${hops} hops`);
    world.settle();
    consumer.vanish();
    world.settle();
  }
  const moves = movesOf(world);
  assert.deepEqual(
    moves.map(({ bucket, kind }) => [Number(bucket), kind]),
    [...Array.from({ length: HOPS_MAX }, (_, i) => [2 - (i % 2), KIND_LIVE]), [1, KIND_DEAD]],
  );
  assert.equal(moves.at(-1)!.head.hops, HOPS_MAX);
  assert.equal(world.broker.retention.live, 1);
});
