// Who publishes little beside who publishes much: how much goes into one batch, who waits, and in
// which order.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { QUANTUM_BYTES, ROW_COST } from '../../../src/core/commit/cost.ts';
import {
  BATCH_COST_MAX,
  COOL_DOWN_MS_MAX,
  FairShare,
  type FairShareParts,
  LIGHT_COST_MAX,
  NEW_BUCKETS_PER_MS,
  QUANTUM_MESSAGES,
  SHARED_TICKS,
  type SharingProducer,
  Usage,
} from '../../../src/core/fairness/fair-share.ts';
import { freshEngine } from '../../support/engine.ts';
import { acks, batch, brokerOf, type World } from '../../support/world.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const TICK_MS = 25;

/** A broker with room for several large batches in a segment. */
function large(): World {
  return brokerOf({
    codec: freshEngine(),
    limits: { segmentBytes: 32 * MIB, messageBytesMax: 2 * MIB, bufferBytesMax: 64 * MIB },
  });
}

/** A broker that somebody with little to publish is known to; it holds one message of theirs. */
function shared(world = large()) {
  const little = world.producer();
  little.send(batch('u64', [1, 'little']));
  world.settle();
  world.advance(TICK_MS);
  assert.deepEqual(little.take(), acks(1));
  assert.ok(world.broker.fairShare.shared);
  return { world, little };
}

const sized = (bytes: number, count: number, bucket = 2) =>
  batch(
    'u64',
    ...Array.from({ length: count }, (): [number, string] => [bucket, 'x'.repeat(bytes)]),
  );

describe('what a producer spends', () => {
  test('little, much, and little again after a tick', () => {
    const usage = new Usage();
    assert.equal(usage.tick(), false, 'nothing is not little');
    usage.add(1, LIGHT_COST_MAX - ROW_COST, 1);
    assert.equal(usage.heavy, false);
    assert.equal(usage.tick(), true);
    usage.add(2, LIGHT_COST_MAX - ROW_COST, 1);
    usage.add(2, 1, 0);
    assert.equal(usage.heavy, true, 'at once');
    assert.equal(usage.tick(), false);
    assert.equal(usage.tick(), false, 'silence says nothing');
    assert.equal(usage.heavy, true);
    usage.add(3, 1, 1);
    assert.equal(usage.tick(), true);
    assert.equal(usage.heavy, false);
  });

  test('each batch by itself', () => {
    const usage = new Usage();
    for (let number = 1; number < 100; number++) usage.add(number, LIGHT_COST_MAX / 2, 0);
    assert.equal(usage.heavy, false);
  });
});

