// Connections whose time is up are closed a few in each tick, whatever made them late: those first
// that are late for longest, and none that turns out to be there.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Overdue } from '../../../src/core/timing/overdue.ts';
import { acks, brokerOf, type World } from '../../support/world.ts';

const TICK_MS = 25;
const MOST = 2 * TICK_MS;

describe('overdue', () => {
  test('the longest late first, so many for each ms, those of earlier ticks before later ones', () => {
    const overdue = new Overdue();
    const closed: number[] = [];
    const add = (sinceMs: number) => overdue.add({}, sinceMs, () => void closed.push(sinceMs));
    for (const sinceMs of [5, 1, 4, 2, 3]) add(sinceMs);
    overdue.advance(1);
    assert.deepEqual(closed, [1, 2]);
    for (const sinceMs of [9, 8, 7]) add(sinceMs);
    overdue.advance(2);
    assert.deepEqual(closed, [1, 2, 3, 4, 5, 7]);
    overdue.advance(0);
    assert.deepEqual(closed.at(-1), 8, 'one at least');
    overdue.advance(100);
    assert.deepEqual([closed.length, overdue.size], [8, 0]);
  });

  test('one that is gone, or noted already, is not closed twice', () => {
    const overdue = new Overdue();
    const closed: string[] = [];
    const [one, two] = [{}, {}];
    overdue.add(one, 1, () => void closed.push('one'));
    overdue.add(one, 1, () => void closed.push('one again'));
    overdue.add(two, 2, () => void closed.push('two'));
    overdue.forget(two);
    overdue.advance(10);
    assert.deepEqual(closed, ['one']);
  });
});

/** Ticks until all are closed, and how many in each. */
function closings(world: World, links: { destroyed: boolean }[]): number[] {
  const count = () => links.filter(({ destroyed }) => destroyed).length;
  const counts: number[] = [];
  for (let ticks = 0; count() < links.length; ticks++) {
    assert.ok(ticks < 2000, `${count()} of ${links.length} are closed`);
    const before = count();
    world.advance(TICK_MS, true);
    if (count() > before || counts.length > 0) counts.push(count() - before);
  }
  return counts;
}

describe('in one tick no more are closed than', () => {
  const spread = (counts: number[], all: number) => {
    assert.ok(Math.max(...counts) <= MOST, `${Math.max(...counts)} in one tick`);
    assert.ok(counts.length <= Math.ceil(all / MOST) + 1, `${counts.length} ticks`);
  };

  test('so many silent consumers, the first within its time and all within 30 s', () => {
    const world = brokerOf({ limits: { connectionsMax: 10_000 } });
    const peers = Array.from({ length: 3000 }, () => world.consumer(1, 1));
    world.settle();
    const begun = world.nowMs;
    spread(
      closings(
        world,
        peers.map(({ link }) => link),
      ),
      peers.length,
    );
    // 10,000 would take so much longer.
    assert.ok(world.nowMs - begun + ((10_000 - peers.length) / MOST) * TICK_MS < 30_000);
    assert.equal(world.broker.consumers.size, 0);
  });

  test('so many that send no header', () => {
    const world = brokerOf({ limits: { connectionsMax: 10_000 } });
    const peers = Array.from({ length: 500 }, () => world.rawConsumer());
    spread(
      closings(
        world,
        peers.map(({ link }) => link),
      ),
      peers.length,
    );
  });

  test('so many producers that begin a message and leave it at that', () => {
    const world = brokerOf({ limits: { connectionsMax: 10_000 } });
    const peers = Array.from({ length: 500 }, () => world.producer());
    for (const peer of peers) peer.send(new Uint8Array([1, 0]));
    spread(
      closings(
        world,
        peers.map(({ link }) => link),
      ),
      peers.length,
    );
  });

  test('nobody who was closed before its turn, though it is not gone yet', () => {
    const world = brokerOf();
    const peers = Array.from({ length: 2 * MOST }, () => world.rawConsumer());
    const closed = () => peers.filter(({ link }) => link.destroyed).length;
    while (closed() === 0) world.advance(TICK_MS);
    const { broker } = world;
    const before = broker.counters.protocolErrors;
    const others = peers.filter(({ link }) => !link.destroyed);
    for (const { link } of others) link.destroyed = true; // as by themselves
    world.nowMs += TICK_MS;
    broker.advance(world.nowMs);
    assert.equal(broker.counters.protocolErrors, before);
    assert.ok(others.length > 0 && others.every(({ session }) => session.closedFor === 'peer'));
  });

  test('nobody who answers before its turn', () => {
    const world = brokerOf({ limits: { connectionsMax: 10_000 } });
    const peers = Array.from({ length: 500 }, () => world.consumer(1, 1));
    world.settle();
    const closed = () => peers.filter(({ link }) => link.destroyed).length;
    while (closed() === 0) world.advance(TICK_MS, true);
    const before = closed();
    assert.ok(before <= MOST);
    for (const peer of peers) if (!peer.link.destroyed) peer.send(acks(1)); // the heartbeat
    world.advance(1000, true);
    assert.equal(closed(), before);
  });
});
