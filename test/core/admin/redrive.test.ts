// Giving dead messages back: where they go, how many and how fast, that each goes once, and what is
// in the way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redrive, type RedriveOptions } from '../../../src/core/admin/redrive.ts';
import { ORIGIN } from '../../../src/core/delivery/destination.ts';
import { acks, brokerOf, type World } from '../../support/world.ts';

/** A world whose messages of bucket 7 died twice, and stand in bucket 9. */
function worldWith(messages: number, ...rules: string[]): World {
  const world = brokerOf({
    rules: ['7 max_deliveries=2 dead_letter=9', ...rules],
    resume: { places: true },
  });
  die(world, messages);
  return world;
}

function die(world: World, messages: number): void {
  world.publish(7, ...Array.from({ length: messages }, (_, i) => `dead ${i}`));
  const consumer = world.consumer(7, messages);
  for (let attempt = 0; attempt < 2; attempt++) {
    consumer.send(acks(...new Array<number>(messages).fill(0)));
    world.settle();
  }
  consumer.vanish();
  world.settle();
}

/** A redrive of bucket 9, and the calls that it asked for. */
function begin(world: World, options: Partial<RedriveOptions> = {}) {
  const ended: string[] = [];
  const later: { atMs: number; call: () => void }[] = [];
  let soon: (() => void)[] = [];
  const redrive = new Redrive({
    broker: world.broker,
    slot: world.broker.buckets.open(9, 0),
    startedAt: 'now',
    to: ORIGIN,
    limit: Number.POSITIVE_INFINITY,
    rate: Number.POSITIVE_INFINITY,
    soon: (call) => void soon.push(call),
    after: (ms, call) => void later.push({ atMs: world.nowMs + ms, call }),
    done: ({ state }) => void ended.push(`${state.moved} ${state.stopped}`),
    ...options,
  });
  const turn = () => {
    const calls = soon;
    soon = [];
    for (const call of calls) call();
    world.turn();
  };
  const run = () => {
    do {
      turn();
      world.settle();
    } while (soon.length > 0);
  };
  const pass = (ms: number) => {
    world.advance(ms, true);
    for (const each of later.splice(0)) {
      if (each.atMs <= world.nowMs) each.call();
      else later.push(each);
    }
    run();
  };
  return { redrive, ended, turn, run, pass };
}

const counts = ({ broker: { buckets } }: World, bucket: number) => {
  const slot = buckets.find(bucket, 0);
  return slot === 0 ? [0, 0] : [buckets.readyOf(slot), buckets.unackedOf(slot)];
};

test('all go back to where they were, their attempts begin anew', () => {
  const world = worldWith(3);
  assert.deepEqual(
    [counts(world, 7), counts(world, 9)],
    [
      [0, 0],
      [3, 0],
    ],
  );
  const { redrive, ended, run } = begin(world);
  run();
  assert.deepEqual(
    [counts(world, 7), counts(world, 9)],
    [
      [3, 0],
      [0, 0],
    ],
  );
  const { startedAt: _, ...state } = redrive.state;
  assert.deepEqual(state, { bucket: '9', moved: 3, done: true, stopped: null });
  assert.deepEqual(ended, ['3 null']);
  assert.equal(world.broker.counters.redrivenMessages, 3);
  assert.equal(
    world.broker.counters.dead.reduce((sum, each) => sum + each),
    3,
    'none died of it',
  );
  const slot = world.broker.buckets.find(7, 0);
  assert.equal(world.broker.buckets.peek(slot)!.attempts, 0);
  // A failure does not let them die, the second does.
  const consumer = world.consumer(7, 3);
  consumer.send(acks(0, 0, 0));
  world.settle();
  assert.deepEqual(counts(world, 9), [0, 0]);
  consumer.send(acks(0, 0, 0));
  world.settle();
  assert.deepEqual(
    [counts(world, 7), counts(world, 9)],
    [
      [0, 0],
      [3, 0],
    ],
  );
});

test('it goes no further than to what was there when it began', () => {
  const world = worldWith(2);
  const { redrive, turn, run } = begin(world);
  turn();
  assert.deepEqual(counts(world, 9), [0, 2]);
  // More die, and what is given back, too: as often as it comes.
  die(world, 3);
  run();
  assert.deepEqual(redrive.state.moved, 2);
  const [ready] = counts(world, 9);
  assert.ok(redrive.state.done && ready! >= 3, `${ready} in the line`);
  const after = begin(world);
  world.publish(9, 'not dead');
  after.run();
  assert.deepEqual(counts(world, 9), [1, 0], 'nor does what is published there later');
});

test('as many as are asked for, and to another bucket', () => {
  const world = worldWith(5);
  const { ended, run } = begin(world, { limit: 2, to: { low: 8, high: 1 } });
  run();
  const { buckets } = world.broker;
  assert.equal(buckets.readyOf(buckets.find(8, 1)), 2);
  assert.deepEqual(
    [counts(world, 7), counts(world, 9)],
    [
      [0, 0],
      [3, 0],
    ],
  );
  assert.deepEqual(ended, ['2 limit']);
});

test('at a rate: a tenth of a second at once, then evenly', () => {
  const world = worldWith(30);
  const { redrive, pass } = begin(world, { rate: 50 });
  pass(0);
  assert.equal(redrive.state.moved, 5);
  for (let ms = 0; ms < 400; ms += 50) pass(50);
  const { moved } = redrive.state;
  assert.ok(moved >= 18 && moved <= 25, `${moved} in 400 ms`);
  for (let ms = 0; ms < 400; ms += 50) pass(50);
  assert.deepEqual([redrive.state.moved, redrive.state.done], [30, true]);
});

test('no more than a slice is under way', () => {
  const world = worldWith(600);
  const { redrive, turn, run } = begin(world);
  turn();
  assert.deepEqual(counts(world, 9), [344, 256]);
  run();
  assert.equal(redrive.state.moved, 600);
});

test('it ends where the bucket takes no more, and what is left stays dead', () => {
  const world = worldWith(4, '8 max_messages=2');
  world.publish(8, 'there');
  const { ended, run } = begin(world, { to: { low: 8, high: 0 } });
  run();
  assert.deepEqual(
    [counts(world, 8), counts(world, 9)],
    [
      [2, 0],
      [3, 0],
    ],
  );
  assert.deepEqual(ended, ['1 full']);
  const consumer = world.consumer(9);
  world.settle();
  assert.equal(consumer.session.messages, 3, 'the line is its consumers again');
});