describe('who waits', () => {
  class Waiter implements SharingProducer {
    messages = 0;
    readonly usage = new Usage();
    readonly large = false;
    readonly #intake: FairShare;
    readonly #wants: number;
    constructor(intake: FairShare, wants: number) {
      this.#intake = intake;
      this.#wants = wants;
    }
    roomAgain(): void {
      if (room.left > 0) this.messages++;
      room.left--;
      if (this.messages < this.#wants) this.#intake.wait(this);
    }
  }
  const room = { left: 0 };
  const partsWith = (openCost: number): FairShareParts => ({
    commit: { openNumber: 0, openCost, scarce: false, writesLarge: false },
    codec: freshEngine(),
    buckets: { find: () => 0 },
  });

  test('is not asked as long as it must', () => {
    const parts = partsWith(BATCH_COST_MAX);
    const intake = new FairShare(parts);
    const little = new Waiter(intake, 0);
    const much = new Waiter(intake, 1);
    little.usage.add(0, 1, 1);
    intake.tick([little], TICK_MS);
    much.usage.add(0, BATCH_COST_MAX, 1);
    intake.wait(much);
    room.left = 1;
    assert.ok(intake.roomAgain());
    assert.equal(room.left, 1, 'it was asked');
    Object.assign(parts.commit, { openCost: 0 });
    assert.ok(intake.roomAgain());
    assert.deepEqual([room.left, much.messages], [0, 1]);
    assert.equal(intake.roomAgain(), false);
  });

  test('comes behind those who got nothing, once it got something', () => {
    const intake = new FairShare(partsWith(0));
    const waiters = [3, 1, 3, 3].map((wants) => new Waiter(intake, wants));
    for (const waiter of waiters) intake.wait(waiter);
    const got: string[] = [];
    do {
      room.left = 2;
      intake.roomAgain();
      got.push(waiters.map(({ messages }) => messages).join(''));
    } while (waiters.some(({ messages }, i) => messages < [3, 1, 3, 3][i]!));
    assert.deepEqual(got, ['1100', '1111', '2121', '3122', '3133']);
    assert.equal(intake.roomAgain(), false);
  });
});

describe('a batch that is shared', () => {
  test('is closed to who publishes much when it has cost enough, and open to who publishes little', () => {
    const { world, little } = shared();
    const much = world.producer();
    much.send(sized(64 * KIB, 64));
    assert.ok(much.link.paused);
    const { openCost } = world.broker.commit;
    assert.ok(openCost >= BATCH_COST_MAX, `closed at ${openCost}`);
    assert.ok(openCost < BATCH_COST_MAX + QUANTUM_BYTES + 2 * ROW_COST, `${openCost} in one batch`);
    little.send(batch('u64', [1, 'more']));
    assert.ok(!little.link.paused);
    world.turn();
    assert.ok(world.log.appending);
    world.log.complete();
    assert.deepEqual(little.take(), acks(1));
    assert.deepEqual(much.take(), acks());
    world.settle();
    assert.deepEqual(much.take(), acks(...Array(64).fill(1)));
  });

  test('is closed by records, too, however small', () => {
    const { world } = shared();
    const much = world.producer();
    const messages = Array.from({ length: 3000 }, (_, i): [number, string] => [2 + (i % 2), 'x']);
    much.send(batch('u64', ...messages));
    assert.ok(much.link.paused);
    const { openCost } = world.broker.commit;
    assert.ok(openCost < BATCH_COST_MAX + (QUANTUM_MESSAGES + 1) * ROW_COST, `${openCost}`);
    world.settle();
    assert.deepEqual(much.take(), acks(...Array(3000).fill(1)));
  });

  test('takes a message larger than a portion, and one larger than a batch should be', () => {
    const { world } = shared();
    const much = world.producer();
    much.send(sized(QUANTUM_BYTES + 1, 2), sized(BATCH_COST_MAX + 1, 3), sized(10, 3));
    world.settle();
    assert.deepEqual(much.take(), acks(...Array(8).fill(1)));
  });

  test('holds a large message if the one before it holds none', () => {
    const { world, little } = shared();
    const much = world.producer();
    const other = world.producer();
    const bytes: number[] = [];
    world.broker.onBatch(({ payload }) => bytes.push(Math.round(payload / (64 * KIB))));
    const next = () => {
      world.log.complete();
      little.send(batch('u64', [1, 'little']));
    };
    much.send(sized(MIB, 3));
    world.turn();
    assert.equal(world.broker.commit.openCost, 0, 'the second one waits');
    assert.ok(much.link.paused);
    little.send(batch('u64', [1, 'little']));
    other.send(sized(64 * KIB, 6));
    for (let i = 0; i < 4; i++) next();
    assert.deepEqual(bytes, [16, 4, 16, 2]);
    world.settle();
    assert.deepEqual(bytes, [16, 4, 16, 2, 16, 0]);
    assert.deepEqual(much.take(), acks(1, 1, 1));
  });

  test('holds a large message when a rest is over as long as the last one took', () => {
    const { world, little } = shared();
    const much = world.producer();
    const writeFor = (ms: number) => {
      world.turn();
      assert.ok(world.log.appending);
      world.nowMs += ms;
      world.log.complete();
      world.turn();
    };
    much.send(sized(MIB, 3));
    writeFor(4);
    assert.deepEqual(world.rests, [4]);
    assert.ok(!world.log.appending && much.link.paused);
    little.send(batch('u64', [1, 'little']));
    writeFor(1);
    assert.deepEqual(little.take(), acks(1));
    assert.ok(!world.log.appending, 'nobody said that the rest is over');
    world.broker.rested();
    writeFor(1000);
    assert.deepEqual(world.rests, [4, COOL_DOWN_MS_MAX]);
    world.broker.rested();
    writeFor(0);
    assert.deepEqual(much.take(), acks(1, 1, 1));
    assert.equal(world.rests.length, 2);
  });

  test('rests by the time of the broker, whatever latencies are measured with', () => {
    const { world } = shared();
    const much = world.producer();
    much.send(sized(MIB, 3));
    world.turn();
    assert.ok(world.log.appending);
    world.nowMs += 4;
    world.clockMs += 1_000_000;
    world.log.complete();
    assert.deepEqual(world.rests, [4]);
    world.broker.rested();
    world.turn();
    assert.ok(world.log.appending);
    world.clockMs += 1_000_000;
    world.log.complete();
    assert.deepEqual(world.rests, [4], 'the broker stood still');
  });

  test('rests for nobody when nobody publishes little, at once', () => {
    const { world } = shared();
    const much = world.producer();
    much.send(sized(MIB, 3));
    world.turn();
    world.nowMs += 4;
    world.log.complete();
    world.turn();
    assert.ok(!world.log.appending && much.link.paused);
    world.advance(SHARED_TICKS * TICK_MS);
    assert.ok(world.log.appending && !much.link.paused);
    world.nowMs += 4;
    world.settle();
    assert.deepEqual(much.take(), acks(1, 1, 1));
    assert.deepEqual(world.rests, [4]);
  });

  test('has no bound when nobody publishes little', () => {
    const world = large();
    const much = world.producer();
    much.send(sized(64 * KIB, 64));
    world.settle();
    world.advance(TICK_MS);
    assert.ok(!world.broker.fairShare.shared);
    much.send(sized(64 * KIB, 64));
    assert.ok(!much.link.paused);
    assert.ok(world.broker.commit.openCost > 4 * MIB);
    world.settle();
    assert.deepEqual(much.take(), acks(...Array(128).fill(1)));
  });
});

describe('making buckets', () => {
  const PER_TICK = NEW_BUCKETS_PER_MS * TICK_MS;
  let next = 1000;
  /** So many messages, each to a bucket that was not there. */
  const fresh = (count: number) =>
    batch('u64', ...Array.from({ length: count }, (): [number, string] => [next++, 'x']));

  /** One tick, in which the little one publishes something, and all that follows from it. */
  function tick({ world, little }: ReturnType<typeof shared>): void {
    little.send(batch('u64', [1, 'little']));
    world.settle();
    assert.deepEqual(little.take(), acks(1));
    world.advance(TICK_MS);
    world.settle();
  }

  test('goes on in the next tick, for who publishes much', () => {
    const both = shared();
    const much = both.world.producer();
    const count = 3 * PER_TICK;
    much.send(fresh(count));
    both.world.settle();
    for (let ticks = 1; ticks < 3; ticks++) {
      assert.ok(much.link.paused);
      const { messages } = much.session;
      const most = ticks * PER_TICK + QUANTUM_MESSAGES;
      assert.ok(messages >= ticks * PER_TICK && messages <= most, `${messages} in ${ticks} ticks`);
      tick(both);
    }
    for (let ticks = 0; ticks < 2; ticks++) tick(both);
    assert.ok(!much.link.paused);
    assert.deepEqual(much.take(), acks(...Array(count).fill(1)));
  });

  test('holds nobody up who publishes to buckets that are there', () => {
    const both = shared();
    const [maker, other] = [both.world.producer(), both.world.producer()];
    other.send(sized(10, 1, 2), sized(10, 1, 3));
    both.world.settle();
    other.take();
    maker.send(fresh(2 * PER_TICK));
    both.world.settle();
    assert.ok(maker.link.paused);
    const messages = Array.from({ length: 3000 }, (_, i): [number, string] => [2 + (i % 2), 'x']);
    other.send(batch('u64', ...messages));
    both.world.settle();
    assert.ok(maker.link.paused, 'no tick has passed');
    assert.deepEqual(other.take(), acks(...Array(3000).fill(1)));
  });

  test('is shared by those who do, and who makes few is not held up', () => {
    const both = shared();
    const makers = [1, 2, 3].map(() => both.world.producer());
    const taken = () => makers.map(({ session }) => session.messages);
    for (const maker of makers) maker.send(fresh(5 * PER_TICK));
    both.world.settle();
    tick(both); // from here on it is known how many there are
    const before = taken();
    tick(both);
    for (const [i, messages] of taken().entries()) {
      const got = messages - before[i]!;
      assert.ok(Math.abs(got - PER_TICK / 3) <= 2 * QUANTUM_MESSAGES, `${got} of ${PER_TICK}`);
    }
    const few = both.world.producer();
    few.send(sized(64 * KIB, 16), fresh(PER_TICK / 5));
    both.world.settle();
    assert.ok(makers.every(({ link }) => link.paused) && !few.link.paused);
    assert.deepEqual(few.take(), acks(...Array(16 + PER_TICK / 5).fill(1)));
  });

  test('has no bound when nobody publishes little, at once', () => {
    const both = shared();
    const much = both.world.producer();
    much.send(fresh(30 * PER_TICK));
    both.world.settle();
    for (let ticks = 0; ticks < SHARED_TICKS; ticks++) {
      assert.ok(much.link.paused);
      both.world.advance(TICK_MS);
      both.world.settle();
    }
    assert.ok(!both.world.broker.fairShare.shared);
    assert.ok(!much.link.paused);
    much.send(fresh(10 * PER_TICK));
    assert.ok(!much.link.paused);
    both.world.settle();
    assert.deepEqual(much.take(), acks(...Array(40 * PER_TICK).fill(1)));
  });

  test('of who is gone matters to nobody', () => {
    const both = shared();
    const [gone, other] = [both.world.producer(), both.world.producer()];
    gone.send(fresh(2 * PER_TICK));
    both.world.settle();
    gone.link.destroy();
    const { messages } = gone.session;
    other.send(fresh(PER_TICK / 2));
    for (let ticks = 0; ticks < 3; ticks++) tick(both);
    assert.equal(gone.session.messages, messages);
    assert.deepEqual(other.take(), acks(...Array(PER_TICK / 2).fill(1)));
  });
});

describe('the end of a segment', () => {
  /** Fills the open segment until who publishes much has to wait for the next one. */
  function scarce() {
    const { world, little } = shared();
    const much = world.producer();
    world.log.next = false;
    for (let i = 0; i < 100 && !much.link.paused; i++) {
      much.send(sized(256 * KIB, 2));
      world.settle();
    }
    assert.ok(world.broker.commit.scarce);
    assert.ok(much.link.paused && !world.log.appending);
    much.take();
    return { world, little, much };
  }

  test('is for who publishes little, while there is no next one', () => {
    const { world, little, much } = scarce();
    for (let i = 0; i < 20; i++) {
      little.send(batch('u64', [1, 'x'.repeat(1000)]));
      world.settle();
      assert.deepEqual(little.take(), acks(1));
    }
    assert.deepEqual(much.take(), acks());
    world.log.next = true;
    world.broker.segmentChanged();
    world.settle();
    assert.ok(!much.link.paused);
    assert.ok(much.take().length > 0);
  });

  test('is for all again when nobody has published little for a while', () => {
    const { world, much } = scarce();
    const { messages } = much.session;
    for (let i = 0; i < SHARED_TICKS; i++) {
      assert.equal(much.session.messages, messages);
      world.advance(TICK_MS);
    }
    assert.ok(!world.broker.fairShare.shared);
    assert.ok(much.session.messages > messages, 'it went on, although no append has ended');
    world.settle();
    assert.ok(much.take().length > 0);
  });

  test('is no reason to wait when the disk is full: messages are refused', () => {
    const { world } = shared();
    const much = world.producer();
    world.log.next = false;
    world.log.blockedBy = 'no space';
    const replies: number[] = [];
    for (let i = 0; i < 100 && !replies.includes(0); i++) {
      much.send(sized(256 * KIB, 2));
      world.settle();
      replies.push(...much.take());
    }
    assert.ok(replies.includes(0));
    assert.ok(!much.link.paused);
  });
});

test('the log is told who is about: who publishes little, and large messages beside them', () => {
  const { world, little } = shared();
  const told = () => [world.foreground.latencySensitive, world.foreground.largeWrites];
  assert.deepEqual(told(), [true, false]);
  const much = world.producer();
  much.send(sized(QUANTUM_BYTES - KIB, 4));
  world.settle();
  world.advance(TICK_MS);
  assert.deepEqual(told(), [true, false], 'each of these is a portion');
  much.send(sized(QUANTUM_BYTES + 1, 1));
  world.settle();
  world.advance(TICK_MS);
  assert.deepEqual(told(), [true, true]);
  for (let i = 0; i < SHARED_TICKS; i++) {
    little.send(batch('u64', [1, 'little']));
    world.settle();
    world.advance(TICK_MS);
  }
  assert.deepEqual(told(), [true, false]);
  for (let i = 0; i < SHARED_TICKS; i++) world.advance(TICK_MS);
  assert.deepEqual(told(), [false, false]);
});
