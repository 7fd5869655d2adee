// A purge beside what holds it up: marks that wait for the disk, and a broker that stops.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Purge } from '../../../src/core/admin/purge.ts';
import type { Broker } from '../../../src/core/broker.ts';
import type { Slice } from '../../../src/core/buckets/slice.ts';
import { acks, brokerOf, type World } from '../../support/world.ts';

const MANY = 1_000_000;

class Bench {
  readonly world: World = brokerOf();
  readonly turns: (() => void)[] = [];
  /** How many marks wait to be written, as far as the purge is told. */
  waitingMarks = 0;
  ended = 0;
  readonly purge: Purge;

  constructor(...texts: string[]) {
    const { world } = this;
    world.publish(1, ...texts);
    const waiting = () => this.waitingMarks;
    const commit = {
      get waitingMarks() {
        return waiting();
      },
      get settledMarks() {
        return world.broker.commit.settledMarks;
      },
    };
    // The broker itself, but for what its commit says of marks.
    const broker = new Proxy(world.broker, {
      get: (real, name) => {
        if (name === 'commit') return commit;
        const value: unknown = Reflect.get(real, name, real);
        return typeof value === 'function' ? value.bind(real) : value;
      },
    }) as Broker;
    this.purge = new Purge({
      broker,
      index: world.log,
      slot: world.broker.buckets.find(1, 0),
      named: { bucket: '1' },
      startedAt: '',
      soon: (call) => void this.turns.push(call),
      done: () => void this.ended++,
    });
    world.broker.onBatch(() => this.purge.durable(world.broker.commit.settledMarks));
  }

  /** Lets all happen that needs no time. */
  run(): void {
    for (const turn of this.turns.splice(0)) turn();
  }

  get ready(): number {
    return this.world.broker.buckets.ready;
  }
}

test('takes nothing while too many marks wait for the disk, and goes on when some are there', () => {
  const bench = new Bench('a', 'b');
  bench.waitingMarks = MANY;
  bench.run();
  assert.equal(bench.ready, 2);
  assert.deepEqual(bench.turns, [], 'it does not ask in vain');
  bench.waitingMarks = 0;
  bench.purge.durable(0);
  bench.run();
  assert.equal(bench.ready, 0);
  assert.equal(bench.ended, 0, 'it is not durable yet');
  bench.world.advance(200, true);
  assert.deepEqual([bench.ended, bench.purge.state.purged], [1, 2]);
});

test('takes nothing any more when the broker stops', () => {
  const bench = new Bench('a', 'b');
  bench.world.broker.close();
  bench.run();
  assert.deepEqual([bench.ready, bench.ended], [2, 0]);
});

test('gives the line back at once, and ends when all it took is durable', () => {
  const bench = new Bench('a', 'b');
  const { world } = bench;
  const { slot } = bench.purge;
  assert.equal(world.broker.dispatcher.takersOf(slot), 1);
  bench.run();
  assert.equal(world.broker.dispatcher.takersOf(slot), 0);
  const consumer = world.consumer(1);
  world.publish(1, 'later');
  assert.ok(consumer.take().length > 0, 'what came later is not its business');
  world.advance(200, true);
  assert.deepEqual([bench.ended, bench.purge.state.purged, bench.purge.state.done], [1, 2, true]);
  bench.purge.durable(MANY);
  assert.equal(bench.ended, 1, 'it ends once');
});

test('what waits for a time goes, too, and what is on its way to wait', () => {
  for (const isIndexed of [false, true]) {
    const limits = { segmentBytes: 16 * 1024, messageBytesMax: 4096, heartbeatMs: 1e9 };
    const world = brokerOf({ limits });
    const { buckets } = world.broker;
    for (let i = 0; i < 12; i++) world.publish(1, 'x'.repeat(isIndexed ? 4000 : 10));
    for (let i = 0; i < (isIndexed ? 40 : 1); i++) world.publish(2, 'y'.repeat(4000));
    world.settle();
    assert.equal(buckets.entries.firstSequence > 12, isIndexed);
    const slot = buckets.find(1, 0);
    const share = buckets.openSubscription(slot);
    share.consumers++;
    const parts: Slice[] = [];
    while (parts.length < 8) {
      if (buckets.peek(slot) === undefined) {
        world.broker.dispatcher.lookup(slot);
        world.settle();
      }
      const next = buckets.peek(slot)!;
      parts.push({ ...next, count: 1 });
      buckets.take(next, 1);
    }
    for (const part of parts) buckets.delayed.defer(part, 0, 1);
    const wait = ({ sequence }: Slice) => {
      buckets.outcomes.waiting.add(sequence, 1);
      buckets.delayed.deferred(sequence, 1);
    };
    for (const part of parts.slice(0, 6)) wait(part);
    share.consumers--;
    buckets.tidy(slot);
    const turns: (() => void)[] = [];
    const { broker } = world;
    const [soon, done] = [(call: () => void) => void turns.push(call), () => {}];
    const purge = new Purge({
      broker,
      index: world.log,
      slot,
      named: { bucket: '1' },
      startedAt: '',
      soon,
      done,
    });
    broker.onBatch(() => purge.durable(broker.commit.settledMarks));
    const run = () => {
      for (let i = 0; i < 50; i++) {
        for (const turn of turns.splice(0)) turn();
        world.settle();
      }
    };
    for (const turn of turns.splice(0)) turn();
    for (const part of parts.slice(6)) wait(part);
    run();
    for (let i = 0; i < 3 && !purge.state.done; i++) {
      world.publish(2, 'z');
      run();
    }
    assert.deepEqual([purge.state.purged, purge.state.done], [12, true], `indexed: ${isIndexed}`);
    assert.equal(buckets.delayed.count, 0);
  }
});

test('suspects go with the others', () => {
  const world = brokerOf({ limits: { heartbeatMs: 1e9 } });
  const { broker } = world;
  const [holder, lost] = [world.consumer(1, 1), world.consumer(1, 2)];
  world.publish(1, 'held', 'a', 'b');
  lost.vanish();
  world.turn();
  const turns: (() => void)[] = [];
  const slot = broker.buckets.find(1, 0);
  const purge = new Purge({
    broker,
    index: world.log,
    slot,
    named: { bucket: '1' },
    startedAt: '',
    soon: (call) => void turns.push(call),
    done: () => {},
  });
  broker.onBatch(() => purge.durable(broker.commit.settledMarks));
  while (turns.length > 0) turns.shift()!();
  assert.deepEqual([broker.buckets.ready, broker.buckets.unacked], [0, 1]);
  world.advance(200, true);
  assert.deepEqual([purge.state.purged, purge.state.done], [2, true]);
  holder.send(acks(1));
});
